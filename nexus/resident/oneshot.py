"""One command in one process: no resident, the same bytes."""

import asyncio
import json
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nexus.call import Call
from nexus.launcher.frames import CHUNK
from nexus.launcher.main import Command
from nexus.launcher.process import (
    LEAVING,
    EndRequest,
    Unwritable,
    decode,
    folder,
    leave,
    limits,
    mask,
    window,
    write_all,
)
from nexus.launcher.standard_input import readable, until_writable
from nexus.resident.ends import FrameSignals, SizedTerminal
from nexus.resident.folders import Folders
from nexus.resident.local import LocalKernel
from nexus.resident.prints import Prints
from nexus.resident.request import Limits
from nexus.schemas.errors import ReaderGone, ValidationError
from nexus.schemas.stream import Printed

if TYPE_CHECKING:
    from nexus.credentials.desktop import DesktopKeyring
    from nexus.dispatch.runtime import Runtime
    from nexus.kernel.host import OneShotHost
    from nexus.resident.door import Door
    from nexus.resident.host import ServerHost

SERVER_SECONDS = 0.5
PIPE_ATOMIC = 4096
"""A pipe that can be written to takes so many bytes without blocking."""


def run_here(command: Command) -> int:
    """Run a command and return its exit status; after an interrupt, end the process by it. Raises `Unwritable`."""
    private = guard_stdout()
    signals = ProcessSignals()
    with asyncio.Runner() as runner:
        try:
            status = runner.get_loop().run_until_complete(_run(command, private, signals))
        except BaseException:
            # Whoever tells of it writes to stdout.
            os.dup2(private, 1)
            raise
        if signals.asked.number and status == LEAVING[signals.asked.number]:
            leave(status, by_signal=signals.asked.number)
        # A thread that still reads stdin must not hold the process.
        leave(status)


def guard_stdout() -> int:
    """Return a private descriptor of stdout, and send whatever else is printed in this process to stderr."""
    private = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = Prints()  # noqa: TID251 -- unbuffered: this process ends without flushing
    return private


async def _run(command: Command, private: int, signals: "ProcessSignals") -> int:
    signals.listen()
    from nexus.cli.run import run
    from nexus.dispatch.runtime import Runtime
    from nexus.fronts import CommandFronts
    from nexus.resident.brings import bring_sessions

    folders = Folders.of(command.places)
    door: Door | None = None

    async def host() -> "OneShotHost | ServerHost":
        nonlocal door
        # Only a command that opens the kernel pays for a socket.
        from nexus.kernel.host import OneShotHost
        from nexus.resident.door import Door
        from nexus.resident.host import ServerHost

        door = Door(Path(command.places.runtime), kernel.app)
        if kernel.serves:
            return ServerHost(await door.open())
        return OneShotHost(socket=await door.open())

    def setting(key: str) -> object:
        return folders.setting(key, os.environ)  # noqa: TID251 -- a process of one caller

    def keyring() -> "DesktopKeyring":
        return folders.keyring(os.environ)  # noqa: TID251 -- a process of one caller

    kernel = LocalKernel(folders.data, host, setting, keyring, folders.hidden(command.places.runtime))
    runtime = Runtime(kernel, folders, CommandFronts)
    kernel.brings = partial(bring_sessions, runtime.plugins)
    stdout = ProcessOutput(private, is_terminal=os.isatty(private))
    try:
        status = await run(_call(command, stdout, signals), runtime)
    finally:
        await _close(door, runtime, kernel)
    if stdout.failure is not None:
        raise Unwritable(stdout.failure)
    return status


async def _close(door: "Door | None", runtime: "Runtime", kernel: LocalKernel) -> None:
    """Close what was opened. The answer is out already: what fails now is told on stderr and changes nothing."""
    try:
        if door is not None:
            # A server ends in time; a command that lent others its kernel lets them finish.
            await (door.close(SERVER_SECONDS) if kernel.serves else door.close())
        await runtime.close()
        await kernel.close()
    except Exception as fault:  # noqa: BLE001 -- told, and no reason for another exit status
        from nexus.launcher.failure import log_line

        with suppress(OSError):
            write_all(2, log_line("warning", f"The command did not end cleanly: {type(fault).__name__}: {fault}"))


