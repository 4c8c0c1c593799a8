"""From SIGTERM to the end of a server with every kind of consumer open, for one process and for two."""

import argparse
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from installed import Installed, installed
from measure import Row, at_most, report
from serving import served

BAR = 3.0

# Opens a stream that is read and one that is not, a poll, a download that stalls, an upload in the middle of a part and
# a connection that is idle; says so, and waits until each has heard of the end.
CONSUMERS = """
import asyncio, http.client, json, sys
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

PORT, FOLDER = int(sys.argv[1]), sys.argv[2]
TOKEN = {"authorization": f"Bearer {sys.stdin.readline().strip()}"}
SIZE = 40_000_000

def begun(method, path, body=None, headers=TOKEN):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    connection.request(method, path, body, headers)
    return connection

def asked(method, path, body=None):
    answer = begun(method, path, json.dumps(body) if isinstance(body, dict) else body).getresponse()
    read = answer.read()
    assert answer.status < 400, read
    return json.loads(read) if read else None

def process(name, script):
    options = {"argv": ["sh", "-c", script], "cwd": FOLDER}
    return asked("POST", "/api/sessions", {"type": "debug-stream", "context": {"processId": name}, "options": options})

def upload(name):
    return asked("POST", "/api/data/datasets/uploads", {"name": name, "filename": name, "size": SIZE})

def ends(connection):
    try:
        answer = connection.getresponse()
        return [answer.status, len(answer.read())]
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__

async def attached(session):
    url = f"ws://127.0.0.1:{PORT}/kernel"
    websocket = await connect(url, additional_headers=TOKEN, compression=None, max_size=None)
    await websocket.send(json.dumps({"type": "session.attach", "id": "1", "sessionId": session, "after": 0}))
    return websocket

async def closes(websocket):
    try:
        while True:
            await websocket.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None

async def main():
    quiet = process("quiet", "sleep 20")["sessionId"]
    flood = process("flood", "yes aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa | head -n 50000; sleep 20")["sessionId"]
    whole = upload("whole")
    for part in whole["parts"]:
        begun("PUT", part["url"], bytes(part["size"]), {}).getresponse().read()
    import hashlib
    done = {"sha256": hashlib.sha256(bytes(SIZE)).hexdigest()}
    item = asked("POST", f"/api/data/datasets/uploads/{whole['id']}/complete", done)["id"]
    stalled = begun("GET", asked("GET", f"/api/data/datasets/{item}/download")["url"], headers={})
    part = upload("cut")["parts"][0]
    sending = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    sending.putrequest("PUT", part["url"])
    sending.putheader("content-length", str(part["size"]))
    sending.endheaders(b"x" * 1000)
    reader, silent = await attached(flood), await attached(flood)
    silent.transport.pause_reading()
    newest = asked("GET", f"/api/sessions/{quiet}")["newest"]
    polling = begun("GET", f"/api/sessions/{quiet}/events?after={newest}&wait=30")
    idle = begun("GET", "/api/projects")
    idle.getresponse().read()
    print("ready", flush=True)
    waited = [asyncio.to_thread(ends, each) for each in (polling, sending)]
    told = await asyncio.gather(closes(reader), *waited, asyncio.to_thread(idle.sock.recv, 1))
    print(json.dumps(dict(zip(("stream", "poll", "upload"), told))), flush=True)

asyncio.run(main())
"""


def seconds_to_stop(nexus: Installed, workers: int) -> tuple[float, str]:
    """Return how long the server takes to its end, and what the consumers were told."""
    folder = str(Path(nexus.environment["NEXUS_HOME"]).parent)
    home = {"NEXUS_HOME": f"{folder}/server-{workers}-{time.monotonic_ns()}"}
    with (
        served(nexus, "--workers", str(workers), **home) as server,
        subprocess.Popen(
            [nexus.python, "-c", CONSUMERS, str(server.port), folder],
            env=nexus.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as consumers,
    ):
        consumers.stdin.write(f"{server.token}\n")
        consumers.stdin.flush()
        if consumers.stdout.readline().strip() != "ready":
            raise RuntimeError("the consumers did not come up")
        begun = time.perf_counter()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(120)
        taken = time.perf_counter() - begun
        told = json.loads(consumers.stdout.readline())
    return taken, ", ".join(f"{name} {what}" for name, what in told.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows: list[Row] = []
    with installed(options.python) as nexus:
        for workers in (1, 2):
            found = [seconds_to_stop(nexus, workers) for _ in range(options.rounds)]
            worst, told = max(found)
            what = "one process" if workers == 1 else f"{workers} processes"
            rows.append(at_most(f"SIGTERM to the end, {what}", worst, BAR, unit="s", detail=told))
    report("Stopping", rows)


if __name__ == "__main__":
    main()
