"""A stand-in for a Vault: KV version 2, tokens, AppRole, a dynamic engine and its leases, as the public API has them.

No server of HashiCorp's or OpenBao's can be had where the tests run. This one listens on loopback, speaks HTTP as they
do (paths, bodies, statuses, header), and keeps time: tokens and leases end, and a lease ends with its token.
"""

import asyncio
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

ROLE_ID = "5f0c3f4e-role"
SECRET_ID = "b2a1-secret-id-of-the-role"


class Refusal(Exception):
    def __init__(self, status: int, *errors: str) -> None:
        self.status, self.errors = status, list(errors)


@dataclass
class Timed:
    """A token or a lease: when it ends, when it must end at the latest, and how long each renewal is."""

    ttl: float
    max_ttl: float
    renewable: bool = True
    made: float = field(default_factory=time.monotonic)
    renewals: int = 0
    data: dict[str, Any] = field(default_factory=dict)
    token: str = ""
    may: bool = True

    def __post_init__(self) -> None:
        self.ends = self.made + self.ttl

    def left(self) -> float:
        return self.ends - time.monotonic() if self.ttl else float("inf")

    def renew(self, wanted: float | None) -> int:
        moment = time.monotonic()
        self.renewals += 1
        granted = min(wanted or self.ttl, self.made + self.max_ttl - moment)
        self.ends = moment + granted
        return max(int(granted), 0)


