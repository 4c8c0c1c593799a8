"""What a batch is fed with, a record a line: `{"command": "…"}` or `{"path": "…", "args": {…}}`, an `id` beside it."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from nexus.call import Call
from nexus.dispatch.surroundings import header_safe
from nexus.exec.runner import Request
from nexus.schemas.errors import InputInvalid

LONGEST_RECORD = 16 * 1024 * 1024
_HINT = "nexus help batch"


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the input, not blank, and its number from 1."""

    line: bytes
    number: int


async def records(call: Call) -> AsyncIterator[Record]:
    """Yield the lines of stdin as they come. One that is too long comes cut, and the rest of it is skipped."""
    held = bytearray()
    number = 0
    cut = False
    async for chunk in call.stdin.chunks():
        *whole, rest = chunk.split(b"\n")
        for piece in whole:
            number += 1
            line, held = bytes(held) + piece, bytearray()
            if line.strip() and not cut:
                yield Record(line, number)
            cut = False
        if not cut:
            held += rest
        if len(held) > LONGEST_RECORD:
            yield Record(bytes(held), number + 1)
            held, cut = bytearray(), True
    if held.strip():
        yield Record(bytes(held), number + 1)


def request_of(record: Record) -> Request:
    """Read a record. Raises `InputInvalid` with its `line`."""
    if len(record.line) > LONGEST_RECORD:
        raise _invalid(record, f"is longer than {LONGEST_RECORD} bytes")
    try:
        found = json.loads(record.line)
    except (ValueError, RecursionError) as error:
        raise _invalid(record, f"is no JSON: {str(error)[:200]}") from error
    if not isinstance(found, dict) or ("command" in found) == ("path" in found):
        raise _invalid(record, "wants an object with either command or path")
    strangers = sorted(found.keys() - {"command", "path", "args", "id"})
    if strangers or ("command" in found and "args" in found):
        raise _invalid(record, f"has {strangers[0]!r}, which no record has" if strangers else "has args beside command")
    line, path, args = found.get("command"), found.get("path"), found.get("args", {})
    if line is not None:
        if not isinstance(line, str):
            raise _invalid(record, "wants text for command")
        return Request(line=line, request_id=_identity(record, found))
    if not isinstance(args, dict):
        raise _invalid(record, "wants an object for args")
    return Request(path=_path(record, path), arguments=args, request_id=_identity(record, found))


def _path(record: Record, path: Any) -> list[str]:
    words = path.split() if isinstance(path, str) else path
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise _invalid(record, "wants a path such as agent.project.list")
    return words


def _identity(record: Record, found: dict[str, Any]) -> str | None:
    identity = found.get("id")
    if identity is None:
        return None
    if isinstance(identity, bool) or not isinstance(identity, str | int):
        raise _invalid(record, "wants text or a whole number for id")
    return header_safe(str(identity), "id")


def _invalid(record: Record, reason: str) -> InputInvalid:
    return InputInvalid.because(
        f"Record {record.number} {reason}.",
        line=record.number,
        expected={"path": "agent.project.list", "args": {}, "id": "1"},
        hint=_HINT,
    )
