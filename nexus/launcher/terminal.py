"""The caller's terminal, handed over to a command: raw while it has it, put back whatever ends it."""

import _signal  # type: ignore[import-not-found]  # signal itself imports enum
import posix
import termios

from nexus.launcher import frames
from nexus.launcher.frames import frame
from nexus.launcher.process import at_end, write_stdout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CLEARED = b"\x1b[?1049l\x1b[0m\x1b[H\x1b[2J"
"""What a resident that died had shown is taken away: the next one shows it again."""


def take(tell: "Callable[[bytes], None]") -> None:
    """Make the terminal raw, and tell the resident, by frames, of every change of its size."""
    if at_end:
        write_stdout(CLEARED)
    make_raw()

    def changed(_number: int, _frame: object) -> None:
        size = size_of(0)
        if size is not None:
            tell(frame(frames.WINDOW, b"%d %d" % size))

    _signal.signal(_signal.SIGWINCH, changed)


def hand_over(tell: "Callable[[bytes], None]", how: bytes) -> bool:
    """Hand the terminal over; return whether the command has it whole now, not only unseen lines of it."""
    if how:
        hide()
        return False
    take(tell)
    return True


def make_raw() -> None:
    """Have stdin's terminal pass every key on as it is pressed, and show bytes as they are, until this process ends."""
    before = termios.tcgetattr(0)
    inputs, outputs, controls, locals_, speed_in, speed_out, keys = before
    inputs &= ~(termios.BRKINT | termios.PARMRK | termios.ISTRIP | termios.INLCR | termios.IGNCR | termios.ICRNL)
    inputs &= ~(termios.IGNBRK | termios.IXON)
    controls = controls & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    locals_ &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    raw_keys = list(keys)
    raw_keys[termios.VMIN], raw_keys[termios.VTIME] = 1, 0
    raw = [inputs, outputs & ~termios.OPOST, controls, locals_, speed_in, speed_out, raw_keys]
    if not at_end:  # else a resident before this one had it, and it is raw already
        at_end.append(lambda: put_back(before))
    termios.tcsetattr(0, termios.TCSANOW, raw)


def hide() -> None:
    """Have stdin's terminal show nothing of what is typed, until this process ends. Lines and ^C are as they were."""
    before = termios.tcgetattr(0)
    if not at_end:
        at_end.append(lambda: put_back(before))
    hidden = [*before]
    hidden[3] = before[3] & ~termios.ECHO
    termios.tcsetattr(0, termios.TCSAFLUSH, hidden)


def put_back(before: list[int | list[bytes | int]]) -> None:
    """Set the terminal to what it was; one that is gone needs nothing."""
    try:
        termios.tcsetattr(0, termios.TCSANOW, before)
    except termios.error:
        return


def size_of(terminal: int) -> tuple[int, int] | None:
    """Return columns and rows, None when the terminal is gone."""
    try:
        size = posix.get_terminal_size(terminal)
    except OSError:
        return None
    return size.columns, size.lines
