"""Connections: sockets that the test opens are told as they are, with who owns them."""

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from nexus.kernel.network.link import shown
from nexus.kernel.network.sockets import STATUS_OF, scan_machine
from tests.kernel.answers import answer, refusal
from tests.kernel.network.answering import answering

CONNECTIONS = "/api/network/connections"
OWN = "/api/debug/connections"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def place(sock: socket.socket) -> dict[str, object]:
    address, port = sock.getsockname()[:2]
    return {"address": address, "port": port}


async def those_at(api: httpx.AsyncClient, sock: socket.socket, **query: object) -> list[dict[str, object]]:
    port = sock.getsockname()[1]
    items = answer(await api.get(CONNECTIONS, params={"limit": 1000, "filter": f":{port}", **query}))["items"]
    assert isinstance(items, list)
    return items


async def test_a_listening_socket_is_told_with_its_owner(api: httpx.AsyncClient, listener: socket.socket) -> None:
    [found] = await those_at(api, listener)
    assert (found["type"], found["state"], found["status"]) == ("tcp", "LISTEN", "running")
    assert (found["local"], found["remote"], found["pid"]) == (place(listener), None, os.getpid())
    assert found["process"]
    assert answer(await api.get(f"{CONNECTIONS}/{found['id']}")) == found


async def test_both_ends_of_a_connection_within_the_machine_are_told(
    api: httpx.AsyncClient, listener: socket.socket
) -> None:
    with socket.create_connection(listener.getsockname()) as client, closing(listener.accept()[0]) as server:
        found = await those_at(api, listener, sort="state")
        ends = [(item["local"], item["remote"]) for item in found if item["state"] == "ESTABLISHED"]
        assert sorted(ends, key=str) == sorted(
            [(place(client), place(server)), (place(server), place(client))], key=str
        )
        assert {item["pid"] for item in found} == {os.getpid()}


async def test_a_connection_that_is_being_closed_has_exited(api: httpx.AsyncClient, listener: socket.socket) -> None:
    client = socket.create_connection(listener.getsockname())
    with closing(listener.accept()[0]):
        client.close()
        found = await those_at(api, listener, status="exited")
        assert {item["state"] for item in found} == {"FIN_WAIT2", "CLOSE_WAIT"}


async def test_a_udp_socket_is_told(api: httpx.AsyncClient) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        [found] = await those_at(api, sock, type="udp")
        assert (found["state"], found["status"], found["local"]) == ("OPEN", "running", place(sock))


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
async def test_an_ipv6_socket_is_told(api: httpx.AsyncClient) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as sock:
        [found] = await those_at(api, sock)
        assert found["local"] == place(sock)
    assert shown(("::1", 80)) == "[::1]:80"


async def test_sockets_at_one_address_are_told_apart(api: httpx.AsyncClient) -> None:
    with (
        socket.create_server(("127.0.0.1", 0), reuse_port=True) as first,
        socket.create_server(first.getsockname(), reuse_port=True),
    ):
        found = await those_at(api, first)
        assert len({item["id"] for item in found}) == 2


async def test_filters_take_what_they_name(api: httpx.AsyncClient, listener: socket.socket) -> None:
    own = str(os.getpid())
    assert len(await those_at(api, listener, type="tcp", status="running", pid=own)) == 1
    assert await those_at(api, listener, type="udp") == []
    assert await those_at(api, listener, status="error") == []
    assert await those_at(api, listener, pid="1") == []
    assert len(await those_at(api, listener, element=f"process:{own}")) == 1
    assert len(await those_at(api, listener, element="machine")) == 1
    if sys.platform == "linux":
        assert len(await those_at(api, listener, element="interface:lo")) == 1
    assert await those_at(api, listener, element="host:192.0.2.200") == []
    assert len(await those_at(api, listener, element="server:local")) == 1
    for element in ("interface:none", "server:none", "process:x", "nothing"):
        refusal(await api.get(CONNECTIONS, params={"element": element}), 404, "RESOURCE_NOT_FOUND")


async def test_every_socket_is_on_one_page(api: httpx.AsyncClient) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
        socket.create_server(("127.0.0.1", 0)) as three,
    ):
        wanted = {sock.getsockname()[1] for sock in (one, two, three)}
        query = {"pid": os.getpid(), "limit": 1, "sort": "-local"}
        seen: list[int] = []
        while True:
            page = answer(await api.get(OWN, params=query))
            seen += [item["local"]["port"] for item in page["items"] if item["type"] == "tcp" and item["local"]]
            if not page["truncated"]:
                break
            query["cursor"] = page["nextCursor"]
        assert len(seen) == len(set(seen))
        assert wanted <= set(seen)
        refusal(await api.get(CONNECTIONS, params={"cursor": query["cursor"]}), 422, "VALIDATION_ERROR")


