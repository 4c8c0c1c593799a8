"""Takes secrets out of what programs print: bytes come in pieces, and no piece shows half a secret."""

from collections.abc import Iterable

MASK = b"***"
LEAST_BYTES = 4
"""Shorter than this, a line of a secret stands in too much that is none."""


class Masker:
    """Masks the values, and each line of those that have several. `pending` bytes are held back: they may begin one."""

    def __init__(self, values: Iterable[str]) -> None:
        self._wanted: list[bytes] = []
        self._held = b""
        self.add(values)

    def beside(self) -> "Masker":
        """Return one for another stream, which masks what this one does, also what is added."""
        other = Masker(())
        other._wanted = self._wanted
        return other

    def add(self, values: Iterable[str]) -> None:
        """Mask these too from now on; what was held back stays so."""
        lines = {line for value in values for line in (value, *value.splitlines())}
        wanted = {line.encode() for line in lines if len(line.encode()) >= LEAST_BYTES}
        # The longest first: one secret may begin as another does.
        self._wanted[:] = sorted(wanted.union(self._wanted), key=len, reverse=True)

    @property
    def pending(self) -> int:
        """How many bytes are held back."""
        return len(self._held)

    def feed(self, data: bytes) -> bytes:
        """Take what comes next, and return what may be shown."""
        data = self._masked(self._held + data)
        keep = self._beginning(data)
        self._held = data[len(data) - keep :]
        return data[: len(data) - keep]

    def flush(self) -> bytes:
        """Return what is left when no more comes."""
        rest, self._held = self._held, b""
        return rest

    def text(self, text: str) -> str:
        """Mask a text that is whole."""
        if not any(each.decode() in text for each in self._wanted):
            return text
        return self._masked(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def _masked(self, data: bytes) -> bytes:
        for each in self._wanted:
            if each in data:
                data = data.replace(each, MASK)
        return data

    def _beginning(self, data: bytes) -> int:
        """Return how many bytes at the end may be the beginning of a secret."""
        most = 0
        for each in self._wanted:
            for size in range(min(len(each) - 1, len(data)), most, -1):
                if data.endswith(each[:size]):
                    most = size
                    break
        return most
