"""Roles: what is granted, on the operation itself, over HTTP and WebSocket alike; and nothing beyond."""

import asyncio
import json
import re
from contextlib import suppress
from typing import Any, get_args

import pytest
import websockets
from starlette.routing import Route

from nexus.kernel.accounts import tokens
from nexus.kernel.api.endpoint import Endpoint
from nexus.kernel.api.operation import Operation
from nexus.kernel.caller import covers, matches
from nexus.schemas.errors import NotFound, SessionNotFound
from nexus.schemas.protocol import KernelCommand
from tests.kernel.accounts.test_signing import audit_of
from tests.kernel.answers import answer, make_project, refusal
from tests.kernel.server.running import PASSWORD, Running


@pytest.mark.parametrize(
    ("pattern", "granted", "denied"),
    [
        ("*", ["agent.project.list", "kernel.health"], []),
        ("agent.*", ["agent.project.list", "agent.file.read"], ["ai.session.list"]),
        ("agent.project.list", ["agent.project.list"], ["agent.project.create", "agent.project"]),
        ("agent.roadmap.view", ["agent.roadmap.view", "agent.roadmap.view.status"], ["agent.roadmap.list"]),
        ("*.*.list", ["agent.project.list", "ai.session.list"], ["agent.project.view", "kernel.list"]),
        ("agent.*.list", ["agent.chat.list"], ["agent.chat.send", "ai.chat.list"]),
    ],
)
def test_a_pattern_grants_what_it_says(pattern: str, granted: list[str], denied: list[str]) -> None:
    assert all(matches(pattern, each) for each in granted)
    assert not any(matches(pattern, each) for each in denied)


def test_what_covers_what() -> None:
    assert covers(["*"], "*")
    assert covers(["agent.*"], "agent.project.*")
    assert covers(["agent.*"], "agent.project.list")
    assert covers(["*.*.list"], "agent.*.list")
    for narrow, wide in (
        ("agent.*", "*"),
        ("agent.project.*", "agent.*"),
        ("agent.*.list", "agent.*"),
        ("a.b.c", "a.b.*"),
    ):
        assert not covers([narrow], wide)


NAMESPACES = ("agent", "ai", "session", "data", "pipeline", "network")
READS = [f"{namespace}.*.{action}" for namespace in NAMESPACES for action in ("list", "view")]
ROLES = {
    "viewer": [*READS, "agent.file.browse", "agent.file.read"],
    "member": [f"{namespace}.*" for namespace in NAMESPACES],
    "admin": ["*"],
}
OPEN_ROUTES = {"/openapi.json", "/oauth/device_authorization", "/oauth/token", "/device"}
"""What anyone may ask, beside the operations that say so."""


async def granting(operation: Operation) -> tuple[str, ...]:
    """Return what grants an operation, of a thing that is not there."""
    more: tuple[str, ...] = ()
    if operation.also is not None:
        with suppress(NotFound, SessionNotFound):
            more = await operation.also(dict.fromkeys(("id", "name"), "x"))
    return (operation.operation_id, *more)


async def test_every_route_lets_in_whom_it_should_and_nobody_else(server: Running) -> None:
    """Every route times every role, as the app has them: a new one is held to this too."""
    nobody, plain = server.client(), await server.signed_in("plain")
    signed = {role: await server.signed_in(f"{role}-1", role) for role in ROLES}
    asked = 0
    for route in server.kernel.app.routes:
        if not isinstance(getattr(route, "app", None), Endpoint):
            continue
        path = re.sub(r"\{[^}]+\}", "x", route.path)
        for method, operation in route.app.operations.items():
            if operation.access == "public" or operation.operation_id == "debug.kernel.stop":
                continue
            asked += 1
            refusal(await nobody.request(method, path), 401, "AUTHENTICATION_REQUIRED")
            if operation.access == "signed-in":
                continue
            refused = await plain.request(method, path)
            # Of a session that is not there, nothing can be granted.
            assert refused.status_code in (403, 404), (method, path, refused.text)
            ids = await granting(operation)
            for role, patterns in ROLES.items():
                told = await signed[role].request(method, path)
                if any(matches(pattern, each) for pattern in patterns for each in ids):
                    assert told.status_code not in (401, 403), (role, method, path, told.text)
                else:
                    assert told.status_code in (403, 404), (role, method, path, told.text)
                assert told.status_code < 500, (role, method, path, told.text)
    assert asked > 100
    for role in ("viewer", "member"):
        refusal(await signed[role].post("/api/debug/kernel/stop", json={}), 403, "PERMISSION_DENIED")


async def test_a_route_that_is_no_operation_lets_nobody_in_either(server: Running) -> None:
    nobody, plain = server.client(), await server.signed_in("plain")
    asked = 0
    for route in server.kernel.app.routes:
        if isinstance(getattr(route, "app", None), Endpoint) or not isinstance(route, Route):
            continue
        if route.path in OPEN_ROUTES:
            continue
        asked += 1
        path = re.sub(r"\{[^}]+\}", "x", route.path)
        for client in (nobody, plain):
            for method in ("GET", "POST", "PUT", "DELETE"):
                told = await client.request(method, path)
                assert told.status_code in (401, 403, 404, 405), (method, path, told.text)
    assert asked >= 3


