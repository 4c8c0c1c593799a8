"""Servers: what is told of each comes from asking it."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import DATABASE_NAME, Kernel
from nexus.kernel.network.health import Target, judged
from nexus.kernel.network.network import Network
from nexus.kernel.store.migrate import migrate
from tests.kernel.answers import answer, refusal
from tests.kernel.network.answering import answering

SERVERS = "/api/network/servers"


async def add(api: httpx.AsyncClient, url: str, name: str = "Build", **fields: object) -> dict[str, object]:
    return answer(await api.post(SERVERS, json={"name": name, "url": url, **fields}), 201)


async def names(api: httpx.AsyncClient, **query: str) -> list[str]:
    return [item["name"] for item in answer(await api.get(SERVERS, params=query))["items"]]


async def test_the_kernel_itself_is_the_first_server(api: httpx.AsyncClient) -> None:
    [own] = answer(await api.get(SERVERS))["items"]
    assert (own["id"], own["name"], own["type"], own["status"], own["url"]) == (
        *("local", "local", "manager", "online"),
        None,
    )
    assert own["latencyMs"] > 0
    assert answer(await api.get(f"{SERVERS}/local"))["version"] == own["version"]


async def test_a_server_that_answers_well_is_online(api: httpx.AsyncClient) -> None:
    async with answering() as server:
        added = await add(api, server.url, type="ai")
        assert (added["status"], added["version"], added["httpStatus"]) == ("online", "9.9", 200)
        assert added["type"] == "ai"
        assert 0 < float(str(added["latencyMs"])) < 1000
        assert server.requests == ["GET /health HTTP/1.1"]
        viewed = answer(await api.get(f"{SERVERS}/{added['id']}"))
        assert viewed == added, "what was asked a moment ago is told again"
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (503, b"", "It answers HTTP 503."),
        (302, b"", "It answers HTTP 302."),
        (200, b'{"status": "degraded"}', "It says that it is 'degraded'."),
        (200, b'{"status": "\\u001b[31mbad\\n"}', "It says that it is '[31mbad'."),
    ],
)
async def test_a_server_that_answers_otherwise_is_degraded(
    api: httpx.AsyncClient, status: int, body: bytes, error: str
) -> None:
    async with answering(status=status, body=body) as server:
        added = await add(api, server.url)
        assert (added["status"], added["error"]) == ("degraded", error)


async def test_a_server_that_nobody_runs_is_offline(api: httpx.AsyncClient) -> None:
    async with answering() as server:
        url = server.url
    added = await add(api, url)
    assert (added["status"], added["latencyMs"]) == ("offline", None)
    assert added["error"] == "Connection refused"


@pytest.mark.parametrize("host", ["a..b", "a" * 70, "[v1.x]", "127.0.0.1%zz"])
async def test_a_name_that_cannot_be_a_servers_breaks_no_list(api: httpx.AsyncClient, host: str) -> None:
    response = await api.post(SERVERS, json={"name": "Build", "url": f"http://{host}"})
    if response.status_code == 201:
        assert response.json()["status"] == "offline"
        assert await names(api) == ["Build", "local"]
    else:
        refusal(response, 422, "VALIDATION_ERROR")


async def test_a_server_that_does_not_speak_tls_where_it_should_is_offline(api: httpx.AsyncClient) -> None:
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(rude, "127.0.0.1", 0) as server:
        added = await add(api, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        assert added["status"] == "offline"
        assert "SSL" in str(added["error"])


async def test_a_server_that_says_nothing_is_offline_when_the_time_is_over(api: httpx.AsyncClient) -> None:
    async with answering(silent=True) as server:
        added = await add(api, server.url)
    assert (added["status"], added["error"]) == ("offline", "No answer within 2 seconds.")


async def test_an_endless_answer_is_read_no_further_than_its_bound(api: httpx.AsyncClient) -> None:
    async with answering(body=b"x" * 5_000_000) as server:
        assert (await add(api, server.url))["status"] == "online"


def test_a_slow_answer_is_degraded() -> None:
    assert judged(200, b'{"status": "ok"}', 1500).error == "It took 1500 ms to answer."


async def test_refreshing_asks_again_and_tells_what_changed(api: httpx.AsyncClient) -> None:
    async with answering() as server:
        added = await add(api, server.url)
        server.status = 500
        refreshed = answer(await api.post(f"{SERVERS}/refresh"))
        change = {"id": added["id"], "name": "Build", "before": "online", "after": "degraded"}
        assert refreshed["changed"] == [change]
        assert [item["status"] for item in refreshed["items"]] == ["online", "degraded"]
        assert answer(await api.post(f"{SERVERS}/refresh"))["changed"] == []


async def test_status_asks_as_often_as_it_is_told(api: httpx.AsyncClient) -> None:
    async with answering() as server:
        added = await add(api, server.url)
        told = answer(await api.get(f"{SERVERS}/{added['id']}/status", params={"requests": 4}))
        assert len(server.requests) == 5
        assert (told["latency"]["requests"], told["latency"]["failed"]) == (4, 0)
        assert 0 < told["latency"]["minMs"] <= told["latency"]["meanMs"] <= told["latency"]["maxMs"]
        assert told["machine"] is None
    gone = answer(await api.get(f"{SERVERS}/{added['id']}/status"))
    assert (gone["status"], gone["latency"]) == (
        "offline",
        {"requests": 3, "failed": 3, "minMs": None, "meanMs": None, "maxMs": None},
    )


async def test_the_kernels_own_status_tells_of_its_machine(api: httpx.AsyncClient) -> None:
    machine = answer(await api.get(f"{SERVERS}/local/status"))["machine"]
    assert machine["cpuCount"] >= 1
    assert machine["memoryBytes"] > machine["memoryAvailableBytes"] > 0
    assert len(machine["load"]) == 3


@pytest.mark.parametrize("server", ["local", "added"])
async def test_a_server_drains_until_it_is_told_otherwise(api: httpx.AsyncClient, server: str) -> None:
    async with answering() as other:
        added = await add(api, other.url)
        path = f"{SERVERS}/{added['id'] if server == 'added' else 'local'}"
        drained = answer(await api.post(f"{path}/drain"))
        assert drained["draining"] is True
        assert answer(await api.post(f"{path}/drain", json={}))["drainingSince"] == drained["drainingSince"]
        assert answer(await api.get(path))["drainingSince"] == drained["drainingSince"]
        assert answer(await api.post(f"{path}/drain", json={"draining": False}))["drainingSince"] is None
        assert answer(await api.get(path))["draining"] is False


async def test_servers_are_filtered_sorted_and_paged(api: httpx.AsyncClient) -> None:
    async with answering() as well, answering(status=500) as ill:
        await add(api, well.url, "Alpha", type="worker")
        await add(api, ill.url, "beta", type="ai")
        assert await names(api) == ["Alpha", "beta", "local"]
        assert await names(api, status="degraded") == ["beta"]
        assert await names(api, type="worker") == ["Alpha"]
        assert await names(api, filter="BET") == ["beta"]
        assert await names(api, name="BETA") == ["beta"]
        assert await names(api, sort="-name") == ["local", "beta", "Alpha"]
        first = answer(await api.get(SERVERS, params={"limit": 2}))
        assert first["truncated"] is True
        assert await names(api, limit="2", cursor=first["nextCursor"]) == ["local"]


async def test_a_server_is_changed_and_asked_at_its_new_place(api: httpx.AsyncClient) -> None:
    async with answering() as one, answering(status=500) as two:
        added = await add(api, one.url)
        path = f"{SERVERS}/{added['id']}"
        changed = answer(await api.patch(path, json={"url": f"{two.url}/below/", "healthPath": "/up"}))
        assert (changed["status"], changed["name"]) == ("degraded", "Build")
        assert two.requests == ["GET /below/up HTTP/1.1"]


async def test_a_server_is_removed_with_its_mark(api: httpx.AsyncClient) -> None:
    async with answering() as server:
        added = await add(api, server.url)
        path = f"{SERVERS}/{added['id']}"
        answer(await api.post(f"{path}/drain"))
        assert answer(await api.delete(path))["deleted"] is True
        refused = refusal(await api.get(path), 404, "RESOURCE_NOT_FOUND")
        assert refused["details"]["hint"] == "nexus network server list"
        refusal(await api.delete(path), 404, "RESOURCE_NOT_FOUND")
        assert (await add(api, server.url))["draining"] is False


async def test_what_cannot_be_is_refused(api: httpx.AsyncClient) -> None:
    async with answering() as server:
        added = await add(api, server.url)
        for name in ("build", "LOCAL"):
            refused = await api.post(SERVERS, json={"name": name, "url": server.url})
            refusal(refused, 409, "RESOURCE_CONFLICT")
        refusal(await api.patch(f"{SERVERS}/{added['id']}", json={"name": "Local"}), 409, "RESOURCE_CONFLICT")
        refusal(await api.delete(f"{SERVERS}/local"), 409, "RESOURCE_CONFLICT")
        refusal(await api.patch(f"{SERVERS}/local", json={"name": "me"}), 409, "RESOURCE_CONFLICT")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/",
        "http://user:secret@127.0.0.1/",
        "http://127.0.0.1/?key=secret",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:0",
        "http://",
        "http://[::1",
        "127.0.0.1:80",
    ],
)
async def test_a_url_that_is_none_of_a_server_is_refused(api: httpx.AsyncClient, url: str) -> None:
    refused = refusal(await api.post(SERVERS, json={"name": "x", "url": url}), 422, "VALIDATION_ERROR")
    assert refused["details"]["field"] == "url"
    assert "secret" not in str(refused)


async def test_who_asks_at_the_same_time_shares_one_request(kernel: Kernel) -> None:
    probes = next(part.view.servers.probes for part in kernel._parts if isinstance(part, Network))
    async with answering() as server:
        target = Target("srv_x", server.url, "/health")
        await asyncio.gather(*(probes.ask(target) for _ in range(10)))
        assert len(server.requests) == 1


async def test_servers_outlive_the_kernel(data_folder: Path) -> None:
    async with answering() as server:
        for step in ("add", "look"):
            kernel = await Kernel.open(data_folder, OneShotHost())
            transport = httpx.ASGITransport(kernel.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://kernel") as api:
                if step == "add":
                    added = await add(api, server.url)
                    answer(await api.post(f"{SERVERS}/{added['id']}/drain"))
                else:
                    found = answer(await api.get(f"{SERVERS}/{added['id']}"))
                    assert (found["status"], found["draining"]) == ("online", True)
            await kernel.close()


async def test_an_older_home_gets_the_tables(data_folder: Path) -> None:
    data_folder.mkdir()
    migrate(data_folder / DATABASE_NAME, busy_seconds=1, revision="0001")
    kernel = await Kernel.open(data_folder, OneShotHost())
    await kernel.close()
    with closing(sqlite3.connect(data_folder / DATABASE_NAME)) as database:
        assert database.execute("SELECT count(*) FROM servers").fetchone() == (0,)
