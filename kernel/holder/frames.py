"""The holder's wire: frames of a JSON head and a body of bytes.

A connection opens with `{"op": "hello", "protocols": [1]}`; the holder answers with the newest protocol that both
speak. Fields may be added within a protocol; a reader ignores those it does not know. Requests carry a number `n`, and
their answer carries it back as `re`. Text that is no UTF-8 travels as lone surrogates, which JSON's escapes can hold.
"""

import json
import struct
from typing import Any

PROTOCOLS = (1,)
"""The protocols that this code speaks, oldest first."""

MOST_HEAD = 8 * 1024 * 1024
"""A command line and an environment fit: Linux passes no more than 6 MiB of them to a program."""

MOST_BODY = 1024 * 1024

Head = dict[str, Any]
_SIZES = struct.Struct("<II")


class FrameInvalid(Exception):
    """The other end sent what is no frame."""


def encode(head: Head, body: bytes = b"") -> bytes:
    """Write one frame. Raises `FrameInvalid` when it is larger than a reader takes."""
    text = json.dumps(head, separators=(",", ":")).encode("ascii")
    if len(text) > MOST_HEAD or len(body) > MOST_BODY:
        raise FrameInvalid(f"a frame of {len(text)} and {len(body)} bytes is too large")
    return _SIZES.pack(len(text), len(body)) + text + body


class FrameReader:
    """Bytes in, frames out. Holds at most one incomplete frame."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def feed(self, data: bytes) -> list[tuple[Head, bytes]]:
        """Take what arrived and return the frames that it completes. Raises `FrameInvalid`."""
        self._waiting += data
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> tuple[Head, bytes] | None:
        if len(self._waiting) < _SIZES.size:
            return None
        head_size, body_size = _SIZES.unpack_from(self._waiting)
        if head_size > MOST_HEAD or body_size > MOST_BODY:
            raise FrameInvalid(f"a frame of {head_size} and {body_size} bytes is announced")
        end = _SIZES.size + head_size + body_size
        if len(self._waiting) < end:
            return None
        text = bytes(self._waiting[_SIZES.size : _SIZES.size + head_size])
        body = bytes(self._waiting[_SIZES.size + head_size : end])
        del self._waiting[:end]
        try:
            head = json.loads(text)
        except ValueError as error:
            raise FrameInvalid("the head of a frame is no JSON") from error
        if not isinstance(head, dict):
            raise FrameInvalid("the head of a frame is no object")
        return head, body
