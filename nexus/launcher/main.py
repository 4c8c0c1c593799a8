"""From a caller's argv to its exit status, through the resident."""

import _signal  # type: ignore[import-not-found]  # signal itself imports enum
import _socket
import posix
import sys

from nexus import __version__, places
from nexus.launcher.exchange import (
    DRAINING,
    EXITED,
    LEAVING,
    LOST,
    NEVER_BEGUN,
    REFUSED,
    SILENCE_SECONDS,
    SILENT,
    Exchange,
    Unwritable,
    leave,
)
from nexus.launcher.frames import FrameInvalid
from nexus.launcher.hello import decode, encode, folder, hello

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Type checkers know this name too; typing and types would cost the launcher half of its budget.
    from types import FrameType
    from typing import NoReturn

ATTEMPTS = 5
"""How many residents may end or hand over under one command, or under a stream that does not come on."""

PEER = (0, 1, 76) if sys.platform == "darwin" else (_socket.SOL_SOCKET, getattr(_socket, "SO_PEERCRED", 17), 12)
"""Level, option and size of the credentials of a socket's other end; the uid is bytes 4 to 8 in both layouts."""


class Unavailable(Exception):
    """The resident cannot be had. `code` is an error's code; `fatal` says that running without it would be wrong, and
    `printed` that stdout has begun to be written."""

    def __init__(self, reason: str, *, code: str = "RESIDENT_UNAVAILABLE", fatal: bool = False, hint: str = "") -> None:
        super().__init__(reason)
        self.printed = False
        self.reason = reason
        self.code = code
        self.fatal = fatal
        self.hint = hint


class Signalled(BaseException):
    """A signal came while no resident had the command yet."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(site: str, argv: list[str]) -> "NoReturn":
    """Run a command and end the process with its exit status. `site` is the folder that holds this package."""
    keep_standard_ends()
    command = Command(site, argv)
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

    def __init__(self, site: str, argv: list[str]) -> None:
        self.site = site
        self.argv = argv
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
            return self.alone("")
        try:
            return self.handed_over()
        except Unavailable as unavailable:
            if unavailable.fatal:
                unavailable.printed = unavailable.printed or bool(self.reached)
                raise
            return self.alone(unavailable.reason)

    def alone(self, reason: str) -> int:
        """Run the same dispatcher in this process; `reason` is why no resident did."""
        from nexus.launcher.alone import run_alone

        return run_alone(self, reason)

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
            raise Unavailable(
                f"The resident at {self.places.socket} takes commands and does not answer.",
                code="OUTCOME_UNKNOWN" if exchange.printed or self.again else "RESIDENT_UNAVAILABLE",
                fatal=True,
            )
        elif ending == LOST:
            if exchange.holds_terminal and not exchange.interrupted:
                # What it showed is shown again, and no key was the command's own.
                self.again = True
                return
            if exchange.reached:
                # The stream came on: it can be taken up behind the last mark, and attempts are counted from there.
                self.reached = exchange.reached
                self.attempts = ATTEMPTS
            begun_twice = self.again and not self.reached
            if exchange.printed or exchange.interrupted or exchange.took_stdin or begun_twice:
                lost = Unavailable(
                    "The resident ended in the middle of the command: whether it did its work is not known.",
                    code="OUTCOME_UNKNOWN",
                    fatal=True,
                )
                lost.printed = exchange.printed
                raise lost
            self.again = True
        elif ending == NEVER_BEGUN and exchange.interrupted:
            raise Signalled(self.signal)

    def socket(self) -> _socket.socket:
        """Return a connection to the resident, which is started if need be. Raises `Unavailable`."""
        if not self.drained:
            found = reach(self.places.socket, self.places.runtime)
            if found is not None:
                return found
        from nexus.launcher.starter import Starter

        return Starter(self.places, self.site).connection(self.drained)


def reach(path: str, runtime: str) -> _socket.socket | None:
    """Connect to a socket in a folder that is ours alone; None when nobody listens. Raises `Unavailable`."""
    if not private(runtime):
        return None
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.settimeout(SILENCE_SECONDS)
    try:
        connection.connect(encode(path))
    except BlockingIOError:
        # The backlog is full: a thousand commands at once.
        from nexus.launcher.starter import connect_patiently

        connect_patiently(connection, encode(path), SILENCE_SECONDS)
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError as error:
        connection.close()
        raise Unavailable(f"{path} cannot be connected to: {error.strerror}.") from error
    owner = int.from_bytes(connection.getsockopt(*PEER)[4:8], sys.byteorder)
    if owner != posix.geteuid():
        raise Unavailable(f"The process that listens at {path} belongs to another user (uid {owner}).", fatal=True)
    return connection


def private(runtime: str) -> bool:
    """Say whether the folder is there. Raises `Unavailable` unless it is a real one, ours, and closed to others."""
    try:
        found = posix.lstat(runtime)
    except OSError:
        return False
    if found.st_uid != posix.geteuid():
        problem = f"belongs to another user (uid {found.st_uid})"
    elif found.st_mode & 0o170000 != 0o040000:
        problem = "is no folder"
    elif found.st_mode & 0o077:
        problem = f"is open to others (mode {found.st_mode & 0o777:o})"
    else:
        return True
    raise Unavailable(
        f"{runtime} {problem}: a socket in it cannot be trusted.",
        fatal=True,
        hint=f"Make {runtime} yours alone (mode 700) or remove it; else set XDG_RUNTIME_DIR to a folder of your own.",
    )


def keep_standard_ends() -> None:
    """Fill closed standard descriptors, so that no socket becomes stdout. Writing to a filled one still fails."""
    for end in (0, 1, 2):
        try:
            posix.fstat(end)
        except OSError:
            posix.open("/dev/null", posix.O_WRONLY if end == 0 else posix.O_RDONLY)


def variable(name: str) -> str | None:
    """Return a variable of this process's environment."""
    value = posix.environ.get(name.encode())
    return None if value is None else decode(value)