async def test_a_role_that_is_granted_or_revoked_counts_at_once(server: Running) -> None:
    anna = await server.signed_in("anna")
    refusal(await anna.get("/api/projects"), 403, "PERMISSION_DENIED")
    answer(await server.owner.post("/api/users/anna/roles", json={"role": "viewer"}))
    answer(await anna.get("/api/projects"))
    refusal(await anna.post("/api/projects", json={"name": "x"}), 403, "PERMISSION_DENIED")
    answer(await server.owner.delete("/api/users/anna/roles/viewer"))
    refusal(await anna.get("/api/projects"), 403, "PERMISSION_DENIED")
    told = await audit_of(server)
    assert '"operation":"agent.project.create","outcome":"denied"' in told
    assert '"operation":"settings.user.grant","outcome":"done"' in told


async def test_nobody_makes_anybody_greater_than_themselves(server: Running) -> None:
    chief = await server.signed_in("chief", patterns=["settings.user.*", "settings.role.*", "agent.project.*"])
    await server.user("root", "admin")
    refused = [
        await chief.post("/api/users/chief/roles", json={"role": "admin"}),
        await chief.post("/api/users", json={"name": "new", "password": PASSWORD, "roles": ["admin"]}),
        await chief.patch("/api/users/root", json={"password": "another password"}),
        await chief.delete("/api/users/root"),
        await chief.delete("/api/users/root/roles/admin"),
        await chief.post("/api/roles", json={"name": "all", "patterns": ["*"]}),
        await chief.post("/api/roles/of-chief/patterns", json={"patterns": ["ai.*"]}),
    ]
    for each in refused:
        refusal(each, 403, "PERMISSION_DENIED")
    answer(await chief.post("/api/roles", json={"name": "small", "patterns": ["agent.project.list"]}), 201)
    answer(await chief.post("/api/users", json={"name": "new", "roles": ["small"]}), 201)


async def test_the_last_admin_and_built_in_roles_stay(server: Running) -> None:
    await server.user("root", "admin")
    refusal(await server.owner.delete("/api/users/root"), 409, "RESOURCE_CONFLICT")
    refusal(await server.owner.patch("/api/users/root", json={"disabled": True}), 409, "RESOURCE_CONFLICT")
    refusal(await server.owner.delete("/api/users/root/roles/admin"), 409, "RESOURCE_CONFLICT")
    refusal(await server.owner.patch("/api/roles/viewer", json={"patterns": ["*"]}), 409, "RESOURCE_CONFLICT")
    refusal(await server.owner.delete("/api/roles/rol_admin"), 409, "RESOURCE_CONFLICT")


async def test_a_user_who_is_disabled_or_gets_another_password_is_out(server: Running) -> None:
    await server.user("root", "admin")
    anna = await server.signed_in("anna", "viewer")
    answer(await anna.get("/api/projects"))
    answer(await server.owner.patch("/api/users/anna", json={"password": "a second password"}))
    refusal(await anna.get("/api/projects"), 401, "AUTHENTICATION_INVALID")
    bert = await server.signed_in("bert", "viewer")
    answer(await server.owner.patch("/api/users/bert", json={"disabled": True}))
    refusal(await bert.get("/api/projects"), 401, "AUTHENTICATION_INVALID")
    wrong = await server.client().post("/api/auth/login", json={"name": "bert", "password": PASSWORD})
    refusal(wrong, 401, "AUTHENTICATION_INVALID")
    gone = answer(await server.owner.delete("/api/users/bert"))
    assert gone["cascade"] == {"keys": 0, "signIns": 0}


async def test_an_idempotency_key_is_its_callers_own(server: Running) -> None:
    key = {"idempotency-key": "one"}
    anna, bert = await server.signed_in("anna", "member"), await server.signed_in("bert", "member")
    first = answer(await anna.post("/api/projects", json={"name": "a"}, headers=key), 201)
    other = answer(await bert.post("/api/projects", json={"name": "b"}, headers=key), 201)
    assert first["id"] != other["id"]
    assert answer(await anna.post("/api/projects", json={"name": "a"}, headers=key), 201) == first


class Socket:
    """The kernel's WebSocket, as one user reaches it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._number = 0

    async def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Send a command and return its answer."""
        self._number += 1
        await self._connection.send(json.dumps({"type": kind, "id": str(self._number), **fields}))
        async with asyncio.timeout(30):
            while True:
                message = await self._connection.recv()
                told: dict[str, Any] = json.loads(message if isinstance(message, str) else message.partition(b"\n")[0])
                if told.get("id") == str(self._number):
                    return told


def socket_of(server: Running, token: str) -> Any:
    url = server.url.replace("http", "ws") + "/kernel"
    return websockets.connect(url, additional_headers={"authorization": f"Bearer {token}"}, proxy=None)


