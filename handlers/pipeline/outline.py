"""What a YAML or JSON text says, with the place of everything in it: whoever finds a fault can tell where it stands."""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from nexus.schemas.regular import is_utf8

MOST_DEPTH = 32
MOST_NODES = 100_000
"""As many things as may be said, each place that an anchor is named at counted anew: a small text stays small."""

_BLANK = re.compile(r"[ \t\r\n]*")
_NOT_IN_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STRING = "tag:yaml.org,2002:str"
_TAGS = {
    None,
    "!",
    *(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")),
}

_TOO_MUCH = f"it says more than {MOST_NODES} things, anchors included"

Key = str | int


class OutlineInvalid(Exception):
    """The text is neither YAML nor JSON that can be used: `reason`, and where, from 1 on."""

    def __init__(self, reason: str, place: tuple[int, int] | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.place = place


@dataclass(slots=True)
class Node:
    """One value at its place. `keys` are the places of a mapping's keys.

    A scalar of YAML without quotes is `plain`: what it is, text, number or truth, depends on who reads it.
    """

    value: "dict[str, Node] | list[Node] | str | int | float | bool | None"
    place: tuple[int, int]
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    plain: bool = False

    def below(self, key: Key) -> "Node | None":
        """Return the node under a mapping's key, or at a list's index."""
        if isinstance(self.value, dict):
            return self.value.get(str(key))
        if isinstance(self.value, list) and isinstance(key, int) and 0 <= key < len(self.value):
            return self.value[key]
        return None


def outline_of(text: str, *, is_json: bool = False) -> Node:
    """Return what the text says, as JSON where it is that, else as YAML. Raises `OutlineInvalid`.

    Of YAML there are mappings, lists, scalars, anchors and merges (`<<`), and nothing that makes objects.
    """
    node = _Json(text).document() if is_json else _either(text)
    _check(node)
    return node


def _either(text: str) -> Node:
    if not text.lstrip().startswith("{"):
        return _yaml(text)
    try:
        return _Json(text).document()
    except OutlineInvalid as no_json:
        try:
            return _yaml(text)
        except OutlineInvalid:
            raise no_json from None


def _check(root: Node) -> None:
    """Refuse what has become too much by anchors that are named again and again, or that hold themselves."""
    count = 0
    waiting = [(root, 1)]
    while waiting:
        node, depth = waiting.pop()
        count += 1
        if depth > MOST_DEPTH:
            raise OutlineInvalid(f"it is nested deeper than {MOST_DEPTH} levels", node.place)
        if count > MOST_NODES:
            raise OutlineInvalid(_TOO_MUCH, node.place)
        for text in (node.value, *node.keys):
            if isinstance(text, str) and not is_utf8(text):
                raise OutlineInvalid("half a character stands here, which no UTF-8 has", node.place)
        waiting += [(child, depth + 1) for child in _children(node)]


def _children(node: Node) -> Sequence[Node]:
    if isinstance(node.value, dict):
        return list(node.value.values())
    return node.value if isinstance(node.value, list) else ()


def _yaml(text: str) -> Node:
    import yaml

    loader, lines = getattr(yaml, "CSafeLoader", yaml.SafeLoader), _Lines(text)
    try:
        return _Events(yaml.parse(text, Loader=loader), lines).document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        place = lines.of(mark) if mark is not None else _unprintable(text, lines)
        reason = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise OutlineInvalid(reason[:200], place) from error
    except (ValueError, RecursionError) as error:
        raise OutlineInvalid(str(error)[:200]) from error


def _unprintable(text: str, lines: "_Lines") -> tuple[int, int] | None:
    """Return where a character stands that YAML does not have: its reader tells no line."""
    found = _NOT_IN_YAML.search(text)
    return lines.place(found.start()) if found is not None else None


class _Lines:
    """Where the lines of a text begin."""

    def __init__(self, text: str) -> None:
        self._begins = [0, *(found.end() for found in re.finditer("\n", text))]

    def place(self, offset: int) -> tuple[int, int]:
        """Return line and column of a character."""
        line = bisect_right(self._begins, offset)
        return line, offset - self._begins[line - 1] + 1

    def of(self, mark: Any) -> tuple[int, int]:
        """Return line and column of a mark of YAML's, which counts lines that no editor does (U+0085, U+2028)."""
        return self.place(mark.index)


class _Events:
    """Builds the outline of the one document in a stream of YAML's events."""

    def __init__(self, events: Iterator[Any], lines: _Lines) -> None:
        self._events = events
        self._lines = lines
        self._anchors: dict[str, Node] = {}
        self._taken_over = 0

    def document(self) -> Node:
        import yaml

        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise OutlineInvalid("a second document begins here", self._at(event))
                root = self._node(next(self._events), 1)
        return root or Node(None, (1, 1))

    def _node(self, event: Any, depth: int) -> Node:
        import yaml

        if isinstance(event, yaml.AliasEvent):
            anchor = str(event.anchor)
            known = self._anchors.get(anchor)
            if known is None:
                raise OutlineInvalid(f"there is no anchor {anchor[:100]!r} above this", self._at(event))
            return known
        if event.tag not in _TAGS:
            raise OutlineInvalid(f"the tag {str(event.tag)[:100]!r} is none that is read here", self._at(event))
        if depth > MOST_DEPTH:
            raise OutlineInvalid(f"it is nested deeper than {MOST_DEPTH} levels", self._at(event))
        if isinstance(event, yaml.ScalarEvent):
            plain = event.style in (None, "") and event.tag != _STRING
            node = Node(event.value, self._at(event), plain=plain)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._list(event, depth)
        else:
            node = self._mapping(event, depth)
        if event.anchor is not None:
            # It is known behind its end: what would hold itself names an anchor that there is not.
            self._anchors[event.anchor] = node
        return node

    def _list(self, start: Any, depth: int) -> Node:
        import yaml

        items = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._node(event, depth + 1))
        return Node(items, self._at(start))

    def _mapping(self, start: Any, depth: int) -> Node:
        import yaml

        found: dict[str, Node] = {}
        keys: dict[str, tuple[int, int]] = {}
        merged: list[Node] = []
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            name = key.value
            if key.plain and name == "<<":
                merged += _merged(value)
                continue
            if not isinstance(name, str):
                raise OutlineInvalid("a key must be a text", key.place)
            if name in found:
                raise OutlineInvalid(_twice(name, keys[name]), key.place)
            found[name], keys[name] = value, key.place
        for mapping in merged:
            if isinstance(mapping.value, dict):
                self._taken_over += len(mapping.value)
                if self._taken_over > MOST_NODES:
                    raise OutlineInvalid(_TOO_MUCH, mapping.place)
                found = {**mapping.value, **found}
                keys = {**mapping.keys, **keys}
        return Node(found, self._at(start), keys)

    def _at(self, event: Any) -> tuple[int, int]:
        return self._lines.of(event.start_mark)


def _twice(name: str, before: tuple[int, int]) -> str:
    return f"{name[:100]!r} stands here a second time; the first is in line {before[0]}"


def _merged(value: Node) -> list[Node]:
    """Return the mappings that a `<<` takes over, those that yield to the others last."""
    items = value.value if isinstance(value.value, list) else [value]
    for item in items:
        if not isinstance(item.value, dict):
            raise OutlineInvalid("<< takes over a mapping, or a list of them", item.place)
    return items


class _Json:
    """Reads one JSON text; its scalars are read by the standard library."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = _Lines(text)
        self._end = 0
        self._decoder = json.JSONDecoder(parse_constant=_no_number)

    def document(self) -> Node:
        node, end = self._node(self._skip(0), 1)
        rest = self._skip(end)
        if rest < len(self._text):
            raise self._wrong("something stands behind the end", rest)
        return node

    def _node(self, at: int, depth: int) -> tuple[Node, int]:
        if depth > MOST_DEPTH:
            raise self._wrong(f"it is nested deeper than {MOST_DEPTH} levels", at)
        begin = self._text[at : at + 1]
        if begin == "{":
            return self._object(at, depth)
        if begin == "[":
            return self._array(at, depth)
        value, end = self._scalar(at)
        return Node(value, self._lines.place(at)), end

    def _scalar(self, at: int) -> tuple[Any, int]:
        try:
            return self._decoder.raw_decode(self._text, at)
        except json.JSONDecodeError as error:
            raise self._wrong(error.msg, error.pos) from error
        except ValueError as error:
            raise self._wrong(str(error), at) from error

    def _array(self, at: int, depth: int) -> tuple[Node, int]:
        items: list[Node] = []
        for position in self._between(at, "]"):
            node, self._end = self._node(position, depth + 1)
            items.append(node)
        return Node(items, self._lines.place(at)), self._end

    def _object(self, at: int, depth: int) -> tuple[Node, int]:
        found: dict[str, Node] = {}
        keys: dict[str, tuple[int, int]] = {}
        for position in self._between(at, "}"):
            if self._text[position : position + 1] != '"':
                raise self._wrong("a key in double quotes is wanted", position)
            name, end = self._scalar(position)
            colon = self._skip(end)
            if self._text[colon : colon + 1] != ":":
                raise self._wrong("a ':' is wanted", colon)
            node, self._end = self._node(self._skip(colon + 1), depth + 1)
            if name in found:
                raise self._wrong(_twice(name, keys[name]), position)
            found[name], keys[name] = node, self._lines.place(position)
        return Node(found, self._lines.place(at), keys), self._end

    def _between(self, at: int, closing: str) -> Iterator[int]:
        """Yield where each item begins, and set `_end` behind the closing bracket; who reads an item sets it too."""
        position = self._skip(at + 1)
        if self._text[position : position + 1] == closing:
            self._end = position + 1
            return
        while True:
            yield position
            position = self._skip(self._end)
            mark = self._text[position : position + 1]
            if mark == closing:
                self._end = position + 1
                return
            if mark != ",":
                raise self._wrong(f"a ',' or a {closing!r} is wanted", position)
            position = self._skip(position + 1)

    def _skip(self, at: int) -> int:
        found = _BLANK.match(self._text, at)
        return found.end() if found is not None else at

    def _wrong(self, reason: str, at: int) -> OutlineInvalid:
        return OutlineInvalid(reason, self._lines.place(at))


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")
