"""Back ends that answer for a server, transports that open a way to one, and methods to sign in: all by plugins."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.nexus.plugins.conftest import manifest

if TYPE_CHECKING:
    from tests.nexus.plugins.conftest import Home

CODE = """
import json, threading
from nexus.plugin import Unavailable

PROJECT = {"id": "prj_1", "name": "far", "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z"}

def answers(given, context):
    if given.method != "GET":
        return {"status": 403, "body": {"error": {
            "type": "permission", "code": "PERMISSION_DENIED", "message": "Read only.", "details": {"exitCode": 3}}}}
    if given.target.startswith("/health"):
        return {"body": {"status": "ok", "version": given.url}}
    raise Unavailable("There is nothing there.", code="NOTHING_THERE")

def opens(given, context):
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            signed = self.headers.get("authorization", "nobody")
            body = json.dumps({"status": "ok", "version": f"{given.url} {signed}"}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return {"url": f"http://127.0.0.1:{server.server_port}"}

def signs(given, context):
    return "a-token-for-" + given.method
"""


def reaching() -> dict[str, object]:
    named = {"description": "It.", "call": "reaching_code:answers"}
    return manifest(
        "reaching",
        permissions={"network": True},
        contributes={
            "backends": {"demo": named},
            "transports": {"tunnel": {**named, "call": "reaching_code:opens"}},
            "authentication": {"sso": {**named, "call": "reaching_code:signs"}},
        },
    )


def server_of(done: object) -> str:
    items = json.loads(done.stdout)["data"]["items"]  # type: ignore[attr-defined]
    return next(str(item["message"]) for item in items if item["check"] == "server")


async def test_a_back_end_answers_for_a_server_of_its_scheme(home: Home) -> None:
    home.write(reaching(), CODE)
    assert "demo://somewhere" in server_of(await home("doctor --server demo://somewhere"))
    failed = (await home("agent project list --server demo://somewhere")).error
    assert failed["code"] == "NOTHING_THERE"
    refused = (await home("agent project create --name x --server demo://somewhere")).error
    assert refused["message"] == "Read only."
    unknown = (await home("agent project list --server other://somewhere")).error
    assert unknown["code"] == "VALIDATION_ERROR"


async def test_a_transport_opens_a_way_that_stays_open_and_a_method_signs_in(home: Home) -> None:
    home.write(reaching(), CODE)
    unreached = {"NEXUS_SERVER_URL": "tunnel://far"}
    assert (await home("agent project list", environment=unreached)).error["code"] == "PLUGIN_RIGHT_MISSING"
    assert (await home("settings plugin trust --name reaching", environment=unreached)).status == 0
    environment = {"NEXUS_SERVER_AUTHENTICATION": "sso"}
    for _ in range(2):
        told = server_of(await home("doctor --server tunnel://far", environment=environment))
        assert "tunnel://far Bearer a-token-for-sso" in told
    assert (await home("settings plugin view --name reaching")).data["workers"] == 2
    absent = await home("doctor --server tunnel://far", environment={"NEXUS_SERVER_AUTHENTICATION": "none-such"})
    assert absent.status == 0
    refused = await home("agent project list --server tunnel://far", environment={"NEXUS_SERVER_AUTHENTICATION": "no"})
    assert refused.error["code"] == "RESOURCE_NOT_FOUND"


async def test_a_scheme_of_nexus_is_refused(home: Home) -> None:
    clash = manifest("clash", contributes={"backends": {"https": {"description": "It.", "call": "clash_code:x"}}})
    home.write(clash)
    problem = (await home("settings plugin view --name clash")).data["problem"]
    assert "'https', which nexus has" in problem["message"]
