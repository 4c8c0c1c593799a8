"""Starting the resident: one winner under a lock, by exec, as nobody's child, inheriting nothing."""

import _signal  # type: ignore[import-not-found]  # signal itself imports enum
import _socket
import fcntl
import posix
import time
from contextlib import suppress

from nexus.launcher.exchange import PAUSE_SECONDS, Unavailable, private, reach
from nexus.launcher.record import Record, read_record
from nexus.launcher.spawn import spawn
from nexus.places import Places

START_SECONDS = 30.0
"""A cold disk needs a while to read a hundred modules."""
YIELD_SECONDS = 20.0
"""How long an owner that hands over may take: it lets running commands finish for half of it."""
STARTS = 3
"""How many residents may start and be gone again, idle or stopped, before the command reaches one."""
BIND_SECONDS = 10.0
"""How long a resident that holds the places may take to listen: it starts, or its socket was taken away."""


class Starter:
    """Finds the resident of some places, or makes it. Under one lock a set of places: racing starters wait."""

    def __init__(self, places: Places, site: str) -> None:
        self.places = places
        self.site = site
        self.owner_lock = f"{places.state}/resident-{places.key}.lock"
        self.start_lock = f"{places.state}/resident-{places.key}.start"
        self.begun = 0
        self.log = f"{places.state}/logs/resident.log"

    def connection(self, drained: bytes) -> _socket.socket:
        """Return a connection to a resident other than `drained`. Raises `Unavailable`."""
        found = self.elsewhere()
        if found is not None:
            return found
        self.make_folders()
        start = self.locked(self.start_lock, START_SECONDS + YIELD_SECONDS, "Another command has been starting it")
        try:
            return self.settled(drained)
        finally:
            posix.close(start)

    def elsewhere(self) -> _socket.socket | None:
        """Connect to a living resident of these places whose socket is in another folder (no XDG_RUNTIME_DIR, as
        under cron)."""
        record = read_record(self.owner_lock)
        if record is None or record.socket == self.places.socket or not self.owned():
            return None
        return reach(record.socket, record.socket.rpartition("/")[0])

    def settled(self, drained: bytes) -> _socket.socket:
        """Wait for the one who hands over, wake the one who lost its socket, or start one."""
        deadline = time.monotonic() + (YIELD_SECONDS if drained else BIND_SECONDS)
        woken = False
        while True:
            record = read_record(self.owner_lock)
            draining = record is not None and drained != b"" and record.instance == drained
            if not draining:
                found = reach(self.places.socket, self.places.runtime) or self.elsewhere()
                if found is not None:
                    return found
            if not self.owned():
                self.begin()
                continue
            if time.monotonic() > deadline:
                raise self.stuck(record, draining=draining)
            if record is not None and not draining and not woken:
                woken = True
                with suppress(ProcessLookupError, PermissionError):
                    posix.kill(record.pid, _signal.SIGUSR1)
            time.sleep(PAUSE_SECONDS)

    def stuck(self, record: Record | None, *, draining: bool) -> Unavailable:
        """Return the error of an owner that neither answers nor goes."""
        pid = record.pid if record else "unknown"
        if draining:
            return Unavailable(
                f"The resident (pid {pid}) is of another installation and still at work.",
                code="VERSION_CONFLICT",
                fatal=True,
                hint="Wait for its commands to end, or end them; then run the command again.",
            )
        return Unavailable(
            f"The resident (pid {pid}) holds {self.owner_lock} and does not answer. Its log is {self.log}.",
            fatal=True,
            hint=f"kill -9 {pid}",
        )

    def hint(self) -> str:
        """Return what ends an owner that is there and hears nothing any more."""
        record = read_record(self.owner_lock)
        return f"kill -9 {record.pid}" if record and self.owned() else ""

    def owned(self) -> bool:
        """Say whether a living process holds these places."""
        try:
            lock = posix.open(self.owner_lock, posix.O_RDWR | posix.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise Unavailable(f"{self.owner_lock} cannot be opened: {error.strerror}.") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError as error:
            raise Unavailable(f"{self.owner_lock} cannot be locked: {error.strerror}.") from error
        finally:
            posix.close(lock)
        return False

    def begin(self) -> None:
        """Start a resident and wait until it, or another that was faster, has the places. Raises `Unavailable`."""
        if self.begun == STARTS:
            raise Unavailable(f"The resident has started and is gone again. Its log is {self.log}.")
        self.begun += 1
        reason = spawn(self.places, self.site, self.log, START_SECONDS)
        if reason:
            raise Unavailable(f"The resident does not start: {reason} Its log is {self.log}.")

    def make_folders(self) -> None:
        """Make the folders of state and socket, for us alone. Raises `Unavailable`."""
        for folder in (self.places.state, f"{self.places.state}/logs", self.places.runtime):
            try:
                make_private(folder)
            except OSError as error:
                raise Unavailable(f"The folder {folder} cannot be made: {error.strerror}.") from error
        private(self.places.runtime)

    def locked(self, path: str, seconds: float, waited: str) -> int:
        """Take a lock and return its descriptor. Raises `Unavailable` after so many seconds."""
        try:
            lock = posix.open(path, posix.O_RDWR | posix.O_CREAT | posix.O_CLOEXEC | posix.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise Unavailable(f"{path} cannot be opened: {error.strerror}.") from error
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    posix.close(lock)
                    raise Unavailable(f"{waited} for {seconds:.0f} seconds.", fatal=True) from None
                time.sleep(PAUSE_SECONDS)
            except OSError as error:
                raise Unavailable(f"{path} cannot be locked: {error.strerror}.") from error
            else:
                return lock


def make_private(folder: str) -> None:
    """Make a folder with mode 0700 and whatever is missing above it; one that is there stays as it is."""
    try:
        posix.mkdir(folder, 0o700)
    except FileExistsError:
        return
    except FileNotFoundError:
        make_private(folder.rpartition("/")[0])
        with suppress(FileExistsError):
            posix.mkdir(folder, 0o700)
