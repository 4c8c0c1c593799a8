"""Secrets: sealed where they are kept, found by programs, and not in what those print."""

import asyncio
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from nexus.kernel.holder.place import HolderPlace
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from nexus.kernel.secrets.masking import MASK, Masker
from nexus.kernel.secrets.sealing import seal, unseal
from nexus.kernel.secrets_part import SecretsPart
from nexus.kernel.settings import KernelSettings
from nexus.kernel.store.account_tables import secrets
from nexus.kernel.store.store import DatabaseAddress
from nexus.schemas.errors import StorageCorrupt
from tests.kernel.answers import answer, make_project, refusal
from tests.kernel.cluster import Cluster
from tests.kernel.holder.programs import end as end_holder
from tests.kernel.kept import everything_kept
from tests.kernel.secrets.test_vault import secrets_of

VALUE = "correct-horse-battery"
INVALID = "VALIDATION_ERROR"


@given(
    text=st.lists(st.sampled_from([VALUE, VALUE[:5], VALUE[-5:], "x", "\n", "ß"]), max_size=12).map("".join),
    cuts=st.lists(st.integers(min_value=0, max_value=120), max_size=8),
)
def test_however_output_is_cut_no_piece_shows_a_secret(text: str, cuts: list[int]) -> None:
    masker = Masker([VALUE, "another\nof two lines"])
    data = text.encode()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    shown = b"".join(masker.feed(data[begin:end]) for begin, end in pairwise(edges))
    assert masker.pending < len(VALUE)
    assert shown + masker.flush() == data.replace(VALUE.encode(), MASK)


def test_a_sealed_value_fits_its_own_name_version_and_key_alone() -> None:
    sealed = seal(b"k" * 32, "A", 1, VALUE)
    assert unseal(b"k" * 32, "A", 1, sealed) == VALUE
    for key, name, version in ((b"x" * 32, "A", 1), (b"k" * 32, "B", 1), (b"k" * 32, "A", 2)):
        with pytest.raises(StorageCorrupt):
            unseal(key, name, version, sealed)


async def test_a_value_is_never_told_nor_kept_as_it_is(api: httpx.AsyncClient, kernel: Kernel) -> None:
    made = await api.put("/api/secrets/API_KEY", json={"value": VALUE}, headers={"idempotency-key": "k"})
    assert answer(made)["version"] == 1
    again = answer(await api.put("/api/secrets/API_KEY", json={"value": VALUE + "2"}))
    assert again["version"] == 2
    rotated = answer(await api.post("/api/secrets/API_KEY/rotate", json={"characters": 40}))
    assert rotated["version"] == 3
    listed = await api.get("/api/secrets")
    assert [each["name"] for each in answer(listed)["items"]] == ["API_KEY"]
    for text in (made.text, listed.text, await everything_kept(kernel._store)):
        assert (VALUE if isinstance(text, str) else VALUE.encode()) not in text
    refusal(await api.put("/api/secrets/not-a-name", json={"value": "x"}), 422, "VALIDATION_ERROR")
    refusal(await api.post("/api/secrets/NONE/rotate", json={}), 404, "RESOURCE_NOT_FOUND")
    answer(await api.delete("/api/secrets/API_KEY"))
    refusal(await api.delete("/api/secrets/API_KEY"), 404, "RESOURCE_NOT_FOUND")


async def test_what_is_due_is_rotated_and_no_more(api: httpx.AsyncClient, kernel: Kernel, data_folder: Path) -> None:
    for name in ("DUE", "LATER"):
        await api.put(f"/api/secrets/{name}", json={"value": VALUE})
        answer(await api.post(f"/api/secrets/{name}/rotate", json={"everySeconds": 3600}))
    past = update(secrets).where(secrets.c.name == "DUE").values(rotates_at="2020-01-01T00:00:00.000000Z")
    await kernel._store.write(lambda connection: connection.execute(past))
    await next(part for part in kernel._parts if isinstance(part, SecretsPart)).look()
    rows = await kernel._store.read(lambda c: c.execute(select(secrets).order_by(secrets.c.name)).all())
    assert [(row.name, row.version) for row in rows] == [("DUE", 3), ("LATER", 2)]
    assert rows[0].rotates_at > "2026"
    told = answer(await api.get("/api/audit", params={"user": "schedule"}))["items"]
    assert [(record["operation"], record["name"]) for record in told] == [("settings.secret.rotate", "DUE")]


