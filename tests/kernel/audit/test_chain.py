"""The audit chain: whatever is done to it by who has the database alone is found, and named."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, delete, insert, select, update

from nexus.kernel.audit.chain import line_of
from nexus.kernel.kernel import Kernel
from nexus.kernel.store.schema import audit, audit_head
from tests.kernel.answers import answer, make_project

RECORDS = 12


def change(connection: Connection) -> None:
    row = connection.execute(select(audit).where(audit.c.seq == 5)).one()
    connection.execute(update(audit).where(audit.c.seq == 5).values(record=row.record.replace("owner", "nobody")))


def change_hash(connection: Connection) -> None:
    connection.execute(update(audit).where(audit.c.seq == 5).values(hash=b"0" * 32))


def swap(connection: Connection) -> None:
    rows = {row.seq: row for row in connection.execute(select(audit))}
    for here, there in ((5, 9), (9, 5)):
        values = {"record": rows[there].record, "hash": rows[there].hash}
        connection.execute(update(audit).where(audit.c.seq == here).values(values))


def cut_inside(connection: Connection) -> None:
    connection.execute(delete(audit).where(audit.c.seq == 5))


def cut_end(connection: Connection) -> None:
    connection.execute(delete(audit).where(audit.c.seq > 7))


def cut_end_and_head(connection: Connection) -> None:
    connection.execute(delete(audit).where(audit.c.seq > 7))
    last = connection.execute(select(audit).where(audit.c.seq == 7)).one()
    connection.execute(update(audit_head).values(seq=7, hash=last.hash))


def cut_head(connection: Connection) -> None:
    connection.execute(delete(audit_head))


def add(connection: Connection) -> None:
    record = line_of(RECORDS + 1, {"user": "owner", "by": "socket", "operation": "x", "outcome": "done"})
    connection.execute(insert(audit).values(seq=RECORDS + 1, record=record, hash=b"0" * 32))


@pytest.mark.parametrize(
    ("tamper", "seq", "fault"),
    [
        (change, 5, "changed"),
        (change_hash, 5, "changed"),
        (swap, 5, "moved"),
        (cut_inside, 5, "cut"),
        (cut_end, 8, "cut"),
        (cut_end_and_head, 8, "cut"),
        (cut_head, 1, "sealed by nobody"),
        (add, RECORDS + 1, "added"),
    ],
)
async def test_the_first_record_that_was_touched_is_named(
    kernel: Kernel, api: httpx.AsyncClient, tamper: Callable[[Connection], None], seq: int, fault: str
) -> None:
    for number in range(RECORDS):
        await make_project(api, f"p{number}")
    assert answer(await api.get("/api/audit/verify")) == {
        "intact": True,
        "records": RECORDS,
        "brokenAt": None,
        "fault": None,
    }
    await kernel._store.write(tamper)
    verdict = answer(await api.get("/api/audit/verify"))
    assert (verdict["intact"], verdict["brokenAt"], verdict["fault"]) == (False, seq, fault)


async def test_every_write_is_told_once_with_who_and_what(api: httpx.AsyncClient) -> None:
    project = await make_project(api, "One")
    await api.get("/api/projects")
    await api.delete(f"/api/projects/{project['id']}", headers={"x-request-id": "req_mine", "idempotency-key": "k"})
    await api.delete(f"/api/projects/{project['id']}", headers={"idempotency-key": "k"})
    records: list[dict[str, Any]] = answer(await api.get("/api/audit"))["items"]
    assert [(each["seq"], each["operation"], each["outcome"]) for each in records] == [
        (2, "agent.project.delete", "done"),
        (1, "agent.project.create", "done"),
    ]
    assert (records[0]["user"], records[0]["by"], records[0]["requestId"]) == ("owner", "socket", "req_mine")
    assert records[0]["request"] == f"DELETE /api/projects/{project['id']}"
    found = answer(await api.get("/api/audit", params={"operation": "agent.project.create"}))["items"]
    assert [each["seq"] for each in found] == [1]


async def test_a_write_that_failed_left_nothing_and_is_not_told(api: httpx.AsyncClient) -> None:
    await make_project(api, "One")
    assert (await api.post("/api/projects", json={"name": "One"})).status_code == 409
    assert len(answer(await api.get("/api/audit"))["items"]) == 1


async def test_the_chain_is_exported_whole_with_its_head(api: httpx.AsyncClient) -> None:
    for number in range(3):
        await make_project(api, f"p{number}")
    first = answer(await api.get("/api/audit/export", params={"limit": 2}))
    rest = answer(await api.get("/api/audit/export", params={"after": 2}))
    assert (len(first["records"]), len(rest["records"])) == (2, 1)
    assert rest["head"]["hash"] == rest["records"][0]["hash"]
    assert answer(await api.get("/api/audit/export", params={"after": 3}))["records"] == []