@dataclass
class Vault:
    """What the server knows. Seconds of what is lent can be set; `asked` has every request's method and path."""

    tokens: dict[str, Timed] = field(default_factory=dict)
    values: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    leases: dict[str, Timed] = field(default_factory=dict)
    revoked: list[str] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    sealed: bool = False
    away: bool = False
    redirects: bool = False
    token_ttl: float = 3600
    token_max: float = 36000
    lease_ttl: float = 3600
    lease_max: float = 36000
    lease_renewable: bool = True
    url: str = ""

    def token(self, *, ttl: float = 0, may: bool = True) -> str:
        made = f"hvs.{secrets.token_urlsafe(18)}"
        self.tokens[made] = Timed(ttl, self.token_max, renewable=bool(ttl), may=may)
        return made

    def good(self) -> dict[str, Timed]:
        """Return the leases that are good now: their own time is not over, nor that of the token they were lent to."""
        return {
            name: lease
            for name, lease in self.leases.items()
            if lease.left() > 0 and lease.token in self.tokens and self.tokens[lease.token].left() > 0
        }

    # -- requests

    async def answer(self, request: Request) -> Response:
        path = request.url.path.removeprefix("/v1/")
        self.asked.append((request.method, path))
        try:
            if self.redirects:
                return RedirectResponse("https://elsewhere.invalid/v1/" + path)
            self._refuse()
            body = await request.json() if await request.body() else {}
            told = self._routed(request.method, path, request.headers.get("x-vault-token", ""), body)
        except Refusal as refusal:
            return JSONResponse({"errors": refusal.errors}, refusal.status)
        return Response(status_code=204) if told is None else JSONResponse(told)

    def _refuse(self) -> None:
        if self.away:
            raise Refusal(502, "bad gateway")
        if self.sealed:
            raise Refusal(503, "Vault is sealed")

    def _routed(self, method: str, path: str, token: str, body: dict[str, Any]) -> dict[str, Any] | None:
        if path == "auth/approle/login" and method == "POST":
            return self._login(body)
        holder = self.tokens.get(token)
        if holder is None or holder.left() <= 0:
            raise Refusal(403, "permission denied")
        if path.startswith("auth/token/"):
            return self._own(path, token, holder)
        if not holder.may:
            raise Refusal(403, "1 error occurred:\n\t* permission denied\n\n")
        match path.split("/"):
            case ["secret", "data", *rest]:
                return self._data(method, "/".join(rest), body)
            case ["secret", "metadata", *rest]:
                return self._metadata(method, "/".join(rest))
            case ["database", "creds", role] if method == "GET" and role != "none":
                return self._lend(token, role)
            case ["sys", "leases", action] if method == "PUT":
                return self._lease(action, body)
        if path.startswith("database/"):
            raise Refusal(404)
        raise Refusal(404, f'no handler for route "{path}". route entry not found.')

    def _own(self, path: str, token: str, holder: Timed) -> dict[str, Any]:
        if path == "auth/token/lookup-self":
            ttl = 0 if not holder.ttl else int(holder.left())
            ends = "2026-01-01T00:00:00Z" if holder.ttl else None
            told = {"id": token, "ttl": ttl, "expire_time": ends, "renewable": holder.renewable}
            return _answer({**told, "policies": ["nexus"]})
        if not holder.renewable:
            raise Refusal(400, "lease is not renewable")
        return {**_answer(None), "auth": _auth(token, holder.renew(None), renewable=True)}

    def _login(self, body: dict[str, Any]) -> dict[str, Any]:
        if (body.get("role_id"), body.get("secret_id")) != (ROLE_ID, SECRET_ID):
            raise Refusal(400, "invalid role or secret ID")
        token = self.token(ttl=self.token_ttl)
        return {**_answer(None), "auth": _auth(token, int(self.token_ttl), renewable=True)}

    def _data(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        versions = self.values.get(path, [])
        if method == "GET":
            if not versions:
                raise Refusal(404)
            newest = versions[-1]
            return _answer({"data": newest["data"], "metadata": _version(newest, len(versions))})
        made = {"data": body["data"], "created_time": _moment()}
        self.values.setdefault(path, []).append(made)
        return _answer(_version(made, len(self.values[path])))

    def _metadata(self, method: str, path: str) -> dict[str, Any] | None:
        if method == "DELETE":
            self.values.pop(path, None)
            return None
        if method == "LIST":
            below = [name.removeprefix(f"{path}/") for name in self.values if name.startswith(f"{path}/")]
            if not below:
                raise Refusal(404)
            return _answer({"keys": sorted({f"{name.partition('/')[0]}/" if "/" in name else name for name in below})})
        versions = self.values.get(path)
        if not versions:
            raise Refusal(404)
        told = {str(at): _version(each, at) for at, each in enumerate(versions, 1)}
        return _answer(
            {
                "cas_required": False,
                "created_time": versions[0]["created_time"],
                "current_version": len(versions),
                "delete_version_after": "0s",
                "max_versions": 0,
                "oldest_version": 0,
                "updated_time": versions[-1]["created_time"],
                "custom_metadata": None,
                "versions": told,
            }
        )

    def _lend(self, token: str, role: str) -> dict[str, Any]:
        name = f"database/creds/{role}/{secrets.token_urlsafe(12)}"
        data = {"username": f"v-{role}-{secrets.token_hex(4)}", "password": f"A1a-{secrets.token_urlsafe(15)}"}
        lease = Timed(self.lease_ttl, self.lease_max, self.lease_renewable, data=data, token=token)
        self.leases[name] = lease
        return {**_answer(data), "lease_id": name, "lease_duration": int(lease.ttl), "renewable": lease.renewable}

    def _lease(self, action: str, body: dict[str, Any]) -> dict[str, Any] | None:
        name = body["lease_id"]
        if action == "revoke":
            self.leases.pop(name, None)
            self.revoked.append(name)
            return None
        lease = self.good().get(name)
        if lease is None:
            raise Refusal(400, "lease not found")
        if not lease.renewable:
            raise Refusal(400, "lease is not renewable")
        granted = lease.renew(body.get("increment"))
        return {**_answer(None), "lease_id": name, "lease_duration": granted, "renewable": True}


def _answer(data: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "request_id": secrets.token_hex(16),
        "lease_id": "",
        "renewable": False,
        "lease_duration": 0,
        "data": data,
        "wrap_info": None,
        "warnings": None,
        "auth": None,
    }


def _auth(token: str, seconds: int, *, renewable: bool) -> dict[str, Any]:
    return {
        "client_token": token,
        "accessor": secrets.token_hex(8),
        "policies": ["default", "nexus"],
        "token_policies": ["default", "nexus"],
        "metadata": {"role_name": "nexus"},
        "lease_duration": seconds,
        "renewable": renewable,
        "entity_id": "",
        "token_type": "service",
        "orphan": True,
    }


def _version(made: dict[str, Any], number: int) -> dict[str, Any]:
    return {"created_time": made["created_time"], "deletion_time": "", "destroyed": False, "version": number}


def _moment() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "789Z"


@contextmanager
def running(certificate: Path | None = None, key: Path | None = None) -> Iterator[Vault]:
    """Serve on a free port of loopback; with a certificate by TLS."""
    vault = Vault()
    methods = ["GET", "POST", "PUT", "DELETE", "LIST"]
    app = Starlette(routes=[Route("/v1/{path:path}", vault.answer, methods=methods)])
    listener = socket.create_server(("127.0.0.1", 0))
    tls: dict[str, Any] = {"ssl_certfile": certificate, "ssl_keyfile": key} if certificate else {}
    config = uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1, **tls)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    scheme = "https" if certificate else "http"
    vault.url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    try:
        yield vault
    finally:
        server.should_exit = True
        thread.join(30)
