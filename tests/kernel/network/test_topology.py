"""The topology and its elements: made of sockets that the test opens, and of sights that it writes."""

import os
import socket
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import httpx

from nexus.kernel.network.link import End, Link
from nexus.kernel.network.machine import Interface
from nexus.kernel.network.topology import Sight, topology
from nexus.schemas.network import ConnectionStatus, Machine
from tests.kernel.answers import answer, refusal
from tests.kernel.network.answering import answering

ELEMENTS = "/api/network/elements"
TOPOLOGY = "/api/network/topology"
MACHINE = Machine(
    hostname="here",
    system="Linux",
    cpu_count=1,
    load=[0, 0, 0],
    memory_bytes=2,
    memory_available_bytes=1,
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
)
ETH0 = Interface("eth0", up=True, addresses=("192.0.2.1", "fe80::1%eth0"))


def link(
    local: End,
    remote: End | None = None,
    *,
    pid: int | None = 7,
    state: str = "ESTABLISHED",
    status: ConnectionStatus = "running",
    name: str = "program",
) -> Link:
    process = name if pid is not None else None
    return Link(f"con_{local}{remote}{pid}", "tcp", status, state, local, remote, pid=pid, process=process)


def edges(*links: Link, most: int = 1000) -> set[tuple[str, str, str, str, str | None]]:
    seen = topology(Sight(MACHINE, (ETH0,), links, ()), most=most)
    return {(each.source, each.target, each.type, each.status, each.label) for each in seen.edges} - {
        ("machine", "interface:eth0", "interface", "online", None),
        ("machine", "server:local", "serves", "online", None),
    }


def test_a_connection_to_a_host_goes_from_the_process_to_it() -> None:
    assert edges(link(("192.0.2.1", 40000), ("198.51.100.9", 443))) == {
        ("machine", "process:7", "runs", "online", None),
        ("process:7", "host:198.51.100.9", "connects", "online", ":443"),
    }


def test_a_connection_that_a_host_made_comes_from_it() -> None:
    listening = link(("192.0.2.1", 22), state="LISTEN")
    assert edges(listening, link(("192.0.2.1", 22), ("198.51.100.9", 5000))) == {
        ("machine", "process:7", "listens", "online", ":22"),
        ("host:198.51.100.9", "process:7", "connects", "online", ":22"),
    }


def test_a_connection_between_two_processes_is_one_edge() -> None:
    listening = link(("127.0.0.1", 80), pid=1, state="LISTEN")
    accepted = link(("127.0.0.1", 80), ("127.0.0.1", 5000), pid=2)
    asking = link(("127.0.0.1", 5000), ("127.0.0.1", 80), pid=3)
    found = edges(listening, accepted, asking)
    assert ("process:3", "process:2", "connects", "online", ":80") in found
    assert len([edge for edge in found if edge[2] == "connects"]) == 1


def test_a_socket_of_nobody_known_is_the_machines() -> None:
    old = link(("192.0.2.1", 40000), ("198.51.100.9", 443), pid=None, state="TIME_WAIT", status="exited")
    assert edges(old) == {("machine", "host:198.51.100.9", "connects", "offline", ":443")}


def test_an_edge_is_as_well_as_the_best_of_its_connections() -> None:
    one = link(("192.0.2.1", 1), ("198.51.100.9", 443), state="SYN_SENT", status="starting")
    assert ("process:7", "host:198.51.100.9", "connects", "degraded", ":443") in edges(one)
    two = link(("192.0.2.1", 2), ("198.51.100.9", 443))
    assert ("process:7", "host:198.51.100.9", "connects", "online", ":443") in edges(one, two)


def test_addresses_that_map_to_ipv4_are_one_host() -> None:
    one = link(("192.0.2.1", 1), ("198.51.100.9", 443))
    two = link(("::ffff:192.0.2.1", 2), ("::ffff:198.51.100.9", 443))
    assert {edge[1] for edge in edges(one, two) if edge[2] == "connects"} == {"host:198.51.100.9"}


