"""The way between a worker and the process that started it: one JSON object a line, both ways, over one socket."""

import json
import os
from typing import Any

LONGEST_LINE = 16 * 1024 * 1024
_PIECE = 1 << 16

Message = dict[str, Any]


class ChannelInvalid(Exception):
    """What came is no message."""


class Channel:
    """The worker's end. Reading and writing block."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._held = bytearray()

    def receive(self) -> Message | None:
        """Return the next message, None when the other end is closed. Raises `ChannelInvalid`."""
        while (end := self._held.find(b"\n")) < 0:
            if len(self._held) > LONGEST_LINE:
                raise ChannelInvalid("a message is too long")
            piece = os.read(self._descriptor, _PIECE)
            if not piece:
                return None
            self._held += piece
        line = bytes(self._held[:end])
        del self._held[: end + 1]
        return parsed(line)

    def send(self, message: Message) -> None:
        """Write a message. Raises `ValueError` and `TypeError` for what JSON cannot hold, and `OSError`."""
        data = memoryview(line_of(message))
        while data:
            data = data[os.write(self._descriptor, data) :]


def line_of(message: Message) -> bytes:
    """Return a message's line. Raises `ValueError`, `TypeError`, and `ValueError` for one that is too long."""
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    data = text.encode("utf-8", "replace") + b"\n"
    if len(data) > LONGEST_LINE:
        raise ValueError(f"the answer has {len(data)} bytes, and {LONGEST_LINE} is the most")
    return data


def parsed(line: bytes) -> Message:
    """Read a line. Raises `ChannelInvalid`."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ChannelInvalid(f"a message cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise ChannelInvalid("a message is no object")
    return found
