"""What a terminal shows, as far as a reader who comes later has to know it: the screen's tail, and what modes are on.

No emulator stands behind it: one parses a quarter of a megabyte a second, and a program prints a hundred. The ordinary
screen is given again as the last bytes that made it; a full-screen program paints its own anew when it is asked to.
"""

import re
from collections import deque

TAIL_CHARACTERS = 64 * 1024
ALTERNATE = frozenset({"47", "1047", "1049"})
"""The modes that show another screen, which leaves nothing behind when it is left."""

ORDINARY = {"7": True, "25": True}
"""The modes that a terminal has on when nobody asked: lines wrap, the cursor is seen. The others are off."""

_SWITCH = re.compile(r"\x1b(?:\[\?([\d;]+)([hl])|([=>c])|(\[!p)|\[>4(?:;(\d*))?m)")
_UNFINISHED = re.compile(r"\x1b(?:\[[?>!]?[\d;]*)?")
_LONGEST = 32
_CLEARED = ("\x1b[2J", "\x1b[3J", "\x1bc")


class Screen:
    """Follows a terminal's output. `restored` is what puts another terminal where this one is."""

    def __init__(self) -> None:
        self.modes: dict[str, bool] = {}
        """Private modes that differ from the ordinary, in the order in which they were set."""
        self._keypad = False
        self._keys = ""
        self._tail: deque[str] = deque()
        self._size = 0
        self._unfinished = ""

    @property
    def alternate(self) -> bool:
        """Whether a full-screen program shows a screen of its own."""
        return any(mode in ALTERNATE for mode in self.modes)

    def feed(self, text: str) -> None:
        """Follow what was printed next."""
        if "\x1b" not in text and not self._unfinished:
            if not self.alternate:
                self._keep(text)
            return
        text, self._unfinished = self._unfinished + text, ""
        last = text.rfind("\x1b", -_LONGEST)
        if last >= 0 and _UNFINISHED.fullmatch(text, last):
            text, self._unfinished = text[:last], text[last:]
        done = 0
        for found in _SWITCH.finditer(text):
            before = self.alternate
            self._switch(found)
            if self.alternate != before:
                if not before:
                    self._keep(text[done : found.start()])
                done = found.end()
        if not self.alternate:
            self._keep(text[done:])

    def restored(self) -> str:
        """Return what to print on another terminal, which is in its ordinary state, to show the same."""
        tail = "".join(self._tail)
        start = max(tail.rfind(mark) for mark in _CLEARED)
        if start >= 0:
            tail = tail[start:]
        elif self._size >= TAIL_CHARACTERS:
            # Where it begins was not chosen: a line's beginning is not inside an escape sequence.
            tail = tail[tail.find("\n") + 1 :]
        return f"\x1b[0m{tail}{self._switched(on=True)}{self._unfinished}"

    def undone(self) -> str:
        """Return what to print to leave a terminal that showed this in its ordinary state."""
        return f"{self._switched(on=False)}\x1b[0m"

    def _switched(self, *, on: bool) -> str:
        """Write the modes that differ from the ordinary: as they are, or back."""
        written = []
        for mode, value in self.modes.items():
            written.append(f"\x1b[?{mode}{'h' if value == on else 'l'}")
            if on and mode in ALTERNATE:
                written.append("\x1b[2J\x1b[H")
        if self._keypad:
            written.append("\x1b=" if on else "\x1b>")
        if self._keys:
            written.append(f"\x1b[>4;{self._keys}m" if on else "\x1b[>4m")
        return "".join(written if on else reversed(written))

    def _switch(self, found: re.Match[str]) -> None:
        private, way, single, reset, keys = found.groups()
        if private is not None:
            for mode in private.split(";"):
                self._set(mode, way == "h")
        elif reset is not None or single == "c":
            self._reset()
        elif single is not None:
            self._keypad = single == "="
        else:
            self._keys = keys or ""

    def _set(self, mode: str, value: bool) -> None:
        self.modes.pop(mode, None)
        if value != ORDINARY.get(mode, False):
            self.modes[mode] = value

    def _reset(self) -> None:
        self.modes.clear()
        self._keypad = False
        self._keys = ""

    def _keep(self, text: str) -> None:
        """Add to the ordinary screen's tail."""
        if not text:
            return
        text = text[-TAIL_CHARACTERS:]
        self._tail.append(text)
        self._size += len(text)
        while self._size - len(self._tail[0]) >= TAIL_CHARACTERS:
            self._size -= len(self._tail.popleft())