def test_a_picture_keeps_the_ends_with_the_most_connections_and_says_so() -> None:
    links = [link(("192.0.2.1", port), (f"198.51.100.{port % 9}", 443), pid=port) for port in range(1, 400)]
    seen = topology(Sight(MACHINE, (), tuple(links), ()), most=50)
    assert seen.truncated is True
    ends = {node.id for node in seen.nodes if node.type in ("process", "host")}
    assert len(ends) == 50
    assert {f"host:198.51.100.{number}" for number in range(9)} <= ends
    known = {node.id for node in seen.nodes}
    assert all(edge.source in known and edge.target in known for edge in seen.edges)


async def whole(api: httpx.AsyncClient) -> dict[str, Any]:
    return answer(await api.get(TOPOLOGY))


async def test_the_topology_has_this_machine_its_interfaces_and_this_process(api: httpx.AsyncClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(listener.getsockname()), closing(listener.accept()[0]):
            seen = await whole(api)
    nodes = {node["id"]: node for node in seen["nodes"]}
    assert nodes["machine"]["name"] == socket.gethostname()
    assert "127.0.0.1" in nodes["machine"]["addresses"]
    assert any(node["type"] == "interface" and "127.0.0.1" in node["addresses"] for node in seen["nodes"])
    assert port in nodes[f"process:{os.getpid()}"]["details"]["ports"]
    ids = set(nodes)
    assert len(ids) == len(seen["nodes"])
    assert all(edge["source"] in ids and edge["target"] in ids for edge in seen["edges"])


async def test_servers_hang_on_the_kernel_and_refresh_asks_them(api: httpx.AsyncClient) -> None:
    async with answering() as server:
        new = {"name": "Build", "url": server.url}
        added = answer(await api.post("/api/network/servers", json=new), 201)
        server.status = 500
        refreshed = answer(await api.post(f"{TOPOLOGY}/refresh"))
    asks = [edge for edge in refreshed["edges"] if edge["type"] == "asks"]
    assert [(edge["source"], edge["target"], edge["status"]) for edge in asks] == [
        ("server:local", f"server:{added['id']}", "degraded")
    ]


async def test_elements_are_listed_filtered_and_paged(api: httpx.AsyncClient) -> None:
    interfaces = answer(await api.get(ELEMENTS, params={"type": "interface"}))["items"]
    assert {item["type"] for item in interfaces} == {"interface"}
    assert answer(await api.get(ELEMENTS, params={"type": "server", "status": "offline"}))["items"] == []
    first = answer(await api.get(ELEMENTS, params={"limit": 1, "sort": "-id"}))
    again = {"limit": 1, "sort": "-id", "cursor": first["nextCursor"]}
    assert answer(await api.get(ELEMENTS, params=again))["items"][0]["id"] < first["items"][0]["id"]
    refusal(await api.get(ELEMENTS, params={"sort": "colour"}), 422, "VALIDATION_ERROR")


async def test_an_element_is_found_by_a_text_and_viewed_by_its_id(api: httpx.AsyncClient) -> None:
    found = answer(await api.get(f"{ELEMENTS}/search", params={"text": "127.0.0.1", "type": "interface"}))["items"]
    assert found
    viewed = answer(await api.get(f"{ELEMENTS}/{found[0]['id']}"))
    assert (viewed["id"], viewed["addresses"]) == (found[0]["id"], found[0]["addresses"])
    hostname = socket.gethostname()
    assert [item["id"] for item in answer(await api.get(ELEMENTS, params={"name": hostname}))["items"]] == ["machine"]
    refusal(await api.get(f"{ELEMENTS}/host:nowhere"), 404, "RESOURCE_NOT_FOUND")
    refusal(await api.get(f"{ELEMENTS}/search"), 422, "VALIDATION_ERROR")