async def test_a_server_is_a_connection_of_the_kernel(api: httpx.AsyncClient) -> None:
    async with answering() as server:
        new = {"name": "Build", "url": server.url}
        added = answer(await api.post("/api/network/servers", json=new), 201)
        own, link = answer(await api.get(CONNECTIONS, params={"type": "server"}))["items"]
        assert (own["id"], own["serverId"], own["status"]) == ("con_local", "local", "running")
        assert (link["serverId"], link["status"], link["state"]) == (added["id"], "running", "online")
        assert link["remote"] == {"address": "127.0.0.1", "port": server.port}
        assert link["latencyMs"] > 0
    await api.post("/api/network/servers/refresh")
    _, link = answer(await api.get(CONNECTIONS, params={"type": "server"}))["items"]
    assert (link["status"], link["state"]) == ("error", "offline")
    assert link["error"]


async def test_the_kernels_own_connections_are_told_and_counted(
    api: httpx.AsyncClient, listener: socket.socket
) -> None:
    items = answer(await api.get(OWN, params={"limit": 1000}))["items"]
    [found] = [item for item in items if item["local"] == place(listener)]
    assert answer(await api.get(f"{OWN}/{found['id']}")) == found
    counted = answer(await api.get(f"{OWN}/status"))
    assert counted["pid"] == os.getpid()
    assert place(listener) in counted["listening"]
    assert counted["total"] == sum(counted["byType"].values()) == sum(counted["byState"].values())


async def test_the_sockets_of_a_child_are_the_kernels_too_and_those_of_a_process_can_be_asked_for(
    api: httpx.AsyncClient,
) -> None:
    program = (
        "import socket,sys; s=socket.create_server(('127.0.0.1',0)); print(s.getsockname()[1],flush=True); input()"
    )
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, **pipes)
    assert child.stdout is not None
    port = int(await asyncio.wait_for(child.stdout.readline(), 20))
    try:
        for query in ({}, {"pid": child.pid}):
            items = answer(await api.get(OWN, params={"limit": 1000, **query}))["items"]
            assert port in {item["local"]["port"] for item in items if item["pid"] == child.pid and item["local"]}
        counted = answer(await api.get(f"{OWN}/status", params={"pid": child.pid}))
        assert counted["listening"] == [{"address": "127.0.0.1", "port": port}]
    finally:
        await child.communicate(b"\n")
    refusal(await api.get(f"{OWN}/status", params={"pid": child.pid}), 404, "RESOURCE_NOT_FOUND")


async def test_a_unix_socket_of_the_kernel_is_told_by_its_path(
    api: httpx.AsyncClient, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = str(tmp_path_factory.mktemp("s") / "s")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        items = answer(await api.get(OWN, params={"type": "unix", "filter": path}))["items"]
        assert [item["local"] for item in items] == [{"address": path, "port": None}]


async def test_a_connection_that_there_is_not_is_not_found(api: httpx.AsyncClient) -> None:
    refused = refusal(await api.get(f"{CONNECTIONS}/con_none"), 404, "RESOURCE_NOT_FOUND")
    assert refused["details"]["hint"] == "nexus network connection list"
    refusal(await api.get(f"{OWN}/con_none"), 404, "RESOURCE_NOT_FOUND")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_whose_sockets_may_not_be_read_is_told(listener: socket.socket) -> None:
    program = (
        "import os, psutil; from nexus.kernel.network.sockets import scan_machine as scan; scan();"
        "os.setuid(65534); print(scan().notes)"
    )
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program), stdout=asyncio.subprocess.PIPE, env={"PYTHONPATH": os.pathsep.join(sys.path)}
    )
    told, _ = await asyncio.wait_for(child.communicate(), 20)
    assert b"belong to processes of other users" in told
    assert scan_machine().links


def test_every_state_of_tcp_means_something() -> None:
    import psutil

    states = {value for name, value in vars(psutil).items() if name.startswith("CONN_")} - {"NONE", "IDLE"}
    assert states <= set(STATUS_OF)
