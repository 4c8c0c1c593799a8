"""Memory while 1,000,000 events stream to a reader that takes a kilobyte a second: flat."""

import argparse
import json
import select
import subprocess
import sys
import time

import psutil
from installed import Installed, installed
from measure import Row, at_most, report

MEBIBYTE = 1024 * 1024

# A kernel served on loopback, a source that appends, and one reader by each way that never keeps up.
STREAM = """
import asyncio, json, os, socket, sys, time
from pathlib import Path
import uvicorn
from nexus import places
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from nexus.kernel.sessions.driver import Driver
from nexus.schemas.session import Capabilities, NewSession
from nexus.sessions import lines
from nexus.sessions.client import SessionClient
from nexus.sessions.follow import Follow, SessionStream
from nexus.sessions.local import LocalTransport
from nexus.sessions.types import SessionType

COUNT, WAY = int(sys.argv[1]), sys.argv[2]

class Source(Driver):
    def __init__(self, output):
        self.output = output

    async def flood(self):
        payload = lines.log("x" * 75, "info", "bench")
        for _ in range(0, COUNT, 200):
            await self.output.append([payload] * 200)

    async def close(self, reason):
        await self.output.end(reason)

async def main():
    kernel = await Kernel.open(Path(places.find(os.environ.get, os.getcwd()).data), OneShotHost())
    kernel.sessions.types.add(SessionType("bench", Capabilities(receive=True, close=True, stream=True)))
    kernel.sessions.drivers.add("bench", Source)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(kernel.app, lifespan="off", log_level="error", ws="websockets-sansio"))
    serving = asyncio.create_task(server.serve([listening]))
    local = SessionClient(LocalTransport(kernel.sessions))
    session = await local.create(NewSession(type="bench"))
    print(json.dumps({"session": session.session_id, "port": listening.getsockname()[1]}), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    if WAY == "local":
        async def print_slowly():
            async for item in SessionStream(local, Follow(session.session_id)):
                await asyncio.sleep(len(item.data) / 1024)
        reading = asyncio.create_task(print_slowly())
        await asyncio.sleep(0.1)
    begun = time.perf_counter()
    await kernel.sessions.live[session.session_id].driver.flood()
    print(time.perf_counter() - begun, flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    os._exit(0)

asyncio.run(main())
"""

READER = """
import asyncio, json, sys
from nexus.sessions.client import SessionClient
from nexus.sessions.websocket import WebSocketTransport

async def main():
    client = SessionClient(WebSocketTransport(f"ws://127.0.0.1:{sys.argv[1]}/kernel"))
    attachment = await client.attach(sys.argv[2])
    print("attached", flush=True)
    while (batch := await attachment.receive()) is not None:
        await asyncio.sleep(len(batch.lines) / 1024)
        await attachment.consumed(batch.last)

asyncio.run(main())
"""


def memory(*processes: psutil.Process) -> float:
    """Return what the processes have of their resident, shared pages counted in each, in MiB."""
    return sum(process.memory_info().rss for process in processes) / MEBIBYTE


def measure(nexus: Installed, count: int, way: str) -> list[Row]:
    with subprocess.Popen(
        [nexus.python, "-c", STREAM, str(count), way],
        env=nexus.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as kernel:
        if kernel.stdout is None or kernel.stdin is None:
            raise RuntimeError("no pipe")
        told = json.loads(kernel.stdout.readline())
        watched = [psutil.Process(kernel.pid)]
        reader: subprocess.Popen[bytes] | None = None
        if way == "websocket":
            command = [nexus.python, "-c", READER, str(told["port"]), told["session"]]
            reader = subprocess.Popen(command, env=nexus.environment, stdout=subprocess.PIPE)
            if reader.stdout is None:
                raise RuntimeError("no pipe")
            reader.stdout.readline()
            watched.append(psutil.Process(reader.pid))
        before = memory(*watched)
        kernel.stdin.write(b"\n")
        kernel.stdin.flush()
        peak, early, begun = before, 0.0, time.monotonic()
        while not has_told(kernel):
            time.sleep(0.05)
            now = memory(*watched)
            peak = max(peak, now)
            if not early and time.monotonic() - begun > 1:
                early = now
        seconds = float(kernel.stdout.readline())
        end = memory(*watched)
        kernel.stdin.write(b"\n")
        kernel.stdin.flush()
        if reader is not None:
            reader.terminate()
            reader.wait()
    detail = f"{way}: before {before:.0f}, after a second {early or end:.0f}, at the end {end:.0f}; {seconds:.1f} s"
    return [
        at_most(f"peak of kernel and reader, {way}", peak, 150, unit="MiB", detail=detail),
        at_most(f"growth behind the first second, {way}", max(0.0, end - (early or end)), 15, unit="MiB"),
    ]


def has_told(kernel: "subprocess.Popen[bytes]") -> bool:
    """Say whether the kernel has told its time."""
    return bool(select.select([kernel.stdout], [], [], 0)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--count", type=int, default=1_000_000)
    options = parser.parse_args()
    rows: list[Row] = []
    for way in ("local", "websocket"):
        with installed(options.python) as nexus:
            rows += measure(nexus, options.count, way)
    report("Slow reader", rows)


if __name__ == "__main__":
    main()
