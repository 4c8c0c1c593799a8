"""A session's stream over WebSocket on loopback, against the websockets library's own echo of the same frames."""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from installed import Installed, installed
from measure import Row, at_least, report
from replay import SESSION, store

KERNEL = """
import asyncio, os, socket
from pathlib import Path
import uvicorn
from nexus import places
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel

async def main():
    kernel = await Kernel.open(Path(places.find(os.environ.get, os.getcwd()).data), OneShotHost())
    # Without the protocol asyncio sets no TCP_NODELAY.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    server = uvicorn.Server(uvicorn.Config(kernel.app, lifespan="off", log_level="error", ws="websockets-sansio"))
    await server.serve([listening])
    await kernel.close()

asyncio.run(main())
"""

ECHO = """
import asyncio
from websockets.asyncio.server import serve

async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)

async def main():
    async with serve(echo, "127.0.0.1", 0, compression=None, max_size=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

asyncio.run(main())
"""

# Reads the stream, then has its frames echoed; both in turns, so that a noisy machine disturbs both alike.
CLIENT = """
import asyncio, json, sys, time
from websockets.asyncio.client import connect

SESSION, KERNEL, ECHO, ROUNDS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])

WINDOW = 1024 * 1024

async def stream():
    async with connect(f"ws://127.0.0.1:{KERNEL}/kernel", compression=None, max_size=None) as websocket:
        begun = time.perf_counter()
        await websocket.send(json.dumps({"type": "session.attach", "id": "1", "sessionId": SESSION}))
        attachment = json.loads(await websocket.recv())["attachment"]
        frames, consumed, through = [], {"type": "session.consumed", "id": "-", "attachment": attachment}, 0
        while True:
            frame = await websocket.recv()
            frames.append(frame)
            head = json.loads(frame[: frame.index(b"\\n")])
            if head["end"]:
                return time.perf_counter() - begun, frames
            through += len(frame)
            if through >= WINDOW // 4:
                # As our own client does.
                await websocket.send(json.dumps(consumed | {"seq": head["last"]}))
                through = 0

async def echo(frames):
    async with connect(f"ws://127.0.0.1:{ECHO}", compression=None, max_size=None) as websocket:
        begun = time.perf_counter()
        async def send():
            for frame in frames:
                await websocket.send(frame)
        sending = asyncio.create_task(send())
        for frame in frames:
            await websocket.recv()
        await sending
        return time.perf_counter() - begun

async def main():
    taken = {"stream": [], "echo": []}
    for _ in range(ROUNDS):
        seconds, frames = await stream()
        taken["stream"].append(seconds)
        taken["echo"].append(await echo(frames))
    size = sum(map(len, frames))
    print(json.dumps(taken | {"frames": len(frames), "bytes": size}))

asyncio.run(main())
"""


@contextmanager
def serving(nexus: Installed, code: str) -> Iterator[str]:
    """Run a server that prints its port first."""
    with subprocess.Popen([nexus.python, "-c", code], env=nexus.environment, stdout=subprocess.PIPE) as server:
        if server.stdout is None:
            raise RuntimeError("no pipe")
        try:
            yield server.stdout.readline().decode().strip()
        finally:
            server.terminate()


def measure(nexus: Installed, count: int, size: int, rounds: int) -> list[Row]:
    store(nexus, count, size)
    with serving(nexus, KERNEL) as kernel, serving(nexus, ECHO) as echo:
        command = [nexus.python, "-c", CLIENT, SESSION, kernel, echo, str(rounds)]
        done = subprocess.run(command, env=nexus.environment, capture_output=True, check=True, timeout=600)
    told = json.loads(done.stdout)
    stream, echoed = statistics.median(told["stream"]), statistics.median(told["echo"])
    megabytes = told["bytes"] / 1e6
    detail = (
        f"{told['frames']} frames, {megabytes:.0f} MB: stream {megabytes / stream:.0f} MB/s,"
        f" echo {megabytes / echoed:.0f} MB/s"
    )
    return [at_least("stream against echo", echoed / stream, 0.7, detail=detail)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--count", type=int, default=500_000)
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with installed(options.python) as nexus:
        rows = measure(nexus, options.count, options.size, options.rounds)
    report("WebSocket", rows)


if __name__ == "__main__":
    main()
