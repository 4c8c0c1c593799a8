"""`nexus serve` as a process, and connections to it of which one knows who took them."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Shell

SECONDS = 60
PASSWORD = "correct horse battery"
MOST_TRIES = 500


class Server:
    """A server process of its own."""

    def __init__(self, shell: Shell, home: Path, *flags: str) -> None:
        self.home = home
        environment = {**shell.environment, "NEXUS_HOME": str(home), "NEXUS_RESIDENT": "0"}
        self.process = subprocess.Popen(
            ["nexus", "serve", "--port", "0", *flags],
            env=environment,
            cwd=shell.cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.envelope: dict[str, Any] = json.loads(self.process.stdout.readline())
        assert self.envelope["status"] == "ok", self.envelope
        self.url: str = self.envelope["data"]["url"]

    def setup_token(self) -> str:
        """Return the token that stderr told."""
        assert self.process.stderr is not None
        told = json.loads(self.process.stderr.readline())["message"]
        return str(told.partition("NEXUS_SETUP_TOKEN=")[2].partition(" ")[0])

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it, and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.communicate(timeout=SECONDS)
        return self.process.returncode

    def signed_in(self) -> str:
        """Open the first account, an admin's, and return its access token."""
        made = {"name": "anna", "password": PASSWORD, "setupToken": self.setup_token()}
        connection = http.client.HTTPConnection(*self.address, timeout=SECONDS)
        token: str = Asking(connection).ask("POST", "/api/auth/register", made)[1]["accessToken"]
        connection.close()
        return token

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, _, port = self.url.partition("://")[2].rpartition(":")
        return host, int(port)

    def workers(self) -> list[int]:
        """Return the processes beside the kernel's own."""
        found = [
            child for child in psutil.Process(self.process.pid).children() if "worker" in " ".join(child.cmdline())
        ]
        return [child.pid for child in found]

    def connected_to(self, pid: int) -> socket.socket:
        """Return a connection that this process of the server took."""
        for _ in range(MOST_TRIES):
            connection = socket.create_connection(self.address, timeout=SECONDS)
            if took(pid, connection.getsockname()[1], self.process.pid):
                return connection
            connection.close()
        raise AssertionError(f"the process {pid} takes no connections")

    def at(self, pid: int, token: str | None = None) -> Asking:
        """Return what asks at this process of the server."""
        connection = http.client.HTTPConnection(*self.address, timeout=SECONDS)
        connection.sock = self.connected_to(pid)
        return Asking(connection, token)


class Asking:
    """Asks over one connection."""

    def __init__(self, connection: http.client.HTTPConnection, token: str | None = None) -> None:
        self.connection = connection
        self.headers = {"authorization": f"Bearer {token}"} if token else {}

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Return the status and the body."""
        sent = json.dumps(body).encode() if body is not None and not isinstance(body, bytes) else body
        self.connection.request(method, path, sent, {**self.headers, **headers})
        answer = self.connection.getresponse()
        read = answer.read()
        try:
            return answer.status, json.loads(read)
        except ValueError:
            return answer.status, read


def took(pid: int, port: int, owner: int) -> bool:
    """Wait until a process of the server has taken the connection from this port; say whether it is the one."""
    while True:
        for each in (pid, owner, *(child.pid for child in psutil.Process(owner).children())):
            try:
                connections = psutil.Process(each).net_connections("tcp")
            except psutil.Error:
                continue
            if any(found.raddr and found.raddr.port == port for found in connections):
                return each == pid
