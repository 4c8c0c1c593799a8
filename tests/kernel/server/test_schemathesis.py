"""schemathesis over the whole OpenAPI, signed in and not: no 5xx, and no answer outside of its schema."""

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

SKIPPED = ("/stop", "/backend", "/check", "/choose", "/connections", "/topology", "/processes", "/logs", "/servers")
"""What ends the kernel, asks the network, or looks at the whole machine: tested where it belongs."""


SETTINGS = settings(
    max_examples=2,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
    derandomize=True,
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


@pytest.mark.parametrize("signed", [True, False])
def test_no_answer_is_a_fault_nor_outside_of_its_schema(served: tuple[str, str], signed: bool) -> None:
    url, key = served
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    headers = {"authorization": f"Bearer {key}"} if signed else {}
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if any(word in operation.path for word in SKIPPED):
            continue
        asked += 1

        @SETTINGS
        @given(case=operation.as_strategy())
        def one(case: schemathesis.Case) -> None:
            case.call_and_validate(headers=headers, checks=(not_a_server_error, response_schema_conformance))

        one()
    assert asked > 40
