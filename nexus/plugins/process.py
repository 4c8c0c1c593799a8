"""One worker process, seen from the process that started it."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nexus.plugins.worker.channel import LONGEST_LINE, ChannelInvalid, Message, line_of, parsed
from nexus.schemas.errors import PluginCrashed

START_SECONDS = 60.0
"""How long an interpreter may take to be ready on a machine that has much to do."""
GRACE_SECONDS = 1.0
"""How long a worker that was interrupted may take to let go of what it holds."""
_MAIN = Path(__file__).parent / "worker" / "__main__.py"
_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class WorkerSpec:
    """What a worker is started with. Two of the same `key` do the same; another key is another worker."""

    plugin: str
    folder: str
    data: str
    setup: Mapping[str, Any]
    key: str = field(default="")


class Worker:
    """A started worker. It answers one request at a time; `printed` is given what its code prints."""

    def __init__(
        self,
        spec: WorkerSpec,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.spec = spec
        self.printed: Callable[[bytes], None] | None = None
        self.walls: dict[str, bool] = {}
        self.working = False
        self._process = process
        self._reader = reader
        self._writer = writer
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, spec: WorkerSpec) -> "Worker":
        """Start a process, confined before it runs any code of the plugin. Raises `PluginCrashed`, `OSError`."""
        data = Path(spec.data)
        data.parent.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = data / "tmp"
        temporary.mkdir(parents=True, exist_ok=True, mode=0o700)
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-B", str(_MAIN), str(theirs.fileno())),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={"PATH": _PATH, "HOME": spec.data, "TMPDIR": str(temporary), "LANG": "C.UTF-8"},
                cwd=spec.data,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=LONGEST_LINE)
        worker = cls(spec, process, reader, writer)
        try:
            async with asyncio.timeout(START_SECONDS):
                await worker.send(dict(spec.setup))
                ready = await worker.receive()
            worker.walls = dict(ready.get("walls", {}))
        except TimeoutError as error:
            await worker.kill()
            raise PluginCrashed.because(f"The worker of the plugin {spec.plugin} did not get ready.") from error
        except BaseException:
            await worker.kill()
            raise
        return worker

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.returncode is None and not self._reader.at_eof()

    async def send(self, message: Message) -> None:
        """Send a message. Raises `PluginCrashed` when the worker has gone.

        A request leaves it `working` until whoever reads the answer says otherwise.
        """
        try:
            self._writer.write(line_of(message))
            await self._writer.drain()
        except (OSError, RuntimeError) as error:
            raise self._gone() from error

    async def receive(self) -> Message:
        """Return the next message. Raises `PluginCrashed` when the worker has gone or sends what is none."""
        try:
            line = await self._reader.readuntil(b"\n")
            return parsed(line)
        except (asyncio.IncompleteReadError, OSError) as error:
            with suppress(TimeoutError):
                async with asyncio.timeout(GRACE_SECONDS):
                    await self._process.wait()
            raise self._gone() from error
        except (asyncio.LimitOverrunError, ChannelInvalid) as error:
            raise PluginCrashed.because(
                f"The worker of the plugin {self.spec.plugin} sent what cannot be read: {error}.",
                plugin=self.spec.plugin,
            ) from error

    def _gone(self) -> PluginCrashed:
        status = self._process.returncode
        how = "ended" if status is None or status >= 0 else f"was ended by {_signal_name(-status)}"
        return PluginCrashed.because(
            f"The worker of the plugin {self.spec.plugin} {how} before it answered.",
            plugin=self.spec.plugin,
            status=status,
        )

    def interrupt(self) -> None:
        """Interrupt what its code does; that may let go of what it holds."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)

    async def kill(self) -> None:
        """End it and all that it started in its own session, now."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._writer.close()
        self._listening.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait((self._listening,), timeout=GRACE_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                await self._process.wait()

    async def _listen(self) -> None:
        """Take what the plugin prints: to nobody, while it works for nobody."""
        output = self._process.stdout
        while output is not None and (data := await output.read(1 << 16)):
            if self.printed is not None:
                self.printed(data)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