def _call(command: Command, stdout: "ProcessOutput", signals: "ProcessSignals") -> Call:
    columns, rows = window()
    umask = mask()
    # What is ours is for us alone, as the resident's is; what is the caller's is made with the caller's.
    os.umask(0o077)
    stdin = ProcessInput()
    return Call(
        argv=tuple(command.argv),
        cwd=Path(decode(folder())),
        environment={decode(name): decode(value) for name, value in os.environb.items()},
        stdin=stdin,
        stdout=stdout,
        stderr=ProcessOutput(2, is_terminal=os.isatty(2), needed=False),
        signals=signals,
        umask=umask,
        limits=Limits(limits()),
        columns=columns,
        rows=rows,
        again=command.again,
        printed=Printed(**json.loads(command.reached)) if command.reached else None,
        terminal=ProcessTerminal(columns, rows) if stdin.is_terminal and stdout.is_terminal else None,
    )


class ProcessOutput:
    """A descriptor of this process. One that is not `needed`, stderr, may fail without anybody minding."""

    def __init__(self, descriptor: int, *, is_terminal: bool, needed: bool = True) -> None:
        self.is_terminal = is_terminal
        self.failure: str | None = None
        self._descriptor = descriptor
        self._needed = needed
        self._blocks = not stat.S_ISREG(os.fstat(descriptor).st_mode)

    async def write(self, data: bytes, reached: Printed | None = None) -> None:  # noqa: ARG002 -- no process follows
        """Write all of it. Raises `ReaderGone` when nobody reads, or when it cannot be written (`failure` says why)."""
        try:
            for start in range(0, len(data), CHUNK):
                await self._write_chunk(data[start : start + CHUNK])
        except OSError as error:
            if not self._needed:
                return
            if not isinstance(error, BrokenPipeError):
                self.failure = error.strerror
            raise ReaderGone from error

    async def _write_chunk(self, data: bytes) -> None:
        if self._blocks and (len(data) > PIPE_ATOMIC or not self._takes_bytes()):
            # In a thread, so that a reader who stops reading does not stop ^C.
            await asyncio.to_thread(write_all, self._descriptor, data)
        else:
            write_all(self._descriptor, data)

    def _takes_bytes(self) -> bool:
        return until_writable(self._descriptor, 0)


class ProcessInput:
    """stdin of this process, read in a thread when a command asks."""

    def __init__(self) -> None:
        self.is_terminal = os.isatty(0)

    async def read(self, limit: int) -> bytes:
        """Read to the end. Raises `ValidationError` when more than `limit` bytes come."""
        found = bytearray()
        async for chunk in self.chunks():
            found += chunk
            if len(found) > limit:
                raise ValidationError.because(f"stdin holds more than {limit} bytes.", limit=limit)
        return bytes(found)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield what comes, 64 KiB at most at a time, to the end."""
        while data := await asyncio.to_thread(_read):
            yield data


class ProcessTerminal(SizedTerminal):
    """The terminal that stdin and stdout of this process are."""

    async def hidden(self) -> None:
        """Show nothing of what is typed."""
        from nexus.launcher.terminal import hide

        hide()

    async def raw(self) -> None:
        """Have every key as it is pressed."""
        from nexus.launcher.terminal import make_raw, size_of

        make_raw()

        def changed() -> None:
            size = size_of(0)
            if size is not None:
                self.feed(*size)

        asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, changed)


def _read() -> bytes:
    while True:
        try:
            return os.read(0, CHUNK)
        except BlockingIOError:
            readable(0)
        except OSError:
            # There is no stdin.
            return b""


class ProcessSignals(FrameSignals):
    """The signals that this process is sent; the second that ends a command ends the process at once."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = EndRequest()

    def listen(self) -> None:
        """Take them from now on, except those that the caller has ignored."""
        loop = asyncio.get_running_loop()
        for number in LEAVING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self.feed, int(number))

    def feed(self, number: int) -> None:
        """Take one."""
        if self.asked.take(number):
            super().feed(number)
