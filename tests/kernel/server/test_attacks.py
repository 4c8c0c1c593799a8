"""A table of attacks on a real server, each a test: none of them gets in, and none brings it down."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jwt
import pytest
import websockets

from nexus.kernel.accounts import tokens
from nexus.kernel.accounts.tokens import AUDIENCE, ISSUER
from nexus.kernel.api.endpoint import Endpoint
from tests.kernel.answers import answer, make_project, refusal
from tests.kernel.server.running import Running, running


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def forged(server: Running) -> dict[str, tuple[str, str]]:
    """Return tokens that must not be taken, with the code that each is refused by."""
    await server.user("anna", "admin")
    good = (await server.login("anna"))["accessToken"]
    key = server.kernel.accounts.access._keys.key("tokens")
    claims = jwt.decode(good, key, algorithms=["HS256"], audience=AUDIENCE, issuer=ISSUER)
    now = int(time.time())

    def signed(by: bytes = key, algorithm: str = "HS256", **changes: Any) -> str:
        told = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        return jwt.encode(told, by, algorithm=algorithm)

    head, body, _ = good.split(".")
    none = f"{part({'alg': 'none', 'typ': 'JWT'})}.{body}."
    # RS256 in the header, signed as HS256 by what an attacker may know: the confusion of algorithms.
    confused_head = part({"alg": "RS256", "typ": "JWT"})
    mac = hmac.digest(key, f"{confused_head}.{body}".encode(), hashlib.sha256)
    confused = f"{confused_head}.{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    invalid = "AUTHENTICATION_INVALID"
    return {
        "none": (none, invalid),
        "none in capitals": (f"{part({'alg': 'NONE'})}.{body}.", invalid),
        "no signature": (f"{head}.{body}.", invalid),
        "another algorithm, rightly signed": (signed(algorithm="HS384"), invalid),
        "confused algorithms": (confused, invalid),
        "another key": (signed(by=b"x" * 32), invalid),
        "an empty key": (signed(by=b"\0"), invalid),
        "expired": (signed(exp=now - 60, iat=now - 120), "TOKEN_EXPIRED"),
        "another audience": (signed(aud="somebody-else"), invalid),
        "another issuer": (signed(iss="somebody-else"), invalid),
        "no end": (signed(exp=None), invalid),
        "of an earlier generation": (signed(gen=0), invalid),
        "of a sign-in that is over": (signed(fam="sig_none"), invalid),
        "of nobody": (signed(sub="usr_none"), invalid),
        "odd claims": (signed(gen="1"), invalid),
        "an odd end": (signed(exp=str(now + 600)), invalid),
        "a refresh token": ((await server.login("anna"))["refreshToken"], invalid),
        "too long": ("x" * 5000, invalid),
        "empty words": ("..", invalid),
    }


async def test_a_forged_token_gets_nobody_in(server: Running) -> None:
    for name, (token, code) in (await forged(server)).items():
        for path in ("/api/projects", "/api/auth/me"):
            refused = await server.client(token).get(path)
            assert refused.status_code == 401, (name, refused.text)
            assert refused.json()["error"]["code"] == code, name
            assert refused.headers["www-authenticate"].startswith("Bearer")
    basic = await server.client(authorization="Basic YW5uYTp4").get("/api/projects")
    refusal(basic, 401, "AUTHENTICATION_INVALID")


async def test_a_token_that_was_taken_before_is_refused_once_its_time_is_over(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await server.signed_in("anna", "admin")
    answer(await anna.get("/api/projects"))
    # As if its ten minutes were over, and an hour more.
    monkeypatch.setattr(tokens, "LEEWAY_SECONDS", -4200)
    refusal(await anna.get("/api/projects"), 401, "TOKEN_EXPIRED")


async def test_a_socket_wants_a_token_and_a_page_of_its_own_origin(server: Running) -> None:
    token = {"authorization": f"Bearer {await viewer_token(server)}"}
    url = server.url.replace("http", "ws") + "/kernel"
    for headers, status in (
        ({}, 401),
        ({"authorization": "Bearer none"}, 401),
        ({**token, "origin": "https://evil.example"}, 403),
        ({**token, "origin": "null"}, 403),
        ({**token, "origin": server.url + ".evil.example"}, 403),
    ):
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with websockets.connect(url, additional_headers=headers, proxy=None):
                pass
        assert refused.value.response.status_code == status, headers
    async with websockets.connect(url, additional_headers={**token, "origin": server.url}, proxy=None) as connection:
        await connection.send('{"type":"ping","id":"1"}')
        assert json.loads(await asyncio.wait_for(connection.recv(), 30))["type"] == "pong"


async def viewer_token(server: Running) -> str:
    await server.user("vera", "viewer")
    return str((await server.login("vera"))["accessToken"])


async def test_pages_of_another_origin_may_not_ask_unless_named(tmp_path: Path) -> None:
    evil, friend = {"origin": "https://evil.example"}, {"origin": "https://friend.example"}
    async with running(tmp_path / "data", origins=frozenset({friend["origin"]})) as server:
        anna = await server.signed_in("anna", "member")
        assert (await anna.post("/api/projects", json={"name": "x"}, headers=evil)).status_code == 403
        read = await anna.get("/api/projects", headers=evil)
        assert "access-control-allow-origin" not in read.headers
        assert (await anna.options("/api/projects", headers=evil)).status_code == 403
        asked = await anna.options("/api/projects", headers=friend)
        assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, friend["origin"])
        made = await anna.post("/api/projects", json={"name": "y"}, headers=friend)
        assert answer(made, 201)
        assert made.headers["access-control-allow-origin"] == friend["origin"]
        assert "access-control-allow-credentials" not in made.headers


TRAVERSALS = (
    "..",
    "../../etc/passwd",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%2f..%2fetc%2fpasswd",
    "/etc/passwd",
    "%00",
)


async def test_no_path_to_a_file_leads_out(server: Running, tmp_path: Path) -> None:
    """In a query and in a body; test_schemathesis has those in paths."""
    admin = await server.signed_in("root", "admin")
    project = await make_project(server.owner)
    for attempt in TRAVERSALS:
        query = {"projectId": project["id"], "path": attempt}
        for place in ("content", "tree", "diff"):
            told = await admin.get(f"/api/files/{place}", params=query)
            assert told.status_code in (404, 422), (place, attempt, told.text)
            assert "root:" not in told.text
        await admin.post("/api/files/content", json={**query, "content": "written"})
    made = [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() == b"written"]
    # What only looks like a climb is a name as any other.
    assert {path.parent for path in made} == {Path(project["contentPath"])}


async def test_what_is_sent_begins_no_line_and_no_header_of_its_own(server: Running) -> None:
    anyone = server.client()
    odd = quote("x\r\nset-cookie: a=b\r\n\r\nHTTP/1.1 200 OK")
    told = await anyone.get(f"/nothing/{odd}", headers={"x-request-id": "fine"})
    assert told.headers["x-request-id"] == "fine"
    assert "set-cookie" not in told.headers
    await anyone.post("/api/auth/login", json={"name": 'a","user":"root"\n{"seq":1', "password": "wrong password"})
    assert all("\n" not in json.dumps(line) for line in server.log)
    records = answer(await server.owner.get("/api/audit"))["items"]
    assert records[0]["user"] == "anonymous"
    assert answer(await server.owner.get("/api/audit/verify"))["intact"]


async def test_bytes_are_given_to_signed_urls_alone_and_to_no_name_that_climbs(server: Running) -> None:
    admin = await server.signed_in("root", "admin")
    for rest in (
        "bytes/../../secret.key",
        "bytes/%2e%2e%2f%2e%2e%2fsecret.key",
        "parts/..%2f..%2fx/1",
        "bytes//etc/passwd",
    ):
        for method in ("GET", "PUT"):
            told = await admin.request(method, f"/blobs/{rest}", params={"expires": "99999999999", "signature": "x"})
            assert told.status_code in (403, 404, 405), (method, rest, told.text)
        told = await raw(server, f"GET /blobs/{rest} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        assert told.split()[1] in (b"403", b"404")


async def test_a_name_that_is_told_in_a_header_makes_no_header(server: Running) -> None:
    anna = await server.signed_in("anna", "member")
    for filename in ("a\r\nset-cookie: x=y", "a\nb", "a\0b", "../../etc/passwd", "a/b", ""):
        body = {"name": "x", "filename": filename, "size": 0}
        refusal(await anna.post("/api/data/datasets/uploads", json=body), 422, "VALIDATION_ERROR")
    for number, filename in enumerate(('a";x="b', "größe.csv", "a%0d%0ab", "..", "\u2028x", "\u202etxt.exe")):
        upload = answer(
            await anna.post("/api/data/datasets/uploads", json={"name": f"n{number}", "filename": filename, "size": 1}),
            201,
        )
        assert (await anna.put(upload["parts"][0]["url"], content=b"x")).status_code == 200
        digest = {"sha256": hashlib.sha256(b"x").hexdigest()}
        made = answer(await anna.post(f"/api/data/datasets/uploads/{upload['id']}/complete", json=digest))
        download = answer(await anna.get(f"/api/data/datasets/{made['id']}/download"))
        got = await anna.get(download["url"])
        assert got.content == b"x"
        told = got.headers["content-disposition"]
        assert told.startswith("attachment")
        assert told.isascii()
        assert told.count('"') in (0, 2), told
        assert "set-cookie" not in got.headers


async def test_a_request_id_is_a_plain_word_or_another_is_made(server: Running) -> None:
    for given in ("x" * 201, "\x7f", "é", "a\tb", ""):
        told = await server.client().get("/health", headers={"x-request-id": given.encode("latin-1")})
        assert told.headers["x-request-id"].startswith("req_"), given
        assert server.log[-1]["requestId"].startswith("req_")
    smuggled = b"GET /health HTTP/1.1\r\nhost: x\r\nx-request-id: a\r\n b\r\nset-cookie: c\0d\r\n\r\n"
    assert (await raw(server, smuggled)).startswith(b"HTTP/1.1 400")


async def test_what_is_nested_deep_or_has_a_large_head_is_refused(server: Running) -> None:
    anna = await server.signed_in("anna", "member")
    for deep in ("[" * 100_000, '{"a":' * 100_000, '{"name":' + "[" * 100_000 + "]" * 100_000 + "}"):
        refused = await anna.post("/api/projects", content=deep, headers={"content-type": "application/json"})
        assert refused.status_code == 422, refused.text
    token = anna.headers["authorization"]
    url = server.url.replace("http", "ws") + "/kernel"
    async with websockets.connect(url, additional_headers={"authorization": token}, proxy=None) as connection:
        await connection.send('{"type":' + "[" * 100_000)
        told = json.loads(await asyncio.wait_for(connection.recv(), 30))
        assert told["error"]["type"] in ("validation", "parse"), told
    head = b"GET /health HTTP/1.1\r\nhost: x\r\n"
    for large in (head + b"a: " + b"x" * 200_000 + b"\r\n\r\n", head + b"a: b\r\n" * 50_000 + b"\r\n"):
        told = await raw(server, large)
        assert not told.startswith(b"HTTP/1.1 2"), told[:100]
    answer(await server.client().get("/health"))


async def test_a_body_that_drips_is_cut(tmp_path: Path) -> None:
    """Each byte comes in time, and all of them never would."""
    async with running(tmp_path / "data", body_seconds=1.0) as server:
        await server.user("anna", "member")
        token = (await server.login("anna"))["accessToken"]
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = "POST /api/projects HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n"
        writer.write(f"{head}authorization: Bearer {token}\r\n\r\n".encode())

        async def drip() -> None:
            while True:
                writer.write(b" ")
                await asyncio.sleep(0.1)

        dripping = asyncio.create_task(drip())
        assert (await asyncio.wait_for(reader.read(), 60)).startswith(b"HTTP/1.1 408")
        dripping.cancel()
        writer.close()


async def test_a_token_in_a_url_is_refused_and_not_written_down(server: Running) -> None:
    anyone = server.client()
    for name in ("access_token", "token", "api_key", "Authorization"):
        refused = await anyone.get("/health", params={name: "very-secret"})
        refusal(refused, 422, "VALIDATION_ERROR")
        assert "very-secret" not in refused.text
    await anyone.get("/api/projects", params={"filter": "very-secret"})
    url = server.url.replace("http", "ws") + "/kernel?access_token=very-secret"
    with pytest.raises(websockets.InvalidStatus) as refusing:
        async with websockets.connect(url, proxy=None):
            pass
    assert refusing.value.response.status_code == 422
    assert "very-secret" not in json.dumps(server.log)


async def raw(server: Running, sent: bytes, *, most: float = 60.0) -> bytes:
    """Send bytes and return all that comes until the server closes."""
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(sent)
        await writer.drain()
        return await asyncio.wait_for(reader.read(), most)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_what_is_too_large_too_slow_or_no_http_is_cut(tmp_path: Path) -> None:
    async with running(tmp_path / "data", body_bytes=2000, head_seconds=2, body_seconds=2) as server:
        await server.user("anna", "member")
        token = (await server.login("anna"))["accessToken"]
        large = await server.client(token).post("/api/projects", content=b"x" * 3000)
        refusal(large, 413, "REQUEST_TOO_LARGE")

        # By its pieces, without a length.
        head = f"POST /api/projects HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n".encode()
        piece = b"3e8\r\n" + b"x" * 1000 + b"\r\n"
        told = await raw(server, head + b"transfer-encoding: chunked\r\n\r\n" + piece * 3)
        assert told.startswith(b"HTTP/1.1 413")
        assert (await server.client().get("/api/projects", params={"filter": "x" * 20_000})).status_code == 413
        # A head that never ends, a body that never comes, and noise.
        assert await raw(server, b"GET /health HTTP/1.1\r\nhost: x\r\n") == b""
        head = (
            f"POST /api/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\nauthorization: Bearer {token}\r\n\r\n"
        )
        assert (await raw(server, head.encode() + b"{")).startswith(b"HTTP/1.1 408")
        assert (await raw(server, b"\0\1\2 noise\r\n\r\n")).startswith(b"HTTP/1.1 400")
        two_lengths = b"content-length: 3\r\ncontent-length: 4\r\n"
        smuggled = b"GET /health HTTP/1.1\r\nhost: x\r\n" + two_lengths + b"\r\n0\r\n\r\n"
        assert (await raw(server, smuggled)).startswith(b"HTTP/1.1 400")
        answer(await server.client().get("/health"))
        assert {"size", "slow"} <= server.face.metrics.refused.keys()


async def test_who_asks_too_much_is_told_when_to_come_again(tmp_path: Path) -> None:
    async with running(tmp_path / "data", minute_rate=60) as server:
        anyone = server.client()
        answers = [await anyone.get("/health") for _ in range(15)]
        refused = [each for each in answers if each.status_code == 429]
        assert refused
        assert refusal(refused[0], 429, "RATE_LIMITED")["details"]["retryAfterMs"] <= 1001
        assert refused[0].headers["retry-after"] == "1"
        # Another caller has a measure of its own.
        answer(await server.owner.get("/health"))


UPGRADE = (
    "host: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n"
)


@pytest.mark.parametrize(
    "head",
    [
        f"GET /kernel HTTP/1.1\r\n{UPGRADE}content-length: 5\r\n\r\n",
        f"GET /kernel HTTP/1.1\r\n{UPGRADE}transfer-encoding: chunked\r\n\r\n",
        f"POST /kernel HTTP/1.1\r\n{UPGRADE}content-length: 5\r\n\r\n",
        f"GET /kernel HTTP/1.1\r\n{UPGRADE}{'a: b' * 300}\r\n\r\n",
        f"GET /kernel HTTP/1.1\r\n{UPGRADE}" + "a: b\r\n" * 300 + "\r\n",
        f"GET /kernel HTTP/1.1\r\n{UPGRADE}a: {'b' * 20_000}\r\n\r\n",
        f"GET /kernel?{'x' * 15_000} HTTP/1.1\r\n{UPGRADE}\r\n",
    ],
    ids=["length", "chunked", "post", "header", "headers", "long header", "long line"],
)
async def test_a_handshake_that_is_none_is_ended(server: Running, head: str) -> None:
    """By nobody, who would hold a connection with each."""
    assert (await raw(server, head.encode())).startswith(b"HTTP/1.1 4")


async def test_nobody_has_another_address_by_saying_so(tmp_path: Path) -> None:
    for proxies, address in (((), "127.0.0.1"), (("127.0.0.1",), "192.0.2.7")):
        async with running(tmp_path / address, proxies=proxies) as server:
            told = {"x-forwarded-for": "192.0.2.7", "x-real-ip": "192.0.2.8", "forwarded": "for=192.0.2.9"}
            answer(await server.client().get("/health", headers=told))
            assert server.log[-1]["address"] == address


async def test_the_metrics_are_for_who_may_read_them_and_are_as_prometheus_reads(server: Running) -> None:
    anyone, root = server.client(), await server.signed_in("root", "admin")
    refusal(await anyone.get("/metrics"), 401, "AUTHENTICATION_REQUIRED")
    await root.get("/api/projects")
    told = await root.get("/metrics")
    assert told.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = told.text.splitlines()
    assert 'nexus_requests_total{method="GET",operation="agent.project.list",status="200"} 1' in lines
    assert all(line.startswith("#") or float(line.rpartition(" ")[2]) >= 0 for line in lines)
    answer(await anyone.get("/health"))


async def test_a_route_that_does_not_check_callers_is_the_owners_alone(server: Running) -> None:
    from starlette.routing import Route

    checked = [route for route in server.kernel.app.routes if getattr(route, "checks_callers", False)]
    assert {"/kernel", "/oauth/token", "/device"} <= {route.path for route in checked}
    others = [
        route.path
        for route in server.kernel.app.routes
        if route not in checked and not isinstance(getattr(route, "app", None), Endpoint) and isinstance(route, Route)
    ]
    assert set(others) <= {"/openapi.json"}