async def test_the_websocket_grants_what_http_grants(server: Running) -> None:
    project = await make_project(server.owner)
    terminal = {"type": "terminal", "context": {"projectId": project["id"]}, "options": {"shell": "/bin/sh"}}
    await server.user("anna", patterns=["agent.terminal.*"])
    await server.user("bert", patterns=["agent.terminal.list"])
    async with socket_of(server, (await server.login("anna"))["accessToken"]) as connection:
        anna = Socket(connection)
        made = await anna.ask("session.create", session=terminal)
        assert made["type"] == "session.created", made
        session_id = made["session"]["sessionId"]
        refused = await anna.ask("session.create", session={"type": "debug-stream", "options": {"argv": ["id"]}})
        assert refused["error"]["code"] == "PERMISSION_DENIED"
        async with socket_of(server, (await server.login("bert"))["accessToken"]) as other:
            bert = Socket(other)
            assert (await bert.ask("session.list", query={"type": "terminal"}))["type"] == "session.listed"
            assert (await bert.ask("session.list"))["error"]["code"] == "PERMISSION_DENIED"
            for kind in ("session.attach", "session.interrupt", "session.close", "session.restart"):
                assert (await bert.ask(kind, sessionId=session_id))["error"]["code"] == "PERMISSION_DENIED", kind
        # The same by polling.
        bert_http = server.client((await server.login("bert"))["accessToken"])
        refusal(await bert_http.get(f"/api/sessions/{session_id}/events"), 403, "PERMISSION_DENIED")
        refusal(await bert_http.post("/api/sessions", json=terminal), 403, "PERMISSION_DENIED")
        refusal(await bert_http.post(f"/api/sessions/{session_id}/close"), 403, "PERMISSION_DENIED")
        # A role that is taken away is gone on the open socket too.
        answer(await server.owner.delete("/api/users/anna/roles/of-anna"))
        assert (await anna.ask("session.close", sessionId=session_id))["error"]["code"] == "PERMISSION_DENIED"
    closed = await server.owner.post(f"/api/sessions/{session_id}/close")
    assert answer(closed)["status"] == "closed"
    told = await audit_of(server)
    assert '"user":"anna"' in told
    assert '"operation":"agent.terminal.open","outcome":"done"' in told


FIELDS: dict[str, Any] = {
    "sessionId": "ses_none",
    "session": {"type": "terminal"},
    "input": {"client": "c", "number": 1, "data": "x"},
    "size": {"columns": 80, "rows": 24},
    "attachment": 1,
    "seq": 1,
}
HARMLESS = {"ping", "session.detach", "session.consumed"}
"""What a connection asks of itself alone."""


async def test_every_command_of_the_socket_is_denied_to_who_has_no_role(server: Running) -> None:
    """As the protocol has them: a new one is held to this too. For who is nobody no socket opens."""
    await server.user("plain")
    kinds = [kind for kind in get_args(get_args(KernelCommand)[0]) if kind.model_fields["type"].default not in HARMLESS]
    assert len(kinds) >= 10
    async with socket_of(server, (await server.login("plain"))["accessToken"]) as connection:
        plain = Socket(connection)
        for kind in kinds:
            needed = [field.alias or name for name, field in kind.model_fields.items() if field.is_required()]
            given = {name: FIELDS[name] for name in needed if name != "id"}
            told = await plain.ask(kind.model_fields["type"].default, **given)
            assert told["error"]["code"] in ("PERMISSION_DENIED", "SESSION_NOT_FOUND"), (kind, told)


async def test_a_socket_of_who_was_disabled_is_closed(server: Running) -> None:
    await server.user("root", "admin")
    await server.user("anna", "viewer")
    async with socket_of(server, (await server.login("anna"))["accessToken"]) as connection:
        assert (await Socket(connection).ask("session.list"))["type"] == "session.listed"
        answer(await server.owner.patch("/api/users/anna", json={"disabled": True}))
        with pytest.raises(websockets.ConnectionClosed):
            await asyncio.wait_for(connection.recv(), 60)
        assert connection.close_code == 4401


async def test_a_socket_outlives_the_token_that_opened_it_and_not_the_sign_in(server: Running) -> None:
    await server.user("anna", "viewer")
    signed = await server.login("anna")
    key = server.kernel.accounts.access._keys.key("tokens")
    # Good for the leeway alone.
    short = tokens.issue(key, tokens.read(key, signed["accessToken"]), -2)
    async with socket_of(server, short) as connection:
        async with asyncio.timeout(60):
            while (await server.client(short).get("/api/auth/me")).status_code == 200:  # noqa: ASYNC110 -- time itself
                await asyncio.sleep(0.1)
        assert (await Socket(connection).ask("session.list"))["type"] == "session.listed"
        answer(await server.client(signed["accessToken"]).post("/api/auth/logout"))
        with pytest.raises(websockets.ConnectionClosed):
            await asyncio.wait_for(connection.recv(), 60)
