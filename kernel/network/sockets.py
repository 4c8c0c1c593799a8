"""The sockets of this machine, as psutil tells them: whole where it may, and what it may not is told beside them."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from nexus.kernel.network.link import End, Link
from nexus.kernel.readable import readable
from nexus.schemas.errors import NotFound, PermissionDenied, TimeoutExceeded
from nexus.schemas.network import ConnectionStatus, ConnectionType

if TYPE_CHECKING:
    import psutil

MOST_SOCKETS = 50_000
"""How many sockets one scan keeps: what bounds its memory and its time."""
FRESH_SECONDS = 0.2
SCAN_SECONDS = 20.0

STATUS_OF: dict[str, ConnectionStatus] = {
    "SYN_SENT": "starting",
    "SYN_RECV": "starting",
    "BOUND": "starting",
    "ESTABLISHED": "running",
    "LISTEN": "running",
    "OPEN": "running",
    "FIN_WAIT1": "exited",
    "FIN_WAIT2": "exited",
    "TIME_WAIT": "exited",
    "CLOSE": "exited",
    "CLOSE_WAIT": "exited",
    "LAST_ACK": "exited",
    "CLOSING": "exited",
    "DELETE_TCB": "exited",
}
"""What the states of TCP mean here. OPEN is the state of sockets that have none: UDP's and Unix sockets."""


@dataclass(frozen=True, slots=True)
class Scan:
    """The sockets of one moment, and what could not be seen."""

    links: tuple[Link, ...] = ()
    notes: tuple[str, ...] = ()


class Sockets:
    """Scans in a thread; those who ask at the same time share one scan."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._newest = Scan()
        self._taken = float("-inf")

    async def machine(self) -> Scan:
        """Return the TCP and UDP sockets of the machine. Raises `TimeoutExceeded`."""
        async with self._turn:
            if time.monotonic() - self._taken > FRESH_SECONDS:
                self._newest = await _in_thread(scan_machine)
                self._taken = time.monotonic()
            return self._newest

    async def kernel(self) -> Scan:
        """Return all sockets of this process and of those below it."""
        return await _in_thread(lambda: scan_processes(own_family()))

    async def process(self, pid: int) -> Scan:
        """Return all sockets of a process. Raises `NotFound`, `PermissionDenied`."""
        return await _in_thread(lambda: scan_process(pid))


async def _in_thread(scan: Callable[[], Scan]) -> Scan:
    try:
        async with asyncio.timeout(SCAN_SECONDS):
            return await asyncio.to_thread(scan)
    except TimeoutError as error:
        raise TimeoutExceeded(seconds=SCAN_SECONDS) from error


def scan_machine() -> Scan:
    """Read all TCP and UDP sockets. Blocks; where the system refuses, only those of processes that may be read."""
    import psutil

    try:
        found = psutil.net_connections("inet")
    except psutil.AccessDenied:
        scan = scan_processes(psutil.process_iter(), kind="inet")
        note = "The system shows the sockets of your own processes only; run the kernel as root to see the others."
        return Scan(scan.links, (note, *scan.notes))
    links = _links((raw, raw.pid) for raw in found)
    hidden = sum(1 for link in links.links if link.pid is None and link.status != "exited")
    if hidden:
        note = f"Of {hidden} sockets the system does not say whose they are: they belong to processes of other users."
        return Scan(links.links, (*links.notes, note))
    return links


def scan_processes(processes: "Iterable[psutil.Process]", kind: str = "all") -> Scan:
    """Read the sockets of some processes; those that may not be read are counted in the notes."""
    import psutil

    found: list[tuple[Any, int]] = []
    refused = 0
    for process in processes:
        try:
            found += [(raw, process.pid) for raw in process.net_connections(kind)]
        except (psutil.AccessDenied, PermissionError):
            refused += 1
        except psutil.NoSuchProcess:
            continue
    scan = _links(found)
    notes = (f"The sockets of {refused} processes may not be read.",) if refused else ()
    return Scan(scan.links, (*scan.notes, *notes))


def scan_process(pid: int) -> Scan:
    """Read the sockets of one process. Raises `NotFound`, `PermissionDenied`."""
    import psutil

    try:
        return _links((raw, pid) for raw in psutil.Process(pid).net_connections("all"))
    except psutil.NoSuchProcess:
        raise NotFound(resource="process", reference=str(pid), hint="nexus network connection list") from None
    except (psutil.AccessDenied, PermissionError):
        raise PermissionDenied.because(f"The process {pid} belongs to another user.", pid=pid) from None


def own_family() -> "list[psutil.Process]":
    """Return this process and those below it."""
    import psutil

    own = psutil.Process()
    try:
        return [own, *own.children(recursive=True)]
    except psutil.Error:
        return [own]


def _links(found: Iterable[tuple[Any, int | None]]) -> Scan:
    rows = sorted({_row(raw, pid) for raw, pid in found}, key=_order)
    notes: tuple[str, ...] = ()
    if len(rows) > MOST_SOCKETS:
        notes = (f"There are {len(rows)} sockets; the first {MOST_SOCKETS} are told.",)
        rows = rows[:MOST_SOCKETS]
    names = _process_names({row.pid for row in rows if row.pid is not None})
    seen: dict[str, int] = {}
    links = []
    for row in rows:
        # Several sockets may listen at one address: their place among these tells them apart.
        number = seen[row.key] = seen.get(row.key, 0) + 1
        identity = sha256(f"{row.key}|{number}".encode()).hexdigest()[:20]
        links.append(
            Link(
                id=f"con_{identity}",
                type=row.type,
                status=STATUS_OF.get(row.state, "running"),
                state=row.state,
                local=row.local,
                remote=row.remote,
                pid=row.pid,
                process=names.get(row.pid) if row.pid is not None else None,
            )
        )
    return Scan(tuple(links), notes)


@dataclass(frozen=True, slots=True)
class _Row:
    """One socket as the system tells it. `key` is what it keeps for as long as it lives."""

    type: ConnectionType
    local: End | None
    remote: End | None
    state: str
    pid: int | None
    fd: int

    @property
    def key(self) -> str:
        if self.type == "unix":
            return f"unix|{self.pid}|{self.fd}|{self.local}"
        return f"{self.type}|{self.local}|{self.remote}"


def _order(row: _Row) -> tuple[str, int, int]:
    return row.key, row.pid or 0, row.fd


def _row(raw: Any, pid: int | None) -> _Row:
    """Read one of psutil's records. Its types are the socket module's: families and kinds as numbers."""
    import socket

    if raw.family not in (socket.AF_INET, socket.AF_INET6):
        return _Row("unix", _path(raw.laddr), _path(raw.raddr), "OPEN", pid, raw.fd)
    kind: ConnectionType = "tcp" if raw.type == socket.SOCK_STREAM else "udp"
    state = "OPEN" if raw.status == "NONE" else str(raw.status)
    return _Row(kind, _end(raw.laddr), _end(raw.raddr), state, pid, raw.fd)


def _end(address: Any) -> End | None:
    return (str(address.ip), int(address.port)) if address else None


def _path(address: Any) -> End | None:
    return (readable(str(address)), None) if address else None


def _process_names(pids: Iterable[int]) -> dict[int, str]:
    import psutil

    names = {}
    for pid in pids:
        try:
            names[pid] = readable(psutil.Process(pid).name())
        except psutil.Error:
            continue
    return names
