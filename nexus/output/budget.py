"""`--max-tokens` and `--resume`: an answer that is cut where its reader's memory ends, and goes on from there.

A token is counted as four bytes of the JSON. What is cut is the longest list of the result, between two records, or
its longest text. The cursor says where: how much was told, and the mark of the last of it, so that what was added or
taken away meanwhile neither repeats nor skips anything.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nexus.schemas.errors import ValidationError

BYTES_A_TOKEN = 4
_ENVELOPE_BYTES = 600
"""Room for what stands around the data: the other keys, a message, the cursor."""
_MARKED_CHARACTERS = 64
_LEAST_CHARACTERS = 256
_SIGN = "~"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an answer was cut: in the list or text at `key`, after `told` of it, and the mark of the last record."""

    key: str
    told: int
    mark: str
    cursor: str | None = None

    def written(self) -> str:
        """Return the place as a cursor."""
        text = json.dumps([self.key, self.told, self.mark, self.cursor], separators=(",", ":"))
        return _SIGN + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_of(cursor: str) -> Place:
    """Read a cursor. Raises `ValidationError`."""
    try:
        written = cursor.removeprefix(_SIGN)
        key, told, mark, inner = json.loads(base64.urlsafe_b64decode(written + "=" * (-len(written) % 4)))
    except (binascii.Error, ValueError, TypeError) as error:
        raise _refused() from error
    if not (isinstance(key, str) and isinstance(told, int) and told >= 0 and isinstance(mark, str)):
        raise _refused()
    return Place(key, told, mark, inner if isinstance(inner, str) else None)


def after(data: Any, place: Place) -> Any:
    """Return the data without what was told already. Raises `ValidationError` when its place is not there any more."""
    whole = data if isinstance(data, dict) else {"items": data}
    value = whole.get(place.key)
    if isinstance(value, str):
        length, _, mark = place.mark.partition(".")
        if not length.isdigit() or _mark(value[max(0, place.told - int(length)) : place.told]) != mark:
            raise _refused()
        return {**whole, place.key: value[place.told :]}
    if not isinstance(value, list):
        raise _refused()
    begin = next(
        (number for number in _nearest(place.told, len(value)) if _mark(value[number - 1]) == place.mark), None
    )
    if begin is None:
        raise _refused()
    return {**whole, place.key: value[begin:]}


def _nearest(told: int, length: int) -> Iterator[int]:
    """Yield where the last record told may stand now: its place of then first, then ever farther from it."""
    for distance in range(length + 1):
        for number in {told - distance, told + distance}:
            if 1 <= number <= length:
                yield number


def cut(data: Any, tokens: int, *, before: Place | None = None, cursor: str | None = None, repeatable: bool) -> Any:
    """Return the data, or as much of it as fits, with `truncated` and the `nextCursor` to go on from.

    `before` is the place that this answer itself goes on from, `cursor` the list's own that its page began at. What is
    not `repeatable` has no cursor: asking again would do it again. One record is told whole, however long it is.
    """
    room = tokens * BYTES_A_TOKEN - _ENVELOPE_BYTES
    if _size(data) <= room:
        return data
    whole = data if isinstance(data, dict) else {"items": data}
    sizes = {key: _size(value) for key, value in whole.items() if isinstance(value, list | str)}
    if not sizes:
        return data
    key = max(sizes, key=lambda name: sizes[name])
    left = room - (_size(whole) - sizes[key])
    kept = _fitting(whole[key], left)
    if len(kept) == len(whole[key]):
        return data
    told = len(kept) + (before.told if before is not None and before.key == key else 0)
    place = Place(key, told, _mark_of_end(kept), cursor)
    return {**whole, key: kept, "truncated": True, "nextCursor": place.written() if repeatable else None}


def _fitting(value: list[Any] | str, room: int) -> Any:
    if isinstance(value, str):
        kept = value[: max(_LEAST_CHARACTERS, room)]
        while len(kept) > _LEAST_CHARACTERS and (size := _size(kept)) > room:
            kept = kept[: max(_LEAST_CHARACTERS, len(kept) * room // size - 1)]
        line = kept.rfind("\n") + 1
        return kept[:line] if line > len(kept) // 2 else kept
    used = 2
    for number, item in enumerate(value):
        used += _size(item) + 1
        if used > room and number:
            return value[:number]
    return value


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).encode("utf-8", "replace"))


def _mark_of_end(kept: list[Any] | str) -> str:
    if isinstance(kept, list):
        return _mark(kept[-1])
    end = kept[-_MARKED_CHARACTERS:]
    return f"{len(end)}.{_mark(end)}"


def _mark(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def _refused() -> ValidationError:
    return ValidationError.because(
        "The cursor's place is not in this answer any more: begin again without it.", field="cursor"
    )
