"""The official client against the installed server: both transports, the current revision and the one before."""

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from mcp import StdioServerParameters
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from nexus.registry.index import CommandIndex
from nexus.schemas.command import Effect
from nexus.schemas.envelope import Envelope
from tests.conftest import Shell

REVISIONS = {"2026-07-28": "2026-07-28", "2025-11-25": "legacy"}
SECONDS = 30


def words(*more: str) -> list[str]:
    return ["mcp", "serve", *more]


class HttpProcess:
    """`nexus mcp serve --http`, running; what it said of itself, and its token."""

    def __init__(self, shell: Shell, *more: str) -> None:
        self.process = subprocess.Popen(
            [str(nexus_of(shell)), *words("--http", *more)],
            env=shell.environment,
            cwd=shell.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.said = json.loads(self.process.stdout.readline())["data"]
        self.token = Path(self.said["tokenFile"]).read_text().strip()

    def close(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=SECONDS)


def nexus_of(shell: Shell) -> Path:
    return Path(shell.environment["PATH"].partition(":")[0]) / "nexus"


@asynccontextmanager
async def over_stdio(shell: Shell, mode: str, *more: str) -> AsyncIterator[Client]:
    server = StdioServerParameters(
        command=str(nexus_of(shell)), args=words(*more), env=shell.environment, cwd=str(shell.cwd)
    )
    async with Client(server, mode=mode, read_timeout_seconds=SECONDS) as client:
        yield client


@asynccontextmanager
async def over_http(shell: Shell, mode: str, *more: str) -> AsyncIterator[Client]:
    served = await asyncio.to_thread(HttpProcess, shell, *more)
    try:
        http = httpx2.AsyncClient(headers={"authorization": f"Bearer {served.token}"}, timeout=SECONDS)
        async with http, Client(streamable_http_client(served.said["url"], http_client=http), mode=mode) as client:
            yield client
    finally:
        await asyncio.to_thread(served.close)


TRANSPORTS = {"stdio": over_stdio, "http": over_http}


Connect = Callable[[], AbstractAsyncContextManager[Client]]


@pytest.fixture(params=[f"{transport} {revision}" for transport in TRANSPORTS for revision in REVISIONS])
def connect(request: pytest.FixtureRequest, shell: Shell) -> Connect:
    """Return what connects: a client must come and go in the test's own task."""
    transport, revision = request.param.split()

    @asynccontextmanager
    async def connected() -> AsyncIterator[Client]:
        async with TRANSPORTS[transport](shell, REVISIONS[revision]) as client:
            assert client.protocol_version == revision
            yield client

    return connected


async def called(client: Client, tool: str, command: str, **args: Any) -> dict[str, Any]:
    """Call a tool and hold what every answer promises."""
    result = await client.call_tool(tool, {"command": command, "args": args} if args else {"command": command})
    envelope = result.structured_content
    assert isinstance(envelope, dict)
    Envelope.model_validate(envelope)
    assert json.loads(result.content[0].text) == envelope  # type: ignore[union-attr]
    assert result.is_error == (envelope["status"] == "error")
    return envelope


async def test_a_tool_a_namespace_with_its_commands_as_an_enum(connect: Connect) -> None:
    async with connect() as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        commands = CommandIndex.built_in().commands()
        assert tools.keys() == {spec.path[0] for spec in commands if len(spec.path) == 3} | {"nexus"}
        for name, tool in tools.items():
            assert (tool.description or "").endswith("Run help for details")
            offered = set(tool.input_schema["properties"]["command"]["enum"])
            assert {"help", "schema"} <= offered
            assert offered - {"help", "schema"} == {
                " ".join(spec.path[0 if name == "nexus" else 1 :])
                for spec in commands
                if not spec.command_line_only
                and (spec.path[0] == name if name != "nexus" else len(spec.path) == 1)
                and spec.path not in (("help",), ("schema",))
            }
            assert tool.annotations is not None
            changing = [
                spec
                for spec in commands
                if spec.path[0] == name and {Effect.WRITE, Effect.DESTRUCTIVE} & set(spec.effects)
            ]
            if name != "nexus":
                assert tool.annotations.read_only_hint == (not changing)
        assert "Resources: " in (tools["agent"].description or "")


async def test_the_whole_list_takes_two_thousand_tokens_at_the_most(connect: Connect) -> None:
    async with connect() as client:
        listed = await client.list_tools()
        assert len(listed.model_dump_json(by_alias=True, exclude_none=True).encode()) / 4 <= 2000


async def test_commands_run_and_context_is_given_with_each_call(connect: Connect) -> None:
    async with connect() as client:
        assert (await called(client, "agent", "project create", name="one"))["data"]["name"] == "one"
        assert (await called(client, "agent", "roadmap create", title="first", project="one"))["status"] == "ok"
        missing = await called(client, "agent", "roadmap list")
        assert missing["errors"][0]["code"] == "CONTEXT_MISSING"
        listed = await called(client, "agent", "roadmap list", project="one")
        assert [item["title"] for item in listed["data"]["items"]] == ["first"]


async def test_help_leads_to_the_right_call(connect: Connect) -> None:
    async with connect() as client:
        level = await called(client, "agent", "help")
        assert {"name": "project"}.items() <= next(
            child for child in level["data"]["children"] if child["name"] == "project"
        ).items()
        for path in ("project create", "agent project create", "project.create", ["project", "create"]):
            shown = await called(client, "agent", "help", path=path)
            assert shown["data"]["name"] == "nexus agent project create"
        assert (await called(client, "agent", "help project create"))["data"]["name"] == "nexus agent project create"
        schema = await called(client, "agent", "schema", path="project create")
        assert schema["data"]["commands"][0]["command"] == "agent project create"
        assert (await called(client, "nexus", "help"))["data"]["name"] == "nexus"


async def test_errors_carry_the_code_and_a_hint_that_can_be_run(connect: Connect) -> None:
    async with connect() as client:
        unknown = await called(client, "agent", "project lst")
        assert unknown["errors"][0]["code"] == "COMMAND_NOT_FOUND"
        assert unknown["errors"][0]["details"]["suggestions"] == ["agent project list"]
        hint = unknown["errors"][0]["details"]["hint"]
        assert (await called(client, "nexus", "exec", line=hint))["status"] == "ok"
        await called(client, "agent", "project create", name="gone")
        refused = await called(client, "agent", "project delete", name="gone")
        assert refused["errors"][0]["code"] == "CONFIRMATION_REQUIRED"
        assert (await called(client, "nexus", "exec", line=refused["errors"][0]["details"]["hint"]))["status"] == "ok"
        for arguments in (
            {},
            {"command": 1},
            {"command": "project list", "name": "x"},
            {"command": "help", "args": [1]},
        ):
            result = await client.call_tool("agent", arguments)
            assert result.is_error
        with pytest.raises(MCPError):
            await client.call_tool("nothing", {"command": "help"})


async def test_results_are_cut_at_a_record_with_a_cursor_to_go_on(connect: Connect) -> None:
    async with connect() as client:
        for number in range(40):
            await called(client, "agent", "template create", name=f"t{number:02}", content="x" * 5000)
        names: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = await called(client, "agent", "template list", limit=100, **cursor)
            assert len(json.dumps(page)) <= 25_000 * 4
            names += [item["name"] for item in page["data"]["items"]]
            if page["data"]["nextCursor"] is None:
                break
            cursor = {"cursor": page["data"]["nextCursor"]}
        assert names == [f"t{number:02}" for number in range(40)]


async def test_a_stream_reports_its_progress_and_comes_whole(connect: Connect) -> None:
    async with connect() as client:
        await called(client, "agent", "project create", name="one")
        seen: list[float] = []

        async def told(progress: float, total: float | None, message: str | None) -> None:
            seen.append(progress)

        result = await client.call_tool(
            "agent",
            {
                "command": "terminal run",
                "args": {"command": "printf 'hel''lo'; sleep 0.2; printf done", "project": "one"},
            },
            progress_callback=told,
        )
        assert not result.is_error, result.structured_content
        events = result.structured_content["data"]["items"]  # type: ignore[index]
        assert (events[0]["event"], events[-1]["event"]) == ("metadata", "close")
        printed = "".join(event["payload"].get("content", "") for event in events if event["event"] == "data")
        assert "hello" in printed
        assert seen
        assert seen == sorted(seen)


async def test_a_call_that_is_cancelled_ends_what_it_started(connect: Connect, shell: Shell) -> None:
    async with connect() as client:
        await called(client, "agent", "project create", name="one")
        mark = shell.cwd / "begun"
        command = f"touch '{mark}'; exec sleep 321.5"
        running = asyncio.create_task(
            client.call_tool("agent", {"command": "terminal run", "args": {"command": command, "project": "one"}})
        )
        await until(mark.exists)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await until(lambda: not sleepers())
        assert (await called(client, "agent", "project list"))["status"] == "ok"


def sleepers() -> list[int]:
    return [
        process.pid for process in psutil.process_iter(["cmdline"]) if process.info["cmdline"] == ["sleep", "321.5"]
    ]


async def until(condition: Any) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 -- another process's doing
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_server_that_only_reads_offers_and_runs_nothing_else(shell: Shell, transport: str) -> None:
    async with TRANSPORTS[transport](shell, "auto", "--read-only", "--namespaces", "agent,nexus") as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert tools.keys() == {"agent", "nexus"}
        assert tools["agent"].annotations is not None
        assert tools["agent"].annotations.read_only_hint
        assert "project create" not in tools["agent"].input_schema["properties"]["command"]["enum"]
        assert (await called(client, "agent", "project list"))["status"] == "ok"
        refused = await called(client, "agent", "project create", name="x")
        assert refused["errors"][0]["code"] == "PERMISSION_DENIED"
        refused = await called(client, "nexus", "exec", line="agent project create --name x")
        assert refused["errors"][0]["code"] == "PERMISSION_DENIED"
        refused = await called(client, "agent", "settings config view")
        assert refused["status"] == "error"


async def test_what_a_person_selected_is_neither_used_nor_changed(shell: Shell) -> None:
    assert shell.run("nexus agent project create --name mine --select").returncode == 0
    async with over_stdio(shell, "auto") as client:
        assert (await called(client, "agent", "roadmap list"))["errors"][0]["code"] == "CONTEXT_MISSING"
        await called(client, "agent", "project create", name="other")
        await called(client, "agent", "project select", name="other")
        assert (await called(client, "agent", "roadmap list"))["status"] == "ok"
    viewed = json.loads(shell.run("nexus settings context view").stdout)["data"]
    assert viewed["project"]["name"] == "mine"
    listed = json.loads(shell.run("nexus settings context list").stdout)["data"]["items"]
    assert [item["name"] for item in listed] == ["default"]


def test_a_namespace_that_there_is_not_is_told_before_serving(shell: Shell) -> None:
    done = shell.run("nexus mcp serve --namespaces agnt || test $? = 4")
    assert json.loads(done.stdout)["errors"][0]["code"] == "RESOURCE_NOT_FOUND"


def test_http_wants_the_token(shell: Shell) -> None:
    served = HttpProcess(shell)
    try:
        for headers in ({}, {"authorization": "Bearer wrong"}):
            answer = httpx2.post(served.said["url"], headers=headers, json={}, timeout=SECONDS)
            assert answer.status_code == 401
            assert answer.json()["errors"][0]["code"] == "AUTHENTICATION_INVALID"
        foreign = {"authorization": f"Bearer {served.token}", "host": "evil.example"}
        assert httpx2.post(served.said["url"], headers=foreign, json={}, timeout=SECONDS).status_code in (403, 421)
        assert Path(served.said["tokenFile"]).stat().st_mode & 0o777 == 0o600
    finally:
        served.close()


@pytest.fixture(params=["stdio", "http"])
def serving(request: pytest.FixtureRequest, shell: Shell) -> Iterator[subprocess.Popen[bytes]]:
    """A server, ready."""
    more = ["--http"] if request.param == "http" else []
    process = subprocess.Popen(
        [str(nexus_of(shell)), *words(*more)],
        env=shell.environment,
        cwd=shell.cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    if request.param == "stdio":
        hello = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        process.stdin.write(json.dumps(hello).encode() + b"\n")
        process.stdin.flush()
    assert process.stdout.readline()
    yield process
    process.stdin.close()
    process.wait(timeout=SECONDS)
    process.stdout.close()


def test_it_leaves_at_once_on_ctrl_c(serving: subprocess.Popen[bytes]) -> None:
    begun = time.monotonic()
    serving.send_signal(signal.SIGINT)
    assert serving.wait(timeout=SECONDS) in (130, -signal.SIGINT)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("serving", ["stdio"], indirect=True)
def test_it_leaves_at_once_at_the_end_of_input(serving: subprocess.Popen[bytes]) -> None:
    begun = time.monotonic()
    assert serving.stdin is not None
    serving.stdin.close()
    assert serving.wait(timeout=SECONDS) == 0
    assert time.monotonic() - begun < 5
