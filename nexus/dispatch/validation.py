"""pydantic's findings as one VALIDATION_ERROR a field, in the words of the command line."""

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError as ModelError

from nexus.schemas.command import CommandSpec, OptionSpec
from nexus.schemas.envelope import ErrorEntry
from nexus.schemas.errors import ValidationError


class ArgumentsInvalid(ValidationError):
    """Several findings at once; `findings` are the errors a field."""

    def __init__(self, findings: list[ValidationError]) -> None:
        super().__init__(reason=str(findings[0]))
        self.findings = findings

    def entries(self) -> list[ErrorEntry]:
        return [finding.entry() for finding in self.findings]


def _expected(option: OptionSpec | None, error: Any) -> Any:
    if option is not None and option.choices:
        return list(option.choices)
    context = error.get("ctx") or {}
    return context.get("expected") or error["type"]


def _finding(error: Any, options: dict[str, OptionSpec], spec: CommandSpec) -> ValidationError:
    location = [str(part) for part in error["loc"]]
    field = location[0] if location else ""
    option = options.get(field)
    shown = field if option is None else (field.upper() if option.positional else option.flags[0])
    if error["type"] == "missing":
        reason = f"{shown} is missing."
    elif error["type"] == "extra_forbidden":
        reason = f"There is no argument {field!r}."
    else:
        text = str(error["msg"]).removeprefix("Value error, ").rstrip(".")
        reason = f"{shown}: {text}." if shown else f"{text}."
    return ValidationError.because(
        reason,
        field=".".join(location) or None,
        expected=_expected(option, error),
        examples=[example.line for example in spec.examples],
        hint=f"nexus {' '.join(spec.path)} --help",
    )


def is_text(value: Any) -> bool:
    """Say whether every string in a value can be written as UTF-8: lone surrogates cannot."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return False
        return True
    if isinstance(value, dict):
        return all(is_text(key) and is_text(inner) for key, inner in value.items())
    return not isinstance(value, list) or all(map(is_text, value))


def validation_error(error: ModelError, options: Iterable[OptionSpec], spec: CommandSpec) -> ArgumentsInvalid:
    """Turn pydantic's error into ours, a finding a field."""
    by_name = {option.name: option for option in options}
    findings = [_finding(found, by_name, spec) for found in error.errors(include_url=False, include_input=False)[:20]]
    return ArgumentsInvalid(findings)
