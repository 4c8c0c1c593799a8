"""`agent terminal`: shells and commands of a project, over the whole path of a command and a real kernel."""

import asyncio
import json
import shlex
import signal
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

import pytest

from nexus.call import Call
from nexus.cli.run import run
from nexus.kernel.holder.place import HolderPlace
from nexus.kernel.kernel import HOLDER_NAME
from tests.handlers.conftest import Given, Kept, Nexus
from tests.kernel.holder.programs import end, eventually


class Signalled:
    """A caller that sends a signal when it is told to."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[int] = asyncio.Queue()

    async def next(self) -> int:
        return await self.sent.get()


@pytest.fixture
async def demo(nexus: Nexus) -> AsyncIterator[Nexus]:
    """Commands with a project selected; what they hold is ended behind the test."""
    await nexus.all("agent project create --name demo", "agent project select --name demo")
    yield nexus
    await end(HolderPlace(str(nexus.runtime.folders.data / HOLDER_NAME)))


async def streamed(
    nexus: Nexus, line: str, signals: Signalled | None = None, environment: dict[str, str] | None = None
) -> tuple[int, list[dict[str, Any]]]:
    stdout = Kept()
    call = Call(
        argv=tuple(shlex.split(line)),
        cwd=nexus.cwd,
        environment={"HOME": str(nexus.cwd), "PATH": "/usr/bin:/bin", **(environment or {})},
        stdin=Given(),
        stdout=stdout,
        stderr=Kept(),
        signals=signals or Signalled(),
        umask=0o027,
    )
    status = await asyncio.wait_for(run(call, nexus.runtime), 30)
    return status, [json.loads(each) for each in stdout.written.splitlines()]


def printed(events: list[dict[str, Any]]) -> str:
    return "".join(event["payload"].get("content", "") for event in events if event["event"] == "data")


async def test_a_command_runs_with_the_callers_surroundings_and_streams(demo):
    command = "echo $MINE; umask; stty size; exit 3"
    status, events = await streamed(
        demo, f"agent terminal run --command '{command}' --cols 100 --rows 30", environment={"MINE": "yes"}
    )
    assert status == 0
    assert printed(events) == "yes\r\n0027\r\n30 100\r\n"
    assert [event["event"] for event in (events[0], events[-1])] == ["metadata", "close"]
    assert events[-1]["payload"]["exitCode"] == 3


async def test_the_commands_exit_code_can_be_passed_on(demo):
    status, _ = await streamed(demo, "agent terminal run --command 'exit 7' --exit-code")
    assert status == 7


async def test_collected_it_is_one_envelope(demo):
    data = (await demo("agent terminal run --command 'echo one; echo two' --collect")).data
    assert printed(data["events"]) == "one\r\ntwo\r\n"
    assert data["exitCode"] == 0


async def test_an_interrupt_ends_the_reader_at_once_and_the_command_behind_it(demo):
    signals = Signalled()
    work = asyncio.create_task(streamed(demo, "agent terminal run --command 'trap \"\" INT; sleep 300'", signals))
    sessions = demo.runtime.kernel.kernel.sessions
    await eventually(lambda: any(live.readers for live in sessions.live.values()))
    before = monotonic()
    signals.sent.put_nowait(signal.SIGINT)
    status, events = await work
    assert monotonic() - before < 20
    assert status == 130
    assert [event["event"] for event in events[-2:]] == ["interrupt", "close"]
    await eventually(lambda: not sessions.live)


@pytest.mark.parametrize("by", ["signal", "cancellation"])
async def test_a_run_that_is_ended_while_it_begins_leaves_no_program(demo, by):
    sessions = demo.runtime.kernel.kernel.sessions
    await streamed(demo, "agent terminal run --command true")
    for turns in range(0, 200, 7):
        signals = Signalled()
        work = asyncio.create_task(streamed(demo, "agent terminal run --command 'sleep 300'", signals))
        for _ in range(turns):
            await asyncio.sleep(0)
        signals.sent.put_nowait(signal.SIGINT) if by == "signal" else work.cancel()
        await asyncio.wait((work,), timeout=20)
        assert work.done()
        # What was told to end has; what was begun meanwhile is seen to.
        await eventually(lambda: not sessions.live)
    found = (await demo("agent terminal list --all")).data["items"]
    assert {each["status"] for each in found} == {"closed"}


async def test_a_command_that_is_detached_goes_on(demo):
    session = (await demo("agent terminal run --command 'sleep 0.3; echo later' --detach")).data
    _, events = await streamed(demo, f"agent terminal attach --session-id {session['sessionId']}")
    assert printed(events) == "later\r\n"


async def test_a_command_whose_reader_wants_no_more_ends_with_it(demo):
    status, events = await streamed(demo, "agent terminal run --command 'yes' --limit 2")
    assert status == 0
    assert events[-1]["payload"]["reason"] == "reader"
    await eventually(lambda: not demo.runtime.kernel.kernel.sessions.live)


async def test_a_terminal_is_opened_typed_into_read_listed_and_closed(demo):
    opened = (await demo("agent terminal open --shell /bin/sh", environment={"PS1": "$ "})).data
    assert (opened["type"], opened["status"]) == ("terminal", "active")
    await demo.all("agent terminal send 'echo so\"\"me' --enter")
    assert [each["sessionId"] for each in (await demo("agent terminal list")).data["items"]] == [opened["sessionId"]]

    async def shows(text: str) -> bool:
        return text in printed((await demo("agent terminal attach --collect")).data["events"])

    async with asyncio.timeout(20):
        while not await shows("some\r\n"):  # noqa: ASYNC110 -- each look is a whole command
            await asyncio.sleep(0.05)
    closed = (await demo("agent terminal close")).data
    assert closed["status"] == "closed"
    assert (await demo("agent terminal list")).data["items"] == []
    assert len((await demo("agent terminal list --all")).data["items"]) == 1
    error = (await demo("agent terminal send x")).error
    assert (error["code"], error["details"]["hint"]) == ("SESSION_NOT_FOUND", "nexus agent terminal open")


async def test_the_session_that_is_named_is_the_one_and_must_be_a_terminal(demo):
    first = (await demo("agent terminal open --shell /bin/sh")).data["sessionId"]
    second = (await demo("agent terminal open --shell /bin/sh")).data["sessionId"]
    resize = f"session live resize {first} --columns 99 --rows 33"
    assert [(await demo(resize)).data["change"] for _ in range(2)] == ["updated", "unchanged"]
    assert (await demo(f"agent terminal close --session-id {first}")).data["sessionId"] == first
    assert (await demo("agent terminal close")).data["sessionId"] == second
    assert (await demo(f"agent terminal send x --session-id {first}")).error["code"] == "SESSION_CLOSED"
    assert (await demo("agent terminal send x --session-id ses_none")).error["code"] == "SESSION_NOT_FOUND"


async def test_what_cannot_be_is_told(demo):
    assert (await demo("agent terminal open --cwd ../..")).error["code"] == "PATH_OUTSIDE_ROOT"
    assert (await demo("agent terminal open --cwd nowhere")).error["code"] == "RESOURCE_NOT_FOUND"
    assert (await demo("agent terminal open --shell /no/shell")).error["code"] == "RESOURCE_NOT_FOUND"
    assert (await demo("agent terminal open --cols 0")).error["code"] == "VALIDATION_ERROR"
    await demo.all("settings context clear")
    assert (await demo("agent terminal open")).error["code"] == "CONTEXT_MISSING"


async def test_a_command_is_typed_into_the_terminal_that_is_named_and_leaves_it_open(demo):
    session = (await demo("agent terminal open --shell /bin/bash")).data["sessionId"]
    run_there = f"agent terminal run --session-id {session}"
    status, events = await streamed(demo, f"{run_there} --command 'cd /; export KEPT=kept\t; (exit 3)'")
    assert (status, events[-1]["event"]) == (0, "close")
    assert (events[-1]["payload"]["reason"], events[-1]["payload"]["exitCode"]) == ("reader", 3)
    status, events = await streamed(demo, f"{run_there} --exit-code --command 'echo $KEPT:$PWD:$((1+1)); false'")
    assert status == 1
    assert "kept:/:2\r\n" in printed(events)
    data = (await demo(f"{run_there} --collect --command 'echo two\necho lines'")).data
    assert "two\r\nlines\r\n" in printed(data["events"])
    assert data["exitCode"] == 0
    assert (await demo(f"session live view {session}")).data["status"] == "active"


async def test_an_interrupt_of_a_typed_command_is_a_key_and_no_end_of_its_terminal(demo):
    session = (await demo("agent terminal open --shell /bin/bash")).data["sessionId"]
    signals = Signalled()
    line = f"agent terminal run --session-id {session} --command 'echo g\"\"o; sleep 300'"
    work = asyncio.create_task(streamed(demo, line, signals))
    sessions = demo.runtime.kernel.kernel.sessions
    await eventually(lambda: any(live.readers for live in sessions.live.values()))
    async with asyncio.timeout(30):
        while "go\r\n" not in printed((await demo(f"session live events {session} --collect")).data["events"]):  # noqa: ASYNC110 -- asked as a user would
            await asyncio.sleep(0.05)
    signals.sent.put_nowait(signal.SIGINT)
    status, events = await work
    assert status == 130
    assert [event["event"] for event in events[-2:]] == ["interrupt", "close"]
    status, events = await streamed(demo, f"agent terminal run --session-id {session} --command 'echo $?'")
    assert "130\r\n" in printed(events)


async def test_a_terminal_without_a_shell_takes_no_typed_command(demo):
    python = (await demo("agent terminal open --shell /usr/bin/python3")).data["sessionId"]
    failed = await demo(f"agent terminal run --session-id {python} --command ls")
    assert (failed.error["code"], "python3" in failed.error["message"]) == ("VALIDATION_ERROR", True)
    shell = (await demo("agent terminal open --shell /bin/bash")).data["sessionId"]
    failed = await demo(f"agent terminal run --session-id {shell} --cwd sub --command ls")
    assert failed.error["code"] == "VALIDATION_ERROR"


async def test_the_same_command_typed_again_ends_at_its_own_end(demo):
    session = (await demo("agent terminal open --shell /bin/bash")).data["sessionId"]
    again = f"agent terminal run --session-id {session} --command 'echo $((COUNT=COUNT+1))-times; sleep 0.2'"
    detached = (await demo(f"{again} --detach")).data
    assert (detached["sessionId"], detached["epoch"], detached["exitCode"]) == (session, 1, None)
    await streamed(demo, again)
    status, events = await streamed(demo, f"{again} --after 0")
    assert status == 0
    assert all(f"{number}-times\r\n" in printed(events) for number in (1, 2, 3))
    assert events[-1]["payload"]["exitCode"] == 0
