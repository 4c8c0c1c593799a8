"""Connections by command: the sockets are opened here."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from tests.handlers.session.test_live import Signalled, streamed

if TYPE_CHECKING:
    from tests.handlers.conftest import Nexus


@pytest.fixture
def port() -> Iterator[int]:
    """A port at which this process listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize("namespace", ["network", "debug"])
async def test_a_listening_socket_is_listed_and_viewed(nexus: Nexus, namespace: str, port: int) -> None:
    listed = (await nexus(f"{namespace} connection list --filter :{port} --filter-type tcp --pid {os.getpid()}")).data
    [found] = listed["items"]
    assert (found["state"], found["local"]["port"], found["pid"]) == ("LISTEN", port, os.getpid())
    assert (await nexus(f"{namespace} connection view --id {found['id']}")).data == found
    assert (await nexus(f"{namespace} connection list --filter :{port} --filter-status exited")).data["items"] == []
    missing = (await nexus(f"{namespace} connection view --id con_none")).error
    assert (missing["code"], missing["details"]["hint"]) == (
        "RESOURCE_NOT_FOUND",
        f"nexus {namespace} connection list",
    )


async def test_status_counts_the_connections_of_nexus(nexus: Nexus, port: int) -> None:
    counted = (await nexus("debug connection status")).data
    assert {"address": "127.0.0.1", "port": port} in counted["listening"]
    assert counted["pid"] == os.getpid()
    assert (await nexus("debug connection status --pid 999999999")).error["code"] == "RESOURCE_NOT_FOUND"


async def test_pages_go_on_where_the_one_before_ended(nexus: Nexus, port: int) -> None:
    first = (await nexus("debug connection list --limit 1 --sort id")).data
    assert first["truncated"] is True
    second = (await nexus(f"debug connection list --limit 1 --sort id --cursor {first['nextCursor']}")).data
    assert second["items"][0]["id"] > first["items"][0]["id"]


async def test_an_element_is_selected_and_its_connections_listed(nexus: Nexus, port: int) -> None:
    assert (await nexus("network element connections")).error["code"] == "CONTEXT_MISSING"
    selected = await nexus(f"network element select --id process:{os.getpid()}")
    assert selected.data["contextChanges"][0]["kind"] == "element"
    ports = f"network element connections --filter :{port} --query 'items[].local.port'"
    assert (await nexus(ports)).data == [port]
    by_environment = await nexus(ports, environment={"NEXUS_ELEMENT": "host:192.0.2.77"})
    assert by_environment.error["code"] == "RESOURCE_NOT_FOUND"
    by_name = await nexus(ports, environment={"NEXUS_ELEMENT": socket.gethostname()})
    assert by_name.data == [port]
    assert (await nexus("settings context view")).data["element"]["id"] == f"process:{os.getpid()}"


async def test_an_element_that_is_gone_is_told_as_such(nexus: Nexus) -> None:
    await nexus.all("network server add --name build --url http://127.0.0.1:9")
    [server] = (await nexus("network element search build --filter-type server")).data["items"]
    await nexus.all(f"network element select --id {server['id']}", "network server remove --name build --yes")
    gone = (await nexus("network element connections")).error
    assert (gone["code"], gone["details"]["hint"]) == ("CONTEXT_STALE", "nexus network element list")


async def test_elements_are_listed_searched_and_viewed(nexus: Nexus) -> None:
    interfaces = (await nexus("network element list --filter-type interface")).data["items"]
    assert any("127.0.0.1" in item["addresses"] for item in interfaces)
    [machine] = (await nexus("network element search machine --filter-type machine")).data["items"]
    assert (await nexus("network element view --id machine")).data["id"] == machine["id"]
    assert (await nexus("network element search")).error["code"] == "VALIDATION_ERROR"


@pytest.mark.parametrize("namespace", ["network", "debug"])
async def test_a_monitor_tells_what_is_there_and_ends(nexus: Nexus, namespace: str, port: int) -> None:
    line = f"{namespace} connection monitor --pid {os.getpid()}"
    status, events = await streamed(nexus, line)
    assert (status, events[0]["event"], events[-1]["event"]) == (0, "metadata", "close")
    ends = [event["payload"]["connection"]["local"] for event in events[1:-1]]
    assert port in [end["port"] for end in ends if end]
    assert events[-1]["payload"]["reason"] == "completed"
    assert [event["seq"] for event in events[1:]] == list(range(1, len(events)))
    collected = (await nexus(f"{line} --collect")).data
    assert collected["truncated"] is False
    assert (await nexus("session live list")).data["items"] == [], "what a command opened, it closes"


async def test_a_monitor_that_follows_tells_what_opens_until_its_limit(nexus: Nexus) -> None:
    line = f"network connection monitor --pid {os.getpid()} --follow --limit 1 --poll-interval 100"
    following = asyncio.create_task(streamed(nexus, line))
    await monitor_of(nexus)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        status, events = await following
        port = listening.getsockname()[1]
    assert status == 0
    [told] = [event["payload"] for event in events if event["event"] == "data"]
    assert (told["change"], told["connection"]["local"]["port"]) == ("opened", port)
    assert events[-1]["payload"] == {"reason": "reader", "exitCode": None, "lastSeq": 1}


async def test_an_interrupt_ends_a_monitor_at_once_and_its_session(nexus: Nexus) -> None:
    signals = Signalled()
    line = "network connection monitor --filter-type udp --filter-status starting --follow"
    following = asyncio.create_task(streamed(nexus, line, signals))
    session_id = await monitor_of(nexus)
    began = monotonic()
    signals.sent.put_nowait(signal.SIGINT)
    status, events = await following
    assert monotonic() - began < 20
    assert status == 130
    assert [event["event"] for event in events] == ["metadata", "interrupt", "close"]
    async with asyncio.timeout(10):
        while (await nexus(f"session live view {session_id}")).data["status"] != "closed":  # noqa: ASYNC110 -- not announced
            await asyncio.sleep(0.02)


async def test_a_detached_monitor_goes_on_and_is_read_by_its_id(nexus: Nexus) -> None:
    detached = (await nexus("network connection monitor --filter-type server --follow --initial --detach")).data
    named = f"--session-id {detached['sessionId']}"
    status, events = await streamed(nexus, f"network connection monitor {named} --follow --limit 1")
    assert (status, events[1]["payload"]["connection"]["id"]) == (0, "con_local")
    assert (await nexus(f"session live view {detached['sessionId']}")).data["status"] == "active"
    await nexus.all(f"session live close {detached['sessionId']}")
    closed = await nexus(f"network connection monitor {named}")
    assert closed.error["code"] == "SESSION_CLOSED"


async def test_a_monitor_of_what_there_is_not_is_an_answer_and_no_stream(nexus: Nexus) -> None:
    assert (await nexus("network connection monitor --id con_none")).error["code"] == "RESOURCE_NOT_FOUND"
    assert (await nexus("network connection monitor --poll-interval 1")).error["code"] == "VALIDATION_ERROR"


async def monitor_of(nexus: Nexus) -> str:
    """Wait until a monitor has its reader, and return its session."""
    async with asyncio.timeout(10):
        while True:
            for session in (await nexus("session live list --type network-stream")).data["items"]:
                if (await nexus(f"session live view {session['sessionId']}")).data["readers"]:
                    return str(session["sessionId"])
            await asyncio.sleep(0.02)
