"""Several kernels on one database of PostgreSQL's: each write whole and none lost, whoever is killed."""

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import psycopg

from nexus.kernel.store import account_tables  # noqa: F401 -- adds its tables to the metadata
from nexus.kernel.store.store import DatabaseAddress
from tests.kernel.answers import answer, make_project, refusal
from tests.kernel.cluster import Cluster
from tests.kernel.postgresql.databases import SECRET, kernel_on


async def test_kernels_on_one_database_see_each_others_work(tmp_path: Path, address: DatabaseAddress) -> None:
    async with kernel_on(tmp_path / "a", address) as one, kernel_on(tmp_path / "b", address) as other:
        made = await make_project(one, "Shared")
        assert answer(await other.get(f"/api/projects/{made['id']}"))["name"] == "Shared"
        refusal(await other.post("/api/projects", json={"name": "SHARED"}), 409, "RESOURCE_CONFLICT")
        answer(await other.patch(f"/api/projects/{made['id']}", json={"description": "by the other"}))
        assert answer(await one.get(f"/api/projects/{made['id']}"))["description"] == "by the other"
        # A write that is sent again to another kernel is answered as by the first.
        key = {"idempotency-key": "idk_two"}
        first = await one.post("/api/templates", json={"name": "once", "content": "x"}, headers=key)
        again = await other.post("/api/templates", json={"name": "once", "content": "x"}, headers=key)
        assert (again.status_code, again.content) == (201, first.content)


async def test_writes_of_several_kernels_at_once_lose_nothing(tmp_path: Path, cluster: Cluster) -> None:
    address = cluster.emptied()
    async with AsyncExitStack() as stack:
        kernels = [await stack.enter_async_context(kernel_on(tmp_path / name, address)) for name in ("a", "b", "c")]
        calls = [
            kernel.post("/api/templates", json={"name": f"t{index}-{number}", "content": "x"})
            for number in range(20)
            for index, kernel in enumerate(kernels)
        ]
        # The same name everywhere at once: one has it, and the others are told.
        same = [kernel.post("/api/templates", json={"name": "same", "content": "x"}) for kernel in kernels]
        answers = await asyncio.gather(*calls, *same)
        assert [each.status_code for each in answers[:60]] == [201] * 60
        assert sorted(each.status_code for each in answers[60:]) == [201, 409, 409]
        page = answer(await kernels[0].get("/api/templates", params={"limit": 200}))
    assert len(page["items"]) == 61
    # Each write is in the chain of what was done, which no two kernels have forked.
    [(head, records)] = cluster.run("SELECT max(seq), count(*) FROM audit", address.url.split("@/")[1].split("?")[0])
    assert head == records


WRITER = """
import asyncio, json, sys
from pathlib import Path
import httpx
from nexus.kernel.database import open_store
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from nexus.kernel.settings import KernelSettings
from nexus.kernel.store.store import DatabaseAddress

async def main():
    settings = KernelSettings(secret=sys.argv[3], database=DatabaseAddress(sys.argv[2]))
    kernel = await Kernel.open(Path(sys.argv[1]), OneShotHost(), settings=settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as api:
        for number in range(100_000):
            project = (await api.post("/api/projects", json={"name": f"{sys.argv[4]} {number}"})).json()
            body = {"title": "r"}
            answered = await api.post(f"/api/projects/{project['id']}/roadmaps", json=body)
            print(json.dumps([project["id"], answered.json()["id"]]), flush=True)

asyncio.run(main())
"""


async def test_a_kernel_killed_in_its_writes_leaves_each_whole_or_undone(
    tmp_path: Path, address: DatabaseAddress
) -> None:
    told: list[list[str]] = []
    for turn in range(3):
        command = [sys.executable, "-c", WRITER, str(tmp_path / "killed"), address.url, SECRET, f"turn {turn}"]
        writer = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        assert writer.stdout is not None
        told.extend([json.loads(await writer.stdout.readline()) for _ in range(3 + 2 * turn)])
        writer.send_signal(signal.SIGKILL)
        rest = await writer.stdout.read()
        told.extend(json.loads(line) for line in rest.splitlines(keepends=True) if line.endswith(b"\n"))
        await writer.wait()
    async with kernel_on(tmp_path / "other", address) as api:
        for project, roadmap in told:
            assert answer(await api.get(f"/api/projects/{project}"))["id"] == project
            assert answer(await api.get(f"/api/roadmaps/{roadmap}"))["projectId"] == project
        # The turn to write was the dead kernel's, and is not any more.
        await make_project(api, "next")
    with psycopg.connect(address.url) as connection:
        # What was done, what was written down of it, and the chain's head went together.
        [done] = connection.execute(
            "SELECT (SELECT count(*) FROM projects) + (SELECT count(*) FROM roadmaps)"
        ).fetchone()
        [records, head] = connection.execute("SELECT count(*), (SELECT seq FROM audit_head) FROM audit").fetchone()
    assert done == records == head
