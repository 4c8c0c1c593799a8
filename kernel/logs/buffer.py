"""Bytes that come in pieces, as whole lines: no character is cut, no line is larger than an event may be."""

from nexus.kernel.secrets.masking import Masker

MOST_LINE_BYTES = 64 * 1024
"""A longer line becomes several."""


class LineBuffer:
    """Takes bytes, gives text of whole lines. `pending` counts the bytes of the line that is not whole yet.

    What `mask` masks is masked before a line is cut.
    """

    def __init__(self) -> None:
        self.mask: Masker | None = None
        self._rest = b""

    @property
    def pending(self) -> int:
        return len(self._rest)

    def feed(self, data: bytes) -> str:
        """Return the lines that are whole now, each ended by a newline; bytes that are no UTF-8 become U+FFFD."""
        data = self._rest + data if self._rest else data
        end = data.rfind(b"\n") + 1
        whole, self._rest = data[:end], data[end:]
        if len(self._rest) > MOST_LINE_BYTES:
            # All of it, but for the beginning of a character, or of a secret.
            cut = _whole_characters(data)
            cut = max(end, min(cut, self.mask.cut(data)) if self.mask is not None else cut)
            whole, self._rest = data[:cut] + (b"\n" if cut > end else b""), data[cut:]
        if whole and self.mask is not None:
            whole = self.mask.whole(whole)
            # It may be a secret's own end.
            whole += b"" if whole.endswith(b"\n") else b"\n"
        if len(whole) > MOST_LINE_BYTES:
            whole = cut_long_lines(whole)
        return whole.decode("utf-8", "replace")

    def flush(self) -> str:
        """Return what is left as a line, nothing when nothing is."""
        return self.feed(b"\n") if self._rest else ""


def _whole_characters(data: bytes) -> int:
    """Return where bytes end that end with a whole character, or with none at all."""
    for size in range(1, min(4, len(data) + 1)):
        byte = data[-size]
        if byte & 0xC0 != 0x80:
            return len(data) - size if byte >= (0xC0, 0xE0, 0xF0)[size - 1] else len(data)
    return len(data)


def cut_long_lines(data: bytes) -> bytes:
    """Put a newline into every line that is too long, between two characters."""
    pieces = []
    start = 0
    while len(data) - start > MOST_LINE_BYTES:
        end = data.rfind(b"\n", start, start + MOST_LINE_BYTES) + 1
        if end:
            pieces.append(data[start:end])
        else:
            end = start + MOST_LINE_BYTES
            while end > start + MOST_LINE_BYTES - 4 and data[end] & 0xC0 == 0x80:
                end -= 1
            pieces += (data[start:end], b"\n")
        start = end
    pieces.append(data[start:])
    return b"".join(pieces)
