"""A pipeline's document: read from YAML or JSON, with line and column of whatever is wrong in it."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic import ValidationError as ModelError

from nexus.handlers.pipeline.outline import Key, Node, OutlineInvalid, outline_of
from nexus.schemas.envelope import ErrorEntry
from nexus.schemas.errors import NexusError, ValidationError, clipped
from nexus.schemas.pipeline import Parameter, PipelineDocument, Retries, StepDefinition

MOST_BYTES = 256 * 1024
MOST_FAULTS = 20

WRAPPER = "pipeline"
"""A document may stand whole under this one key."""

_HINT = "nexus help pipeline definition validate"

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(_NULL),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,30})")
_NUMBER = re.compile(r"[-+]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][-+]?[0-9]{1,3})?")

_EXPECTED: dict[str, str] = {
    "steps": "a mapping of names to steps, such as {greet: {run: [echo, hello]}}",
    "run": "a list of words, such as [echo, hello]",
    "needs": "a list of steps' names, such as [extract]",
    "environment": "a mapping of variables to texts, such as {MODE: fast}",
    "artifacts": "a mapping of names to files, such as {report: out/report.html}",
    "parameters": "a mapping of names to parameters, such as {rows: {type: integer, default: 10}}",
    "datasets": "a mapping of words to data sets, such as {sales: sales-2026}; of a step a list of such words",
    "secrets": "a list of secrets' names, such as [API_KEY]",
    "retries": "a mapping, such as {attempts: 3, delaySeconds: 2}",
    "choices": "a list of values",
}
"""What stands where, told where something else does."""

_NAMES: dict[str, str] = {
    "steps": "lower-case letters, digits, '-' and '_'",
    "parameters": "letters, digits and '_'",
    "datasets": "letters, digits, '-' and '_'",
}
"""What the names consist of that the writer of a document chooses."""

Path = tuple[Key, ...]


class DocumentFaults(ValidationError):
    """Several faults of one document at once, in the order in which they stand in it."""

    def __init__(self, faults: list[ValidationError]) -> None:
        super().__init__(**faults[0].data, hint=faults[0].own_hint)
        self.faults = faults

    def entries(self) -> list[ErrorEntry]:
        return [fault.entry() for fault in self.faults]


@dataclass(frozen=True)
class Source:
    """What a document was read from: `name` as faults tell it, `outline` with the place of everything.

    One that came as a value has no lines.
    """

    name: str
    outline: Node
    has_lines: bool = True

    def fault(self, path: Sequence[Key], reason: str, *, at_key: bool = False, **data: Any) -> ValidationError:
        """Return the error that tells a fault at a path, as deep as the document leads there."""
        place = self.place(path, at_key=at_key) if self.has_lines else None
        return fault_at(self.name, place, reason, field=_field(path), **data)

    def place(self, path: Sequence[Key], *, at_key: bool = False) -> tuple[int, int]:
        """Return where the value at a path stands, or its key; else the deepest that is there above it."""
        node = self.outline
        for depth, key in enumerate(path):
            name = _spelled(node, key)
            below = node.below(name)
            if below is None:
                break
            if at_key and depth == len(path) - 1 and isinstance(name, str):
                return node.keys.get(name, below.place)
            node = below
        return node.place

    def told(self, error: NexusError) -> NexusError:
        """Return a fault that the kernel found with its place here; any other error as it is."""
        entry = error.entry()
        named = entry.details.get("field")
        if entry.type != "validation" or not isinstance(named, str):
            return error
        path = [int(part) if part.isdigit() else part for part in named.removeprefix("document.").split(".")]
        if not path or self.outline.below(_spelled(self.outline, path[0])) is None:
            return error
        ours = {"field", "retryable", "exitCode", "line", "column", "path", "reason"}
        more = {name: value for name, value in entry.details.items() if name not in ours}
        return self.fault(path, entry.message.removesuffix("."), **more)


def fault_at(name: str, place: tuple[int, int] | None, reason: str, **data: Any) -> ValidationError:
    """Return the error that tells a fault in a document, by file, line and column."""
    where: dict[str, Any] = {} if place is None else {"line": place[0], "column": place[1]}
    shown = name if place is None else f"{name}, line {place[0]}, column {place[1]}"
    given = {"hint": _HINT, **{key: value for key, value in data.items() if value is not None}}
    return ValidationError.because(f"{shown}: {reason}.", path=name, **where, **given)


def read_document(content: bytes, name: str) -> tuple[PipelineDocument, Source]:
    """Return the document that a file holds, and what it was read from. Raises `ValidationError`.

    It may stand under the key `pipeline`, and in an answer of ours, as `view` prints it.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise fault_at(name, (line, column), f"it is no UTF-8: {error.reason}") from None
    try:
        outline = outline_of(text, is_json=name.casefold().endswith(".json"))
    except OutlineInvalid as error:
        raise fault_at(name, error.place, error.reason.rstrip(".")) from error
    return validated(Source(name, _unwrapped(outline)))


def given_document(value: Mapping[str, Any], name: str) -> tuple[PipelineDocument, Source]:
    """Return a document that came as a value, as `read_document` does; it has no lines to tell."""
    return validated(Source(name, _unwrapped(_node_of(value)), has_lines=False))


def _node_of(value: Any) -> Node:
    if isinstance(value, Mapping):
        return Node({str(key): _node_of(inner) for key, inner in value.items()}, (1, 1))
    return Node([_node_of(inner) for inner in value] if isinstance(value, list) else value, (1, 1))


