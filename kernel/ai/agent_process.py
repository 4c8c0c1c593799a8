"""A coding agent as a child process: started with its caller's surroundings, spoken to by lines, ended whole."""

import asyncio
import json
import logging
import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from nexus.kernel.ai.backend import redacted
from nexus.schemas.errors import ProgramFailed
from nexus.schemas.session import CallerSurroundings

MOST_LINE_BYTES = 16 * 1024 * 1024
MOST_GARBAGE_LINES = 200
MOST_ERROR_BYTES = 8 * 1024
SEND_SECONDS = 30.0
LEAVE_SECONDS = 2.0

logger = logging.getLogger("nexus.kernel.ai")


class AgentProcess:
    """One process. `receive` and `send` carry messages as the ACP library wants its transport to.

    `room` is cleared while what was received waits to be taken: then nothing more is read, and the agent waits.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, surroundings: CallerSurroundings, hide: Callable[[str], str] = str
    ) -> None:
        self.room = asyncio.Event()
        self.room.set()
        self.fault = ""
        """Why nothing more comes, where the reason is not the process's end."""
        self._process = process
        self._environment = surroundings.environment
        self._hide = hide
        self._garbage = 0
        self._error = bytearray()
        self._listener = asyncio.create_task(self._listen())

    @classmethod
    async def start(
        cls,
        command: tuple[str, ...],
        folder: str,
        surroundings: CallerSurroundings,
        hide: Callable[[str], str] = str,
    ) -> "AgentProcess":
        """Start the program in a folder; `hide` masks what is told of its errors. Raises `ProgramFailed`."""
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=folder,
                env=surroundings.environment,
                umask=surroundings.umask,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
                limit=MOST_LINE_BYTES,
            )
        except (OSError, ValueError) as error:
            raise ProgramFailed.because(f"{command[0]} cannot be started in {folder}: {error}.") from error
        _limit(process.pid, surroundings.limits)
        return cls(process, surroundings, hide)

    @property
    def running(self) -> bool:
        return self._process.returncode is None and not self.fault

    async def send(self, message: dict[str, Any]) -> None:
        """Write one message. Raises ConnectionError when the agent does not take it."""
        stdin = self._process.stdin
        if stdin is None or not self.running:
            raise ConnectionError("the agent has ended")
        stdin.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await stdin.drain()
        except TimeoutError as error:
            self.fault = "it reads nothing"
            raise ConnectionError(self.fault) from error

    async def receive(self) -> dict[str, Any] | None:
        """Return the next message; None when there will be no more. What is no message is passed over."""
        while (line := await self._line()) is not None:
            try:
                message = json.loads(line)
            except (ValueError, RecursionError):
                message = None
            if isinstance(message, dict):
                return message
            self._garbage += bool(line.strip())
            if self._garbage > MOST_GARBAGE_LINES:
                self.fault = "it does not speak the Agent Client Protocol"
                return None
        return None

    async def close(self) -> None:
        """Close the agent's input: it should end by itself."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def end(self) -> None:
        """End the process and all that it started, within seconds. Safe more than once."""
        await self.close()
        for number in (None, signal.SIGTERM, signal.SIGKILL):
            if number is not None:
                self._signal(number)
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_SECONDS):
                    await self._process.wait()
                    break
        # What it started and left behind shares its group.
        self._signal(signal.SIGKILL)
        self._listener.cancel()
        with suppress(asyncio.CancelledError):
            await self._listener

    async def epitaph(self) -> str:
        """Say how the process ended, with the last that it said of errors."""
        if self.fault:
            return self.fault
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._process.wait()
                await asyncio.wait((self._listener,), timeout=LEAVE_SECONDS)
        code = self._process.returncode
        ended = "it closed its output" if code is None else f"it ended with {code}"
        said = redacted(self._hide(self._error.decode("utf-8", "replace")), self._environment)
        return f"{ended}: {said}" if said else ended

    async def _line(self) -> bytes | None:
        await self.room.wait()
        stdout = self._process.stdout
        if stdout is None or self.fault:
            return None
        try:
            return await stdout.readline() or None
        except ValueError:
            self.fault = f"it sent a line of more than {MOST_LINE_BYTES} bytes"
            return None

    async def _listen(self) -> None:
        """Keep the end of what the agent says of errors; nobody else reads it."""
        stderr = self._process.stderr
        while stderr is not None and (said := await stderr.read(4096)):
            self._error += said
            if len(self._error) > MOST_ERROR_BYTES:
                del self._error[:-MOST_ERROR_BYTES]
                # What is left of a line may be what is left of a secret.
                del self._error[: self._error.find(b"\n") + 1]

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _limit(pid: int, limits: dict[int, tuple[int, int]]) -> None:
    """Give the process its caller's limits. Where the system cannot, it has this process's."""
    if not hasattr(resource, "prlimit"):
        return
    for which, wanted in limits.items():
        try:
            most = resource.prlimit(pid, which)[1]
            hard = _at_most(wanted[1], most)
            resource.prlimit(pid, which, (_at_most(wanted[0], hard), hard))
        except (OSError, ValueError) as error:
            logger.debug("the limit %s of process %s stays: %s", which, pid, error)


def _at_most(wanted: int, most: int) -> int:
    if most == resource.RLIM_INFINITY:
        return wanted
    return most if wanted == resource.RLIM_INFINITY else min(wanted, most)