async def test_a_schedule_is_kept_by_a_kernel_that_stays_and_ended_by_hand(
    api: httpx.AsyncClient, kernel: Kernel, data_folder: Path, database: DatabaseAddress | None
) -> None:
    await api.put("/api/secrets/DUE", json={"value": VALUE})
    answer(await api.post("/api/secrets/DUE/rotate", json={"everySeconds": 3600}))
    past = update(secrets).values(rotates_at="2020-01-01T00:00:00.000000Z")
    await kernel._store.write(lambda connection: connection.execute(past))
    await kernel.close()
    server = await Kernel.open(data_folder, OneShotHost(mode="server"), settings=KernelSettings(database=database))
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(server.app), base_url="http://kernel") as anew:
            async with asyncio.timeout(60):
                secret = answer(await anew.get("/api/secrets"))["items"][0]
                while secret["version"] < 3:  # a schedule tells nobody
                    secret = answer(await anew.get("/api/secrets"))["items"][0]
                    await asyncio.sleep(0.02)
            assert secret["rotatesAt"] > secret["rotatedAt"]
            refusal(await anew.post("/api/secrets/DUE/rotate", json={"everySeconds": 60, "byHand": True}), 422, INVALID)
            ended = answer(await anew.post("/api/secrets/DUE/rotate", json={"byHand": True}))
            assert (ended["version"], ended["rotatesAt"]) == (4, None)
    finally:
        await server.close()


async def test_kernels_on_one_database_rotate_what_is_due_once_and_give_each_others_values(
    tmp_path: Path, cluster: Cluster
) -> None:
    settings = KernelSettings(secret="k" * 40, database=cluster.emptied())
    kernels = [await Kernel.open(tmp_path / name, OneShotHost(), settings=settings) for name in "ab"]
    try:
        catalogs = [await secrets_of(kernel).catalog() for kernel in kernels]
        heard: list[str] = []
        delivered = asyncio.Event()

        async def told(_message: str, names: Sequence[str]) -> None:
            heard.extend(names)
            delivered.set()

        async with httpx.AsyncClient(transport=httpx.ASGITransport(kernels[0].app), base_url="http://kernel") as api:
            await api.put("/api/secrets/DUE", json={"value": VALUE})
            answer(await api.post("/api/secrets/DUE/rotate", json={"everySeconds": 3600}))
            given = await secrets_of(kernels[1]).give("ses_1", ["DUE"], told)
        past = update(secrets).values(rotates_at="2020-01-01T00:00:00.000000Z")
        await kernels[0]._store.write(lambda connection: connection.execute(past))
        await asyncio.gather(*(catalog.rotate_due(lambda *_told: None) for catalog in [*catalogs, *catalogs]))
        (found,) = await catalogs[0].find(["DUE"])
        assert found.version == 3
        # It was rotated by whichever: the one whose program has it looks, and hands it over.
        (await secrets_of(kernels[1]).giving()).stir()
        async with asyncio.timeout(60):
            await delivered.wait()
        assert heard == ["DUE"]
        assert given.newest == {"DUE": found.value}
        assert (given.folder / "DUE").read_text() == found.value
        await (await secrets_of(kernels[1]).giving()).let_go("ses_1")
        assert not given.folder.exists()
    finally:
        for kernel in kernels:
            await kernel.close()


async def printed(api: httpx.AsyncClient, new: dict[str, Any]) -> str:
    """Open a session, and return all its events when it has ended."""
    session = answer(await api.post("/api/sessions", json=new), 201)["sessionId"]
    text, after, end = "", 0, False
    async with asyncio.timeout(60):
        while not end:
            query = {"after": after, "wait": 5}
            piece = answer(await api.get(f"/api/sessions/{session}/events", params=query))
            text += "".join(json.dumps(event) for event in piece["events"])
            after, end = piece["last"], piece["end"]
    return text


async def test_programs_find_a_secret_and_what_they_print_of_it_is_masked(data_folder: Path) -> None:
    kernel = await Kernel.open(data_folder, OneShotHost())
    script = 'printf "%s|%s|" ${#API_KEY} "$API_KEY"; printf %.8s "$API_KEY"; sleep 0.3; echo "${API_KEY#????????}|"'
    try:
        transport = httpx.ASGITransport(kernel.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://kernel") as api:
            await api.put("/api/secrets/API_KEY", json={"value": VALUE})
            project = await make_project(api)
            terminal = {"shell": "/bin/sh", "command": script, "secrets": ["API_KEY"]}
            process = {"argv": ["/bin/sh", "-c", script], "cwd": "/", "secrets": ["API_KEY"]}
            sessions: tuple[dict[str, Any], ...] = (
                {"type": "terminal", "context": {"projectId": project["id"]}, "options": terminal},
                {"type": "debug-stream", "context": {"processId": "prc_00000000000000000000"}, "options": process},
            )
            for new in sessions:
                told = await printed(api, new)
                assert f"{len(VALUE)}|***|" in told
                # The second half came later: neither half was shown.
                assert told.count("***") == 2
                assert VALUE[:8] not in told
    finally:
        await kernel.close()
        await end_holder(HolderPlace(str(data_folder / "holder")))
