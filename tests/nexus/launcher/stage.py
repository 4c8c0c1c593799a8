"""A dispatcher for tests: copied over nexus/cli/run.py, it lets a test have anything done to launcher and resident."""

import asyncio
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from nexus.call import Call
from nexus.schemas.errors import NexusError, ReaderGone


async def run(call: Call, runtime: Any) -> int:
    word, *rest = call.argv or ("nothing",)
    try:
        return await getattr(Play(call), word.replace("-", "_"))(*rest)
    except ReaderGone:
        return 141
    except NexusError as error:
        await call.stdout.write(json.dumps({"error": error.code}).encode())
        return error.exit_status


class Play:
    def __init__(self, call: Call) -> None:
        self.call = call

    async def say(self, *words: str) -> int:
        call = self.call
        await self.tell(
            argv=[os.fsencode(word).hex() for word in call.argv],
            cwd=str(call.cwd),
            environment={name: os.fsencode(value).hex() for name, value in call.environment.items()},
            umask=call.umask,
            limits={str(number): pair for number, pair in call.limits.items()},
            window=[call.columns, call.rows],
            terminals=[call.stdin.is_terminal, call.stdout.is_terminal, call.stderr.is_terminal],
            again=call.again,
            pid=os.getpid(),
        )
        return 0

    async def resident(self) -> int:
        """Tell of the process that answers."""
        Path("relative-probe").exists()
        status = Path("/proc/self/status").read_text()
        mask = os.umask(0o077)
        os.umask(mask)
        await self.tell(
            pid=os.getpid(),
            parent=os.getppid(),
            session=os.getsid(0),
            cwd=os.getcwd(),  # noqa: TID251 -- what is asked for
            umask=mask,
            environment=dict(os.environ),  # noqa: TID251 -- what is asked for
            descriptors={
                name: os.readlink(f"/proc/self/fd/{name}")
                for name in os.listdir("/proc/self/fd")[:-1]
                if os.path.islink(f"/proc/self/fd/{name}")
            },
            status={line.partition(":")[0]: line.partition(":")[2].strip() for line in status.splitlines()},
            limits=Path("/proc/self/limits").read_text(),
            argv=sys.argv,
            path=sys.path,
            peak=int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))),
            threads=threading.active_count(),
            dumpable=_dumpable(),
        )
        return 0

    async def tell(self, **facts: Any) -> None:
        await self.call.stdout.write(json.dumps(facts).encode() + b"\n")

    async def exit(self, status: str) -> int:
        return int(status)

    async def cat(self) -> int:
        async for chunk in self.call.stdin.chunks():
            await self.call.stdout.write(chunk)
        return 0

    async def read(self, limit: str) -> int:
        await self.call.stdout.write(await self.call.stdin.read(int(limit)))
        return 0

    async def head(self) -> int:
        """Read once, and leave the rest."""
        async for chunk in self.call.stdin.chunks():
            await self.call.stdout.write(chunk)
            break
        return 0

    async def flood(self, megabytes: str) -> int:
        line = b"0123456789abcdef" * 4096
        for _ in range(int(megabytes) * 16):
            await self.call.stdout.write(line)
        return 0

    async def both(self) -> int:
        await self.call.stdout.write(b"out\n")
        await self.call.stderr.write(b"err\n")
        return 3

    async def printing(self) -> int:
        print("a library prints")
        await asyncio.to_thread(print, "and so does a thread")
        os.write(1, b"and so does a program\n")
        await self.call.stdout.write(b"only this\n")
        return 0

    async def wait(self, mark: str = "") -> int:
        """Wait to be signalled; tell of it on stdout. Says on stderr when it has begun."""
        try:
            await self.call.stderr.write(b"begun\n")
            number = await self.call.signals.next()
        except asyncio.CancelledError:
            if mark:
                Path(mark).write_text("cancelled")
            raise
        await self.tell(signal=number)
        return 128 + number

    async def deaf(self) -> int:
        await self.call.stderr.write(b"begun\n")
        await asyncio.sleep(60)
        return 0

    async def stubborn(self) -> int:
        """End neither when signalled nor when cancelled."""
        await self.call.stderr.write(b"begun\n")
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue

    async def slow(self, seconds: str) -> int:
        await self.call.stderr.write(b"begun\n")
        await asyncio.sleep(float(seconds))
        await self.tell(done=True, pid=os.getpid())
        return 0

    async def block(self, seconds: str) -> int:
        """Block a thread, as a handler that is no coroutine does."""
        await self.call.stderr.write(b"begun\n")
        await asyncio.to_thread(time.sleep, float(seconds))
        await self.tell(done=True)
        return 0

    async def die(self, *when: str) -> int:
        """Kill the process: `first` only at the first try, `printed` after some output."""
        if "printed" in when:
            await self.call.stdout.write(b'{"partial":')
            await asyncio.sleep(0.2)
        if "first" in when and self.call.again:
            await self.tell(again=True)
            return 0
        os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(60)
        return 0

    async def fail(self) -> int:
        raise RuntimeError("a fault of the dispatcher")

    async def noise(self) -> int:
        """Fill the process's own stderr, as a library in C would."""
        os.write(2, b"noise\n" * 400_000)
        return 0

    async def nothing(self) -> int:
        return 0

    async def forever(self) -> int:
        """Print a line a millisecond."""
        number = 0
        while True:
            number += 1
            await self.call.stdout.write(b"%d\n" % number)
            await asyncio.sleep(0.001)


def _dumpable() -> int:
    import ctypes

    return int(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
