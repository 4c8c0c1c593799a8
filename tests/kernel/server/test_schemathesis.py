"""schemathesis over the whole OpenAPI, signed in and not: no 5xx, and no answer outside of its schema.

What would start a program, or end one of the machine's, names one that is not there; a URL is this server's own.
"""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance

from tests.kernel.server.running import Running, running

NO_PROCESS = "4194305"
"""Above what Linux ever gives, so that it is nobody's."""
NO_PROGRAM = "/nowhere/no-program"

SOAK = bool(os.environ.get("NEXUS_SOAK"))  # noqa: TID251 -- the tests' switch
SETTINGS = settings(
    max_examples=30 if SOAK else 2,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
    derandomize=not SOAK,
)
ONCE = settings(SETTINGS, max_examples=1)

TRAVERSALS = (
    "..",
    "../../../../../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "..\\..\\etc\\passwd",
    "/etc/passwd",
    "passwd\0.json",
    "x\r\nset-cookie: a=b\r\n\r\nHTTP/1.1 200 OK",
    "x\x1b[2Jx",
    "a" * 4000,
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A server in a thread with its own loop, and a token of its admin."""
    folder: Path = tmp_path_factory.mktemp("schemathesis") / "data"
    ready, ended = threading.Event(), threading.Event()
    told: list[str] = []

    async def serve() -> None:
        async with running(folder, minute_rate=10_000_000) as server:
            await sign_in(server)
            ready.set()
            await anyio.to_thread.run_sync(ended.wait)

    async def sign_in(server: Running) -> None:
        await server.user("root", "admin")
        key = await server.client((await server.login("root"))["accessToken"]).post(
            "/api/auth/keys", json={"name": "all"}
        )
        told.extend((server.url, key.json()["key"]))

    thread = threading.Thread(target=lambda: anyio.run(serve))
    thread.start()
    assert ready.wait(60)
    yield told[0], told[1]
    ended.set()
    thread.join(60)


def operations(url: str) -> Iterator[schemathesis.APIOperation]:
    for found in schemathesis.openapi.from_url(f"{url}/openapi.json").get_all_operations():
        yield found.ok()


def harmless(case: schemathesis.Case, url: str) -> None:
    """Take from a request what could touch this machine, or another one."""
    if "/processes/" in case.path:
        case.path_parameters = {"id": NO_PROCESS}
    if not isinstance(case.body, dict):
        return
    if "url" in case.body:
        case.body["url"] = url
    if "gitUrl" in case.body:
        case.body["gitUrl"] = f"{url}/no-repository"
    for named in ("backend", "contentPath", "shell"):
        if case.body.get(named):
            case.body[named] = f"acp:{NO_PROGRAM}" if named == "backend" else NO_PROGRAM
    document = case.body.get("document", case.body)
    steps = document.get("steps") if isinstance(document, dict) else None
    for step in steps.values() if isinstance(steps, dict) else ():
        if isinstance(step, dict):
            step["run"] = [NO_PROGRAM]
    options = case.body.get("options")
    if isinstance(options, dict) and case.path.endswith("/sessions"):
        case.body["options"] = {**options, "shell": NO_PROGRAM, "argv": [NO_PROGRAM]}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("signed", [True, False])
def test_no_answer_is_a_fault_nor_outside_of_its_schema(served: tuple[str, str], signed: bool) -> None:
    url, key = served
    headers = {"authorization": f"Bearer {key}"} if signed else {}
    for operation in operations(url):

        @SETTINGS
        @given(case=operation.as_strategy())
        def one(case: schemathesis.Case) -> None:
            harmless(case, url)
            case.call_and_validate(headers=headers, checks=(not_a_server_error, response_schema_conformance))

        one()


def test_no_path_parameter_leads_out_of_its_place(served: tuple[str, str]) -> None:
    """By every parameter of every path that the schema has, with bodies that are valid: none finds a file."""
    url, key = served
    asked = 0
    for operation in operations(url):
        if "{" not in operation.path:
            continue
        asked += 1

        @ONCE
        @given(case=operation.as_strategy())
        def one(case: schemathesis.Case) -> None:
            harmless(case, url)
            for attempt in TRAVERSALS:
                case.path_parameters = dict.fromkeys(case.path_parameters or {}, attempt)
                told = case.call(headers={"authorization": f"Bearer {key}"})
                assert told.status_code < 500, (case.method, case.path, attempt, told.text)
                assert told.status_code >= 400 or case.method == "GET", (case.method, case.path, attempt, told.text)
                assert "root:" not in told.text
                assert "set-cookie" not in told.headers

        one()
    assert asked > 50