def _unwrapped(outline: Node) -> Node:
    """Return the document itself: what is under `pipeline`, or in an answer's data."""
    found = outline
    if {"status", "data", "errors"} <= _names(found):
        found = found.below("data") or found
    if "document" in _names(found) and "steps" not in _names(found):
        found = found.below("document") or found
    if _names(found) == {WRAPPER}:
        found = found.below(WRAPPER) or found
    return found


def _names(node: Node) -> set[str]:
    return set(node.value) if isinstance(node.value, dict) else set()


def validated(source: Source) -> tuple[PipelineDocument, Source]:
    """Return the document of an outline. Raises `ValidationError`, several faults as one."""
    if not isinstance(source.outline.value, dict):
        raise source.fault((), "a pipeline is a mapping with a name and steps", expected={"name": "…", "steps": {}})
    steps = source.outline.below("steps")
    if steps is not None and isinstance(steps.value, list):
        raise source.fault(("steps",), f"steps is a list; it wants {_EXPECTED['steps']}", expected=_EXPECTED["steps"])
    try:
        return PipelineDocument.model_validate(_value(source.outline, ())), source
    except ModelError as error:
        raise _faults(source, error) from error
    except RecursionError as error:
        raise source.fault((), "it is nested too deep") from error


def _value(node: Node, path: Path) -> Any:
    """Return what a node says where it stands: `5` is a word in `run`, and a number as an integer's default."""
    if isinstance(node.value, dict):
        typed = _is_typed(node) if len(path) == 2 and path[0] == "parameters" else False
        return {
            name: _typed(below) if typed and name in ("default", "choices") else _value(below, (*path, name))
            for name, below in node.value.items()
        }
    if isinstance(node.value, list):
        return [_value(below, (*path, index)) for index, below in enumerate(node.value)]
    if not node.plain:
        return node.value
    in_words = len(path) == 4 and path[0] == "steps" and path[2] in ("run", "environment")
    return None if node.value in _NULL and not in_words else node.value


def _is_typed(parameter: Node) -> bool:
    """Say whether a parameter's values are more than text."""
    kind = parameter.below("type")
    return kind is not None and kind.value in ("integer", "number", "boolean")


def _typed(node: Node) -> Any:
    """Return a plain scalar as the number or the truth that it is, else as text."""
    if isinstance(node.value, list):
        return [_typed(below) for below in node.value]
    if isinstance(node.value, dict):
        return _value(node, ())
    text = node.value
    if not node.plain or not isinstance(text, str):
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def _faults(source: Source, error: ModelError) -> ValidationError:
    found: dict[Path, ValidationError] = {}
    for each in error.errors(include_url=False, include_input=False, include_context=False):
        path = _written_path(source.outline, each["loc"])
        if path not in found:
            found[path] = _fault(source, path, each["type"], str(each["msg"]))
    faults = sorted(found.values(), key=lambda fault: (fault.data.get("line", 0), fault.data.get("column", 0)))
    return faults[0] if len(faults) == 1 else DocumentFaults(faults[:MOST_FAULTS])


def _fault(source: Source, path: Path, kind: str, message: str) -> ValidationError:
    field, name = _field(path), clipped(str(path[-1]), 100) if path else ""
    if kind == "missing":
        return source.fault(path, f"{field} is missing", expected=_EXPECTED.get(name))
    if kind == "extra_forbidden":
        known = _fields_at(path[:-1])
        above = _field(path[:-1]) or "a pipeline"
        near = difflib.get_close_matches(name, known, n=1)
        like = f"; did you mean {near[0]!r}" if near else ""
        return source.fault(path, f"there is no {name!r} in {above}{like}", at_key=True, expected=known)
    reason = message.removeprefix("Value error, ").rstrip(".")
    expected = _EXPECTED.get(name) if kind.endswith("_type") else None
    if expected is not None:
        return source.fault(path, f"{field} wants {expected}", expected=expected)
    if kind == "string_pattern_mismatch" and len(path) == 2 and path[0] in _NAMES:
        allowed = _NAMES[str(path[0])]
        return source.fault(path, f"{name!r} cannot be a name here, {allowed} can", at_key=True, expected=allowed)
    if kind == "string_type":
        reason = "a text is wanted; put it into quotes"
    return source.fault(path, f"{field}: {reason}", expected=kind)


def _written_path(outline: Node, location: Sequence[Key]) -> Path:
    """Return a finding's place as the document has it: without the marks that types leave in it."""
    path: list[Key] = []
    node: Node | None = outline
    for key in location:
        if key == "[key]":
            break
        name = key if node is None else _spelled(node, key)
        below = None if node is None else node.below(name)
        if below is None and node is not None and not isinstance(node.value, dict):
            break
        path.append(name)
        node = below
    return tuple(path)


def _spelled(node: Node, key: Key) -> Key:
    """Return a mapping's key as it is written there: `timeoutSeconds` may stand as `timeout_seconds`."""
    if not isinstance(node.value, dict) or key in node.value:
        return key
    plain = str(key).replace("_", "").casefold()
    return next((name for name in node.value if name.replace("_", "").casefold() == plain), key)


def _field(path: Sequence[Key]) -> str | None:
    return ".".join(str(key) for key in path) or None


def _fields_at(path: Path) -> list[str]:
    """Return the fields that a mapping at this place may have."""
    model: type[BaseModel] = PipelineDocument
    if len(path) == 2:
        model = StepDefinition if path[0] == "steps" else Parameter
    elif len(path) == 3:
        model = Retries
    return [field.alias or name for name, field in model.model_fields.items()]
