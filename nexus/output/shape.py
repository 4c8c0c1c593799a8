"""What is kept of a result: `--query` (JMESPath, on the complete result), then `--fields`."""

from typing import Any

from nexus.schemas.errors import QueryInvalid, ValidationError

_LONGEST_QUERY = 10_000


def shaped(data: Any, *, query: str | None, fields: str | None) -> Any:
    """Apply the query, then keep the fields. Raises `QueryInvalid`, `ValidationError`."""
    if query is not None:
        data = _queried(data, query)
    return data if fields is None else _with_fields(data, fields)


def _queried(data: Any, query: str) -> Any:
    import jmespath
    from jmespath.exceptions import JMESPathError

    if len(query) > _LONGEST_QUERY:
        raise QueryInvalid.because(f"The query is longer than {_LONGEST_QUERY} characters.", field="query")
    try:
        return jmespath.search(query, data)
    except (JMESPathError, RecursionError, TypeError, ValueError) as error:
        text = " ".join(str(error).split())[:300]
        raise QueryInvalid.because(
            f"The query is no JMESPath that fits the result: {text}.", field="query", expected="JMESPath (jmespath.org)"
        ) from error


def _with_fields(data: Any, fields: str) -> Any:
    names = [name.strip() for name in fields.split(",") if name.strip()]
    if not names:
        raise ValidationError.because("--fields wants the names of fields, as in --fields id,name.", field="fields")
    if isinstance(data, dict) and isinstance(data.get("items"), list):
        return {**data, "items": [_pick(item, names) for item in data["items"]]}
    if isinstance(data, list):
        return [_pick(item, names) for item in data]
    return _pick(data, names)


def _pick(item: Any, names: list[str]) -> Any:
    if not isinstance(item, dict):
        return item
    unknown = [name for name in names if name not in item]
    if unknown:
        raise ValidationError.because(
            f"The result has no field {unknown[0]!r}.", field="fields", available=sorted(item), expected=sorted(item)
        )
    return {name: item[name] for name in names}
