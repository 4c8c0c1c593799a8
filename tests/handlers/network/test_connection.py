"""Connections by command: the sockets are opened here."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

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
    assert (gone["code"], gone["details"]["hint"]) == ("CONTEXT_STALE", "nexus network element select --name NAME")


async def test_elements_are_listed_searched_and_viewed(nexus: Nexus) -> None:
    interfaces = (await nexus("network element list --filter-type interface")).data["items"]
    assert any("127.0.0.1" in item["addresses"] for item in interfaces)
    [machine] = (await nexus("network element search machine --filter-type machine")).data["items"]
    assert (await nexus("network element view --id machine")).data["id"] == machine["id"]
    assert (await nexus("network element search")).error["code"] == "VALIDATION_ERROR"
