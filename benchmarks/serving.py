"""`nexus serve` of an installed nexus, with an account that may do everything."""

import http.client
import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from installed import Installed

SECONDS = 120


@dataclass
class Server:
    """A server that runs. `ask` asks as the account whose token it is."""

    process: subprocess.Popen[str]
    port: int
    token: str = ""
    log: list[str] = field(default_factory=list)

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)

    def ask(self, method: str, path: str, body: Any = None) -> bytes:
        """Return the body of an answer. Raises `RuntimeError` for a refusal."""
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        connection = self.connection()
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        read = answer.read()
        connection.close()
        if answer.status >= 400:
            raise RuntimeError(read.decode())
        return read


@contextmanager
def served(nexus: Installed, *flags: str, **environment: str) -> Iterator[Server]:
    """Run a server; it is ended by SIGTERM, unless it has ended."""
    process = subprocess.Popen(
        [nexus.nexus, "serve", "--port", "0", *flags],
        env=nexus.environment | {"NEXUS_RESIDENT": "0"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        data = json.loads(process.stdout.readline())["data"]
        server = Server(process, int(data["url"].rpartition(":")[2]))
        if data["setup"]:
            told = json.loads(process.stderr.readline())["message"]
            setup = told.partition("NEXUS_SETUP_TOKEN=")[2].partition(" ")[0]
            account = {"name": "anna", "password": "correct horse battery", "setupToken": setup}
            server.token = json.loads(server.ask("POST", "/api/auth/register", account))["accessToken"]
        # A log that nobody reads would stop the server.
        threading.Thread(target=lambda: server.log.extend(process.stderr), daemon=True).start()
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(SECONDS)
