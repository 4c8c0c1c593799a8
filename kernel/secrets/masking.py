"""Takes secrets out of what programs print: bytes come in pieces, and no piece shows half a secret."""

import json
from collections.abc import Iterable

MASK = b"***"
LEAST_BYTES = 4
"""Shorter than this, a line of a secret stands in too much that is none."""


class Masker:
    """Masks the values, and each line of those that have several, also as they stand in JSON.

    `pending` bytes are held back: they may begin one.
    """

    def __init__(self, values: Iterable[str]) -> None:
        self.wanted: list[bytes] = []
        self.followers: list[Masker] = []
        self._held = b""
        self.add(values)

    def beside(self) -> "Masker":
        """Return one for another stream, which masks what this one does, also what is added."""
        other = Masker(())
        other.wanted = self.wanted
        return other

    def add(self, values: Iterable[str]) -> None:
        """Mask these too from now on; what was held back stays so."""
        lines = {line for value in values for line in (value, *value.splitlines())}
        self.take({form.encode() for line in lines if len(line.encode()) >= LEAST_BYTES for form in _forms(line)})

    def follow(self, other: "Masker") -> None:
        """Mask what the other one does too, also what is added to it."""
        other.followers.append(self)
        self.take(other.wanted)

    def take(self, wanted: Iterable[bytes]) -> None:
        """Mask these bytes from now on, and have those mask them who follow."""
        # The longest first: one secret may begin as another does.
        self.wanted[:] = sorted({*wanted, *self.wanted}, key=len, reverse=True)
        for follower in self.followers:
            follower.take(self.wanted)

    @property
    def pending(self) -> int:
        """How many bytes are held back."""
        return len(self._held)

    def feed(self, data: bytes) -> bytes:
        """Take what comes next, and return what may be shown."""
        data = self.whole(self._held + data)
        keep = self._beginning(data)
        self._held = data[len(data) - keep :]
        return data[: len(data) - keep]

    def flush(self) -> bytes:
        """Return what is left when no more comes."""
        rest, self._held = self._held, b""
        return rest

    def text(self, text: str) -> str:
        """Mask a text that is whole."""
        if not any(each.decode() in text for each in self.wanted):
            return text
        return self.whole(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def cut(self, data: bytes) -> int:
        """Return where bytes that are not whole yet may be cut: what is behind that may begin a secret."""
        masked = self.whole(data)
        tail = masked[len(masked) - self._beginning(masked) :]
        return len(data) - len(tail) if data.endswith(tail) else len(data)

    def whole(self, data: bytes) -> bytes:
        """Mask bytes that are whole."""
        for each in self.wanted:
            if each in data:
                data = data.replace(each, MASK)
        return data

    def _beginning(self, data: bytes) -> int:
        """Return how many bytes at the end may be the beginning of a secret."""
        most = 0
        for each in self.wanted:
            tail = data[-(len(each) - 1) :]
            start = tail.find(each[:1])
            while 0 <= start < len(tail) - most:
                if each.startswith(tail[start:]):
                    most = len(tail) - start
                    break
                start = tail.find(each[:1], start + 1)
        return most


def _forms(line: str) -> Iterable[str]:
    """Return a line as it is, and as programs that print JSON have it."""
    return {line, json.dumps(line)[1:-1], json.dumps(line, ensure_ascii=False)[1:-1]}
