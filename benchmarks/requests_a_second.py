"""Reads that `nexus serve` answers in a second by one worker, against the bare framework returning the same bytes.

The server is as it is run: a token in each request, roles asked, requests counted, bounded and written to the log.
"""

import argparse
import json
import subprocess
import sys

from installed import Installed, installed
from measure import Row, at_least, report
from serving import served
from websocket import serving

BARE = """
import asyncio, socket
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

BODY = BODY_BYTES

async def read(request: Request) -> Response:
    return Response(BODY, media_type="application/json")

async def main():
    app = Starlette(routes=[Route("/api/projects", read)])
    # Without the protocol asyncio sets no TCP_NODELAY.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    await uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error")).serve([listening])

asyncio.run(main())
"""

# Keeps a few connections busy on each server, in turns; every answer is read whole and looked at.
CLIENT = """
import asyncio, json, sys, time

PORTS, SECONDS, ROUNDS, LINES = [int(port) for port in sys.argv[1:3]], float(sys.argv[3]), int(sys.argv[4]), 8
REQUEST = (
    "GET /api/projects HTTP/1.1\\r\\nhost: kernel.local\\r\\naccept: application/json\\r\\n"
    f"authorization: Bearer {sys.stdin.read()}\\r\\n\\r\\n"
).encode()

async def line(port, until):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count = 0
    while time.perf_counter() < until:
        writer.write(REQUEST)
        head = await reader.readuntil(b"\\r\\n\\r\\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(head.decode())
        at = head.lower().index(b"content-length:") + 15
        await reader.readexactly(int(head[at : head.index(b"\\r", at)]))
        count += 1
    writer.close()
    return count

async def main():
    taken = [[], []]
    for round in range(ROUNDS + 1):
        for place, port in enumerate(PORTS):
            begun = time.perf_counter()
            counts = await asyncio.gather(*(line(port, begun + SECONDS) for _ in range(LINES)))
            if round:
                taken[place].append(sum(counts) / (time.perf_counter() - begun))
    print(json.dumps(taken))

asyncio.run(main())
"""


def measure(nexus: Installed, projects: int, seconds: float, rounds: int) -> list[Row]:
    with served(nexus, NEXUS_SERVE_REQUESTS_PER_MINUTE="10000000") as server:
        for number in range(projects):
            server.ask("POST", "/api/projects", {"name": f"project-{number}"})
        body = server.ask("GET", "/api/projects")
        with serving(nexus, BARE.replace("BODY_BYTES", repr(body))) as bare:
            done = subprocess.run(
                [nexus.python, "-c", CLIENT, str(server.port), bare, str(seconds), str(rounds)],
                env=nexus.environment,
                input=server.token.encode(),
                capture_output=True,
                check=True,
                timeout=600,
            )
    ours, theirs = (sorted(each)[len(each) // 2] for each in json.loads(done.stdout))
    detail = f"{ours:.0f}/s, bare {theirs:.0f}/s, {len(body)} bytes an answer"
    return [at_least("reads a second / bare framework", ours / theirs, 0.4, detail=detail)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--projects", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with installed(options.python) as nexus:
        rows = measure(nexus, options.projects, options.seconds, options.rounds)
    report("Requests", rows)


if __name__ == "__main__":
    main()
