"""The end of a server with all kinds of consumers open: each learns of it, and can go on behind what it has."""

from __future__ import annotations

import http.client
import json
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.kernel.server.test_workers import ask, attached, taken
from tests.serving import SECONDS, Asking, Server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Shell

SIZE = 40_000_000
"""More than all buffers between two ends hold."""
FLOOD = "yes aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa | head -n 20000; sleep 1000"


@pytest.mark.parametrize("workers", [1, 2])
def test_every_consumer_learns_of_the_end(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setenv("PATH", shell.environment["PATH"])
    server = Server(shell, tmp_path / "server", "--workers", str(workers))
    token = server.signed_in()
    pid = (server.workers() or [server.process.pid])[0]
    asking = server.at(pid, token)
    quiet, flood = (opened(asking, tmp_path, script) for script in ("sleep 1000", FLOOD))

    reader, stalled = (attached(server.connected_to(pid), token) for _ in range(2))
    ask(reader, "session.attach", sessionId=flood, after=0)
    seen = taken(reader)
    # One that takes no byte of what it asked for: neither of a stream, nor of a file.
    stalled.send(json.dumps({"id": "1", "type": "session.attach", "sessionId": flood, "after": 0}))
    download = asking_for(server.at(pid), "GET", uploaded(asking, shell, server.home))
    upload = asking.ask("POST", "/api/data/datasets/uploads", {"name": "b", "filename": "b", "size": SIZE})[1]
    sending = server.at(pid).connection
    sending.putrequest("PUT", upload["parts"][0]["url"])
    sending.putheader("content-length", str(upload["parts"][0]["size"]))
    sending.endheaders(b"x" * 1000)
    newest = asking.ask("GET", f"/api/sessions/{quiet}")[1]["newest"]
    poll = asking_for(server.at(pid, token), "GET", f"/api/sessions/{quiet}/events?after={newest}&wait=30")
    idle = server.at(pid, token)
    assert idle.ask("GET", "/api/projects")[0] == 200

    with ThreadPoolExecutor(4) as together:
        consumers = [
            together.submit(told_by, reader, seen),
            together.submit(refused, poll),
            together.submit(refused, sending),
            together.submit(idle.connection.sock.recv, 1),
        ]
        server.process.send_signal(signal.SIGTERM)
        _, log = server.process.communicate(timeout=SECONDS)
        closed, polled, sent, nothing = (each.result(SECONDS) for each in consumers)
    assert server.process.returncode == 143
    # Started again, or another: a client of ours attaches anew behind its last event.
    assert closed == 1012
    assert (polled["code"], polled["details"]["retryable"]) == ("BACKEND_UNAVAILABLE", True)
    # What the client has of a file it keeps, and asks for the rest.
    assert 0 < cut_short(download) < SIZE
    assert sent is None or sent["code"] == "OUTCOME_UNKNOWN"
    assert nothing == b""
    # Every line of the log is one of JSON, to the last.
    assert [json.loads(line)["level"] for line in log.splitlines() if json.loads(line)["level"] == "error"] == []

    again = Server(shell, tmp_path / "server")
    once_more = Asking(http.client.HTTPConnection(*again.address, timeout=SECONDS), token)
    # Neither the upload nor the streams are lost.
    status, left = once_more.ask("GET", f"/api/data/datasets/uploads/{upload['id']}")
    assert (status, left["transferred"]) == (200, 0)
    for session in (quiet, flood):
        assert once_more.ask("POST", f"/api/sessions/{session}/close")[0] == 200
    again.stop()
    with suppress(ConnectionClosed):
        stalled.close()


def opened(asking: Asking, folder: Path, script: str) -> str:
    options = {"argv": ["sh", "-c", script], "cwd": str(folder)}
    new = {"type": "debug-stream", "context": {"processId": str(len(script))}, "options": options}
    status, session = asking.ask("POST", "/api/sessions", new)
    assert status == 201, session
    return str(session["sessionId"])


def uploaded(asking: Asking, shell: Shell, home: Path) -> str:
    """Push a file as the server's owner, and return where it is downloaded."""
    (shell.cwd / "file").write_bytes(bytes(SIZE))
    done = shell.run("nexus data dataset push file", environment={"NEXUS_HOME": str(home), "NEXUS_RESIDENT": "0"})
    item = json.loads(done.stdout)["data"]
    return str(asking.ask("GET", f"/api/data/datasets/{item['id']}/download")[1]["url"])


def asking_for(asking: Asking, method: str, path: str) -> http.client.HTTPConnection:
    asking.connection.request(method, path, headers=asking.headers)
    return asking.connection


def told_by(websocket: Any, seen: list[dict[str, Any]]) -> int:
    """Read to the end; return the code of the close. What came is without a gap."""
    try:
        while True:
            seen += taken(websocket)
    except ConnectionClosed as closed:
        assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1))
        return closed.rcvd.code if closed.rcvd else 0


def refused(connection: http.client.HTTPConnection) -> dict[str, Any] | None:
    """Return the error that comes in the place of an answer; None where the connection is cut without one."""
    try:
        return dict(json.loads(connection.getresponse().read())["error"])
    except (ConnectionError, http.client.HTTPException):
        return None


def cut_short(connection: http.client.HTTPConnection) -> int:
    """Read what came of a file; return how much that is."""
    answer = connection.getresponse()
    read = 0
    try:
        while chunk := answer.read(1000):
            read += len(chunk)
    except (ConnectionError, http.client.IncompleteRead):
        return read
    return read
