"""From a caller's argv to its exit status, through the resident."""

import _signal  # type: ignore[import-not-found]  # signal itself imports enum
import _socket
import posix

from nexus import __version__, places
from nexus.launcher.exchange import (
    DRAINING,
    EXITED,
    LOST,
    NEVER_BEGUN,
    REFUSED,
    SILENT,
    Exchange,
    Unavailable,
    hello,
    reach,
)
from nexus.launcher.frames import FrameInvalid
from nexus.launcher.process import LEAVING, Unwritable, decode, encode, folder, leave, variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Type checkers know this name too; typing and types would cost the launcher half of its budget.
    from collections.abc import Callable
    from types import FrameType
    from typing import NoReturn

ATTEMPTS = 5
"""How many residents may end or hand over under one command, or under a stream that does not come on."""


class Signalled(BaseException):
    """A signal came while no resident had the command yet."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(site: str, argv: list[str], alone: "Callable[[Command, str], int]") -> "NoReturn":
    """Run a command and end the process with its exit status. `site` is the folder that holds this package.

    `alone` runs it in this process where no resident does, and is told why none does.
    """
    keep_standard_ends()
    command = Command(site, argv, alone)
    command.take_signals()
    try:
        status = command.run()
    except Signalled as signalled:
        from nexus.launcher.failure import told_signal

        leave(told_signal(signalled.number, printed=bool(command.reached)), by_signal=signalled.number)
    except Unwritable as unwritable:
        from nexus.launcher.failure import told_unwritable

        leave(told_unwritable(str(unwritable)))
    except Unavailable as unavailable:
        from nexus.launcher.failure import told_unavailable

        leave(told_unavailable(unavailable))
    except Exception as fault:  # noqa: BLE001 -- the contract: a bug of ours is an envelope too
        from nexus.launcher.failure import told_fault

        leave(told_fault(fault, printed=command.exchange is not None and command.exchange.printed))
    leave(status, by_signal=command.signal if status == LEAVING.get(command.signal) else 0)


class Command:
    """One command on its way to a resident, and to the next one if that ends under it."""

    def __init__(self, site: str, argv: list[str], alone: "Callable[[Command, str], int]") -> None:
        self.site = site
        self.argv = argv
        self.alone = alone
        self.places = places.find(variable, decode(folder()))
        self.exchange: Exchange | None = None
        self.again = False
        self.reached = b""
        self.attempts = ATTEMPTS
        self.drained = b""
        self.signal = 0

    def take_signals(self) -> None:
        """Take the signals that end a command, unless the caller has them ignored (nohup, a shell's background)."""
        for number in LEAVING:
            if _signal.getsignal(number) is not _signal.SIG_IGN:
                _signal.signal(number, self.on_signal)

    def on_signal(self, number: int, _frame: "FrameType | None") -> None:
        """Hand a signal to the resident; while none has the command, end it here."""
        self.signal = self.signal or number
        if self.exchange is None:
            raise Signalled(number)
        self.exchange.relay(number)

    def run(self) -> int:
        """Have the command answered and return its exit status. Raises `Unavailable`, `Unwritable`, `Signalled`."""
        if posix.environ.get(b"NEXUS_RESIDENT") == b"0":
            return self.alone(self, "")
        try:
            return self.handed_over()
        except Unavailable as unavailable:
            if unavailable.fatal:
                unavailable.printed = unavailable.printed or bool(self.reached)
                raise
            return self.alone(self, unavailable.reason)

    def handed_over(self) -> int:
        """Have a resident answer. Raises `Unavailable`, `Unwritable`, `Signalled`."""
        while self.attempts:
            self.attempts -= 1
            exchange = Exchange(self.socket())
            words = [encode(word) for word in self.argv]
            greeting = hello(__version__, self.site, self.places.key, words, again=self.again, reached=self.reached)
            self.exchange = exchange
            try:
                ending = exchange.run(greeting)
            except FrameInvalid as error:
                raise Unavailable(
                    f"What answers at {self.places.socket} is no resident: {error}.", fatal=True
                ) from error
            self.exchange = None
            if ending == EXITED:
                return exchange.status
            exchange.socket.close()
            self.judge(ending, exchange)
        raise Unavailable("One resident after the other ended.", fatal=self.again)

    def judge(self, ending: str, exchange: Exchange) -> None:
        """Return when the command may be sent to another resident, and set how. Raises `Unavailable`."""
        if ending == DRAINING:
            self.drained = exchange.reason
        elif ending == REFUSED:
            raise Unavailable(exchange.reason.decode("utf-8", "replace"), fatal=True)
        elif ending == SILENT:
            from nexus.launcher.starter import Starter

            raise Unavailable(
                f"The resident at {self.places.socket} takes commands and does not answer.",
                code="OUTCOME_UNKNOWN" if exchange.printed or self.again else "RESIDENT_UNAVAILABLE",
                fatal=True,
                hint=Starter(self.places, self.site).hint(),
            )
        elif ending == LOST:
            if exchange.holds_terminal and not exchange.asked.number:
                # What it showed is shown again, and no key was the command's own.
                self.again = True
                return
            if exchange.reached:
                # The stream came on: it can be taken up behind the last mark, and attempts are counted from there.
                self.reached = exchange.reached
                self.attempts = ATTEMPTS
            begun_twice = self.again and not self.reached
            if exchange.printed or exchange.asked.number or exchange.took_stdin or begun_twice:
                lost = Unavailable(
                    "The resident ended in the middle of the command: whether it did its work is not known.",
                    code="OUTCOME_UNKNOWN",
                    fatal=True,
                )
                lost.printed = exchange.printed
                raise lost
            self.again = True
        elif ending == NEVER_BEGUN and exchange.asked.number:
            raise Signalled(self.signal)

    def socket(self) -> _socket.socket:
        """Return a connection to the resident, which is started if need be. Raises `Unavailable`."""
        if not self.drained:
            found = reach(self.places.socket, self.places.runtime)
            if found is not None:
                return found
        from nexus.launcher.starter import Starter

        return Starter(self.places, self.site).connection(self.drained)


def keep_standard_ends() -> None:
    """Fill closed standard descriptors, so that no socket becomes stdout. Writing to a filled one still fails."""
    for end in (0, 1, 2):
        try:
            posix.fstat(end)
        except OSError:
            posix.open("/dev/null", posix.O_WRONLY if end == 0 else posix.O_RDONLY)
