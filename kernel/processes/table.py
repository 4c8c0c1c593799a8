"""The system's table of processes, as far as it lets us see. Everything here may block for milliseconds."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

import psutil

from nexus.kernel.readable import readable
from nexus.schemas.errors import NotFound, PermissionDenied, ValidationError
from nexus.schemas.process import ProcessDetails, ProcessInfo, ProcessKind, ProcessSample, ProcessState

Value = TypeVar("Value")

STATES: dict[str, ProcessState] = {
    psutil.STATUS_RUNNING: "running",
    psutil.STATUS_STOPPED: "stopped",
    psutil.STATUS_TRACING_STOP: "stopped",
    psutil.STATUS_ZOMBIE: "zombie",
    psutil.STATUS_DEAD: "exited",
}
MOST_LISTED = 1000
START_TOLERANCE = 0.02
"""Seconds by which the start of one process may be told differently: some systems count it in ticks."""


def found(reference: str) -> psutil.Process:
    """Return the process that `PID` or `PID@START` names: with a start it is that one, whoever has its number now.

    Raises `NotFound`, and `ValidationError` for what names no process.
    """
    number, _, start = reference.partition("@")
    try:
        pid, began = int(number), float(start or 0)
    except ValueError:
        raise ValidationError.because(
            f"{reference!r} names no process.", field="id", expected="an id or a pid"
        ) from None
    try:
        process = psutil.Process(pid)
        if start and abs(process.create_time() - began) > START_TOLERANCE:
            raise NotFound(resource="process", reference=reference, hint="nexus debug process list")
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        raise NotFound(resource="process", reference=reference, hint="nexus debug process list") from None
    return process


def reference_of(process: psutil.Process) -> str:
    """Name a process so that no later one of the same number is meant."""
    return f"{process.pid}@{process.create_time():.2f}"


def listed() -> Iterator[ProcessInfo]:
    """Yield this user's processes."""
    uid = os.getuid()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.uids().real == uid:
                yield described(process)


def described(
    process: psutil.Process, *, kind: ProcessKind = "other", known_as: str | None = None, session_id: str | None = None
) -> ProcessInfo:
    """Describe a process. Raises `NotFound` when it has ended."""
    return ProcessInfo(**_facts(process, kind, known_as), session_id=session_id)


def inspected(
    process: psutil.Process, *, kind: ProcessKind = "other", known_as: str | None = None, session_id: str | None = None
) -> ProcessDetails:
    """Describe a process with all that can be known of it; `hidden` names what the system does not let us see."""
    hidden: list[str] = []

    def seen(name: str, look: Callable[[], Value]) -> Value | None:
        try:
            return look()
        except psutil.NoSuchProcess:
            raise
        except (psutil.Error, OSError, NotImplementedError, AttributeError):
            hidden.append(name)
            return None

    try:
        facts = _facts(process, kind, known_as)
        times = seen("cpuSeconds", process.cpu_times)
        moved = seen("readBytes", lambda: process.io_counters())  # noqa: PLW0108 -- macOS has no such attribute
        switched = seen("contextSwitches", process.num_ctx_switches)
        memory = seen("virtualBytes", process.memory_info)
        details = ProcessDetails(
            **facts,
            session_id=session_id,
            executable=seen("executable", lambda: readable(process.exe())) or None,
            cwd=seen("cwd", lambda: readable(process.cwd())),
            nice=seen("nice", process.nice),
            cpu_seconds=times.user + times.system if times else None,
            virtual_bytes=memory.vms if memory else None,
            read_bytes=moved.read_bytes if moved else None,
            written_bytes=moved.write_bytes if moved else None,
            context_switches=switched.voluntary + switched.involuntary if switched else None,
            files=[readable(file.path) for file in (seen("files", process.open_files) or [])[:MOST_LISTED]],
            sockets=[_socket(each) for each in (seen("sockets", process.net_connections) or [])[:MOST_LISTED]],
            children=_children(process),
        )
    except psutil.NoSuchProcess:
        raise NotFound(resource="process", reference=str(process.pid), hint="nexus debug process list") from None
    details.hidden = sorted(set(hidden))
    return details


