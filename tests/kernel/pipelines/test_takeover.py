"""Two kernels on one database: the lease and the fence tell who has a run, and one that lost it writes nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from nexus.kernel.pipelines.ledger import Ending, Fenced, Ledger
from nexus.kernel.store.schema import runs
from nexus.kernel.store.store import DatabaseAddress
from tests.kernel.cluster import Cluster
from tests.kernel.holder.programs import alive, eventually
from tests.kernel.pipelines.runs import SECONDS, House, Run, changes, printed

LEASE = 1.5
STAY = 'echo "$$"; [ "$NEXUS_ATTEMPT" = 2 ] || while :; do sleep 0.1; done'
AGAIN = {"attempts": 2, "delaySeconds": 0}


@pytest.fixture
async def shared(cluster: Cluster) -> DatabaseAddress:
    return cluster.emptied()


@asynccontextmanager
async def opened(folder: Path, database: DatabaseAddress, **more: Any) -> AsyncIterator[House]:
    house = await House(folder, database=database, **more).open()
    yield house
    await house.end()


async def taken_over(run: Run, house: House) -> Run:
    """Wait until the run is another kernel's, and return it as that one has it."""
    async with asyncio.timeout(SECONDS):
        while True:
            row = await Run(house, run.id, "").row()
            if row.kernel == house.coordination.kernel_id:
                return Run(house, run.id, row.session_id)
            await asyncio.sleep(0.05)


async def test_a_run_whose_kernel_is_gone_is_taken_over_when_its_lease_ended(
    tmp_path: Path, shared: DatabaseAddress
) -> None:
    first = await House(tmp_path / "first", database=shared, lease=LEASE).open()
    steps = {
        "done": "echo kept > out",
        "work": {"sh": STAY, "needs": ["done"], "retries": AGAIN},
        "read": {"sh": "cat $NEXUS_INPUTS/done/out", "needs": ["done", "work"]},
    }
    run = await first.start(steps)
    await run.events(lambda events: bool(printed(events, "work")))
    # Its programs go on without it.
    await first.close()
    async with opened(tmp_path / "second", shared, mode="server", lease=LEASE, look=0.2) as second:
        other = await taken_over(run, second)
        events = await other.events()
        assert events[-1]["payload"]["reason"] == "succeeded"
        # What the first one left is not here, and is made again, because somebody reads it.
        assert printed(events, "read") == ["kept"]
        assert [each.status for each in await other.attempts("work")] == ["lost", "succeeded"]
        assert [each.status for each in await other.attempts("done")] == ["succeeded", "succeeded"]
        assert changes(events)[-1] == ("read", "succeeded")
        row = await other.row()
        assert (row.fence, row.status) == (2, "succeeded")
        await first.open()
        run.house = first
        events = await run.events()
        assert events[-1]["payload"]["reason"] == "lost"
        assert events[-2]["payload"]["code"] == "RESOURCE_CONFLICT"
        [pid] = printed(events, "work")
        await eventually(lambda: not alive(int(pid)))
        assert not (first.folder / "pipelines" / "runs" / run.id).exists()
        assert await other.row() == row
        await first.end()


async def test_a_kernel_that_finds_itself_fenced_ends_its_programs_and_writes_nothing(
    tmp_path: Path, shared: DatabaseAddress
) -> None:
    async with opened(tmp_path / "first", shared, lease=LEASE) as first:
        run = await first.start({"work": {"sh": STAY, "retries": AGAIN}})
        events = await run.until("work", "running")
        events = await run.events(lambda events: bool(printed(events, "work")))
        [pid] = printed(events, "work")
        # As if it had slept through its lease: another one has the run by now.
        taken = update(runs).where(runs.c.id == run.id).values(kernel="another", fence=2, session_id="ses_other")
        await first.kernel._store.write(lambda connection: connection.execute(taken))
        events = await run.events()
        assert (events[-2]["event"], events[-1]["payload"]["reason"]) == ("error", "lost")
        await eventually(lambda: not alive(int(pid)))
        assert (await run.statuses(), [each.status for each in await run.attempts("work")]) == (
            {"work": "running"},
            ["running"],
        )


async def test_of_two_that_claim_a_run_one_has_it(tmp_path: Path, shared: DatabaseAddress) -> None:
    async with opened(tmp_path / "first", shared) as house:
        run = await house.queue({"a": "true"})
        store = house.kernel._store
        mine, others = Ledger(store, house.coordination.kernel_id), Ledger(store, "another", lease_seconds=60)
        assert await others.claim(run.id, "ses_2") is None
        claim = await mine.claim(run.id, "ses_1")
        assert claim is not None
        assert await others.claim(run.id, "ses_2") is None
        assert await mine.begin(claim.hold, "a", 1)
        ended = update(runs).where(runs.c.id == run.id).values(lease_until="2000-01-01T00:00:00.000000Z")
        await store.write(lambda connection: connection.execute(ended))
        taken = await others.claim(run.id, "ses_2")
        assert taken is not None
        assert [each.lost for each in taken.steps] == [True]
        kept: list[str] = []

        def keep(_connection: Any) -> list[str]:
            kept.append("kept")
            return kept

        succeeded = Ending("succeeded", "succeeded", 0)
        for late in (
            lambda: mine.end(claim.hold, "a", 1, succeeded, keep),
            lambda: mine.change(claim.hold, claim.steps[0], succeeded),
            lambda: mine.begin(claim.hold, "a", 2),
            lambda: mine.renew(claim.hold),
            lambda: mine.cancel(claim.hold),
            lambda: mine.finish(claim.hold, "succeeded", None),
        ):
            with pytest.raises(Fenced):
                await late()
        assert kept == []
        assert (await run.row()).status == "running"
        # An answer that did not come is no other outcome.
        for _ in range(2):
            await others.change(taken.hold, taken.steps[0], Ending("lost", "failed", None, "lost"))
        for _ in range(2):
            await others.finish(taken.hold, "failed", "a: lost")
        assert (await run.row()).status == "failed"


async def test_a_database_that_goes_away_for_a_while_ends_no_run(
    tmp_path: Path, shared: DatabaseAddress, cluster: Cluster
) -> None:
    async with opened(tmp_path / "first", shared) as house:
        steps = {f"s{at}": {"sh": "sleep 0.1; echo done", "needs": [f"s{at - 1}"] if at else []} for at in range(6)}
        run = await house.start(steps)
        for _ in range(5):
            # Whatever is under way then: a claim, an end, a renewal.
            cluster.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
            await asyncio.sleep(0.1)
        events = await run.events()
        assert events[-1]["payload"]["reason"] == "succeeded"
        assert changes(events) == [(f"s{at}", status) for at in range(6) for status in ("running", "succeeded")]
        assert set((await run.statuses()).values()) == {"succeeded"}