def sampled(process: psutil.Process, known_as: str) -> ProcessSample:
    """Look at a process once more: its processor time is since the look before. Raises `psutil.NoSuchProcess`."""
    with process.oneshot():
        files: int | None = None
        with contextlib.suppress(psutil.AccessDenied, NotImplementedError):
            files = process.num_fds()
        return ProcessSample(
            id=known_as,
            pid=process.pid,
            state=STATES.get(process.status(), "sleeping"),
            cpu_percent=process.cpu_percent(),
            memory_bytes=process.memory_info().rss,
            threads=process.num_threads(),
            open_files=files,
            children=len(process.children(recursive=True)),
        )


def signal_number(name: str) -> int:
    """Return the number of a signal by its name, with or without SIG, or by its number. Raises `ValidationError`."""
    wanted = name.upper()
    known = {each.name: int(each) for each in signal.Signals}
    number = known.get(wanted) or known.get(f"SIG{wanted}") or (int(wanted) if wanted.isdecimal() else 0)
    if number not in known.values() and number not in {int(each) for each in signal.valid_signals()}:
        raise ValidationError.because(f"There is no signal {name!r}.", field="signal", expected=sorted(known))
    return number


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def send(process: psutil.Process, number: int) -> None:
    """Signal a process; not one that took its number meanwhile. Raises `NotFound`, `PermissionDenied`."""
    try:
        process.send_signal(number)
    except (psutil.NoSuchProcess, ValueError):
        raise NotFound(resource="process", reference=str(process.pid), hint="nexus debug process list") from None
    except psutil.AccessDenied:
        raise PermissionDenied.because(f"Process {process.pid} is another user's.", pid=process.pid) from None


def output_file(process: psutil.Process) -> str | None:
    """Return the regular file that a process writes its output to: stdout's, stderr's, else the one log it writes."""
    try:
        files = process.open_files()
    except psutil.AccessDenied:
        raise PermissionDenied.because(f"Process {process.pid} is another user's.", pid=process.pid) from None
    except psutil.NoSuchProcess:
        raise NotFound(resource="process", reference=str(process.pid), hint="nexus debug process list") from None
    by_number = {file.fd: file.path for file in files}
    logs = [file.path for file in files if file.path.endswith(".log")]
    return by_number.get(1) or by_number.get(2) or (logs[0] if len(logs) == 1 else None)


def _facts(process: psutil.Process, kind: ProcessKind, known_as: str | None) -> dict[str, Any]:
    facts: dict[str, Any] = {"kind": kind, "pid": process.pid}
    try:
        with process.oneshot():
            started = process.create_time()
            facts |= {
                "id": known_as or reference_of(process),
                "name": readable(process.name()),
                "state": STATES.get(process.status(), "sleeping"),
                "parent_pid": process.ppid(),
                "created_at": datetime.fromtimestamp(started, UTC),
            }
            for name, look in _LOOKS.items():
                with contextlib.suppress(psutil.AccessDenied, psutil.ZombieProcess, NotImplementedError, KeyError):
                    facts[name] = look(process)
            facts["cpu_percent"] = _average(process, started)
    except psutil.NoSuchProcess:
        raise NotFound(resource="process", reference=str(process.pid), hint="nexus debug process list") from None
    return facts


_LOOKS: dict[str, Callable[[psutil.Process], Any]] = {
    "command": lambda process: [readable(word) for word in process.cmdline()],
    "user": lambda process: readable(process.username()),
    "memory_bytes": lambda process: process.memory_info().rss,
    "threads": lambda process: process.num_threads(),
    "open_files": lambda process: process.num_fds(),
}


def _average(process: psutil.Process, started: float) -> float | None:
    """Percent of one processor since the process began."""
    try:
        times = process.cpu_times()
    except psutil.AccessDenied:
        return None
    lived = datetime.now(UTC).timestamp() - started
    return round(100 * (times.user + times.system) / lived, 2) if lived > 0 else None


def _children(process: psutil.Process) -> list[ProcessInfo]:
    children = []
    for child in process.children(recursive=True)[:MOST_LISTED]:
        with contextlib.suppress(NotFound, psutil.Error):
            children.append(described(child))
    return children


def _socket(connection: Any) -> str:
    local, remote = (":".join(map(str, address)) if address else "" for address in (connection.laddr, connection.raddr))
    return f"{connection.status.lower()} {local}" + (f" -> {remote}" if remote else "")
