"""Every write of the coordinator. Each changes rows only where they are as it knows them: the count of rows decides.

A run belongs to the kernel that claimed it, under a fence that counts the claims, for as long as its lease says. Who
takes it over counts the fence up; what the kernel before it still writes changes nothing, and it is told `Fenced`.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, exists, func, insert, or_, select, update

from nexus.kernel.store.rows import now
from nexus.kernel.store.schema import run_attempts, run_steps, runs
from nexus.kernel.store.store import Store
from nexus.schemas.model import rfc3339
from nexus.schemas.run import RUN_ENDS, STEP_ENDS, AttemptStatus, RunStatus, StepStatus

LEASE_SECONDS = 60.0
UNDER_WAY = ("queued", "running", "cancelling")
HELD = ("running", "cancelling")
MOST_FOUND = 50
MOST_ASKED = 500

Keep = Callable[[Connection], list[str]]
"""What is done in the transaction that ends an attempt; it returns the ids of the artifacts that it made."""


class Fenced(Exception):
    """The run is not this kernel's any more: another one took it over, or it is deleted or over."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A run that this kernel has. What it writes counts for as long as the run has this fence."""

    run_id: str
    fence: int


@dataclass(slots=True)
class StepState:
    """A step as its row has it. `lost` is set where an attempt was under way that another kernel had."""

    name: str
    status: StepStatus
    attempt: int
    spent: int
    exit_code: int | None = None
    reason: str | None = None
    next_attempt_at: str | None = None
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that was claimed, as it is: its row, and its steps in an order in which each is behind what it needs."""

    hold: Hold
    row: Row[Any]
    status: RunStatus
    steps: list[StepState]


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended, and what becomes of its step."""

    status: AttemptStatus
    step: StepStatus
    exit_code: int | None = None
    reason: str | None = None
    error: dict[str, Any] | None = None
    next_attempt_at: str | None = None


class Ledger:
    """The rows of runs, written for one kernel. Every method raises the store's errors beside what it tells."""

    def __init__(self, store: Store, kernel_id: str, lease_seconds: float = LEASE_SECONDS) -> None:
        self._store = store
        self.kernel = kernel_id
        self._lease = timedelta(seconds=lease_seconds)

    # -- runs

    async def found(self, run_id: str | None = None, *, besides: Collection[str] = ()) -> Sequence[Any]:
        """Return (id, status, kernel, session_id, project_id) of runs that this kernel may claim, the oldest first.

        With an id, of that one if it may. Those of `besides` are left out.
        """
        wanted = (
            select(runs.c.id, runs.c.status, runs.c.kernel, runs.c.session_id, runs.c.project_id)
            .where(self._claimable(), runs.c.id.not_in(besides))
            .order_by(runs.c.created_at)
            .limit(MOST_FOUND)
        )
        if run_id is not None:
            wanted = wanted.where(runs.c.id == run_id)
        return await self._store.read(lambda connection: [*connection.execute(wanted)])

    async def row(self, run_id: str) -> Row[Any] | None:
        """Return a run's row, None when there is none."""
        wanted = select(runs).where(runs.c.id == run_id)
        return await self._store.read(lambda connection: connection.execute(wanted).first())

    async def is_queued(self, run_id: str, session_id: str) -> bool:
        """Whether a run waits to be begun with this session."""
        row = await self.row(run_id)
        return row is not None and (row.status, row.session_id) == ("queued", session_id)

    async def claim(self, run_id: str, session_id: str) -> Claim | None:
        """Make the run this kernel's, with this session; None when it may not be: it is another's, or over.

        A queued run, one of an earlier process of this kernel, or one of another kernel whose lease ended. Attempts
        that another kernel had under way are lost.
        """
        return await self._store.write(lambda connection: self._claim(connection, run_id, session_id))

    def _claim(self, connection: Connection, run_id: str, session_id: str) -> Claim | None:
        before = connection.execute(select(runs).where(runs.c.id == run_id)).first()
        if before is None:
            return None
        claimed = {
            "kernel": self.kernel,
            "fence": runs.c.fence + 1,
            "lease_until": self._until(),
            "session_id": session_id,
            "status": case((runs.c.status == "queued", "running"), else_=runs.c.status),
            "started_at": func.coalesce(runs.c.started_at, now()),
        }
        mine = and_(runs.c.id == run_id, runs.c.fence == before.fence, self._claimable())
        if not connection.execute(update(runs).where(mine).values(claimed)).rowcount:
            return None
        if before.kernel != self.kernel:
            under_way = and_(run_attempts.c.run_id == run_id, run_attempts.c.status == "running")
            lost = {"status": "lost", "reason": "its kernel is gone", "finished_at": now()}
            connection.execute(update(run_attempts).where(under_way).values(lost))
        row = connection.execute(select(runs).where(runs.c.id == run_id)).one()
        return Claim(Hold(run_id, row.fence), row, row.status, _steps(connection, run_id))

    async def renew(self, hold: Hold) -> RunStatus:
        """Have the lease go on, and return the run's status. Raises `Fenced`."""

        def renewed(connection: Connection) -> RunStatus:
            changed = update(runs).where(self._held(hold)).values(lease_until=self._until())
            if not connection.execute(changed).rowcount:
                raise Fenced(hold.run_id)
            status: RunStatus = connection.execute(select(runs.c.status).where(runs.c.id == hold.run_id)).scalar_one()
            return status

        return await self._store.write(renewed)

    async def cancel(self, hold: Hold) -> None:
        """Say that the run is to be cancelled. Raises `Fenced`."""
        changed = update(runs).where(self._held(hold)).values(status="cancelling")

        def told(connection: Connection) -> None:
            _must(connection.execute(changed).rowcount, hold)

        await self._store.write(told)

    async def finish(self, hold: Hold, status: RunStatus, reason: str | None) -> None:
        """Say how the run ended. Raises `Fenced`."""
        over = {"status": status, "reason": reason, "finished_at": now(), "lease_until": None}

        def finished(connection: Connection) -> None:
            if connection.execute(update(runs).where(self._held(hold)).values(over)).rowcount:
                return
            row = connection.execute(select(runs.c.fence, runs.c.status).where(runs.c.id == hold.run_id)).first()
            # Else it was told before, and the answer did not come.
            _must(row is not None and (row.fence, row.status) == (hold.fence, status), hold)

        await self._store.write(finished)

    async def fail(self, run_id: str, reason: str) -> None:
        """Say that a queued run of this kernel failed before it began; another one stays as it is."""
        queued = and_(runs.c.id == run_id, runs.c.status == "queued", runs.c.kernel == self.kernel)

        def failed(connection: Connection) -> None:
            over = {"status": "failed", "reason": reason, "finished_at": now()}
            if connection.execute(update(runs).where(queued).values(over)).rowcount:
                _skip_waiting(connection, run_id)

        await self._store.write(failed)

    async def break_off(self, run_id: str, reason: str) -> None:
        """Say that a run of this kernel failed by a fault, and with it all of it that was under way."""

        def broken(connection: Connection) -> None:
            mine = and_(runs.c.id == run_id, runs.c.kernel == self.kernel, runs.c.status.in_(HELD))
            over = {"status": "failed", "reason": reason, "finished_at": now(), "lease_until": None}
            if not connection.execute(update(runs).where(mine).values(over)).rowcount:
                return
            for table, step in ((run_attempts, "lost"), (run_steps, "failed")):
                under_way = and_(table.c.run_id == run_id, table.c.status == "running")
                ended = {"status": step, "reason": reason, "finished_at": now()}
                connection.execute(update(table).where(under_way).values(ended))
            _skip_waiting(connection, run_id)

        await self._store.write(broken)

    async def keeping(self, run_ids: Sequence[str]) -> set[str]:
        """Return those of the runs whose folders are needed: they are there, and did not succeed."""

        def kept(connection: Connection) -> set[str]:
            found: set[str] = set()
            for start in range(0, len(run_ids), MOST_ASKED):
                asked = and_(runs.c.id.in_(run_ids[start : start + MOST_ASKED]), runs.c.status != "succeeded")
                found |= set(connection.execute(select(runs.c.id).where(asked)).scalars())
            return found

        return await self._store.read(kept)

    # -- steps

    async def begin(self, hold: Hold, step: str, attempt: int) -> bool:
        """Claim the attempt of this number at a waiting step; False when the run is being cancelled.

        Raises `Fenced`.
        """
        return await self._store.write(lambda connection: self._begin(connection, hold, step, attempt))

    def _begin(self, connection: Connection, hold: Hold, step: str, attempt: int) -> bool:
        moment = now()
        running = {
            "status": "running",
            "attempt": attempt,
            "started_at": moment,
            **dict.fromkeys(("finished_at", "next_attempt_at", "exit_code", "reason")),
        }
        waits = and_(_step(hold, step), run_steps.c.status == "waiting", run_steps.c.attempt == attempt - 1)
        goes_on = exists().where(self._held(hold), runs.c.status == "running")
        if connection.execute(update(run_steps).where(waits, goes_on).values(running)).rowcount:
            new = {"run_id": hold.run_id, "step": step, "number": attempt, "fence": hold.fence}
            connection.execute(insert(run_attempts).values(**new, status="running", started_at=moment))
            return True
        self._must_hold(connection, hold)
        if connection.execute(select(runs.c.status).where(runs.c.id == hold.run_id)).scalar_one() == "cancelling":
            return False
        # It was claimed before, and the answer did not come.
        _must(connection.execute(select(exists().where(_attempt(hold, step, attempt)))).scalar_one(), hold)
        return True

    async def end(self, hold: Hold, step: str, attempt: int, ending: Ending, keep: Keep) -> list[str]:
        """End an attempt that runs, do `keep` in the same transaction, and return what it returns.

        Raises `Fenced`; then nothing of it is done.
        """

        def ended(connection: Connection) -> list[str]:
            over = {
                "status": ending.status,
                "exit_code": ending.exit_code,
                "reason": ending.reason,
                "error": ending.error,
                "finished_at": now(),
            }
            runs_still = and_(_attempt(hold, step, attempt), run_attempts.c.status == "running")
            goes_on = exists().where(self._held(hold))
            if not connection.execute(update(run_attempts).where(runs_still, goes_on).values(over)).rowcount:
                self._must_hold(connection, hold)
                same = and_(_attempt(hold, step, attempt), run_attempts.c.status == ending.status)
                done = connection.execute(select(run_attempts.c.artifacts).where(same)).first()
                if done is None:
                    raise Fenced(hold.run_id)
                return list(done.artifacts or ())
            self._change(connection, hold, step, ("running", attempt), _changes(ending))
            made = keep(connection)
            if made:
                with_them = update(run_attempts).where(_attempt(hold, step, attempt)).values(artifacts=made)
                connection.execute(with_them)
            return made

        return await self._store.write(ended)

    async def change(self, hold: Hold, was: StepState, ending: Ending, *, anew: bool = False) -> None:
        """Make a step, of which no attempt runs, what `ending` says; `anew` counts its attempts from here on.

        Raises `Fenced`.
        """
        changes = _changes(ending) | ({"spent": was.attempt} if anew else {})
        known = (was.status, was.attempt)

        def changed(connection: Connection) -> None:
            self._change(connection, hold, was.name, known, changes)

        await self._store.write(changed)

    def _change(
        self, connection: Connection, hold: Hold, step: str, known: tuple[StepStatus, int], changes: dict[str, Any]
    ) -> None:
        status, attempt = known
        is_so = and_(_step(hold, step), run_steps.c.status == status, run_steps.c.attempt == attempt)
        if connection.execute(
            update(run_steps).where(is_so, exists().where(self._held(hold))).values(changes)
        ).rowcount:
            return
        self._must_hold(connection, hold)
        is_done = and_(_step(hold, step), run_steps.c.status == changes["status"], run_steps.c.attempt == attempt)
        _must(connection.execute(select(exists().where(is_done))).scalar_one(), hold)

    async def artifacts(self, run_id: str, step: str, attempt: int) -> list[str]:
        """Return the ids of the artifacts that an attempt made."""
        wanted = select(run_attempts.c.artifacts).where(_attempt_of(run_id, step, attempt))
        return list(await self._store.read(lambda connection: connection.execute(wanted).scalar()) or ())

    # -- conditions

    def _claimable(self) -> ColumnElement[bool]:
        moment = datetime.now(UTC)
        ended = and_(runs.c.lease_until.is_not(None), runs.c.lease_until < rfc3339(moment))
        never_begun = and_(runs.c.lease_until.is_(None), runs.c.created_at < rfc3339(moment - self._lease))
        return and_(runs.c.status.in_(UNDER_WAY), or_(runs.c.kernel == self.kernel, ended, never_begun))

    def _held(self, hold: Hold) -> ColumnElement[bool]:
        return and_(
            runs.c.id == hold.run_id,
            runs.c.fence == hold.fence,
            runs.c.kernel == self.kernel,
            runs.c.status.in_(HELD),
        )

    def _must_hold(self, connection: Connection, hold: Hold) -> None:
        _must(connection.execute(select(exists().where(self._held(hold)))).scalar_one(), hold)

    def _until(self) -> str:
        return rfc3339(datetime.now(UTC) + self._lease)


def is_over(status: str) -> bool:
    """Whether a run that is so stays so."""
    return status in RUN_ENDS


def _skip_waiting(connection: Connection, run_id: str) -> None:
    waiting = and_(run_steps.c.run_id == run_id, run_steps.c.status == "waiting")
    connection.execute(update(run_steps).where(waiting).values(status="skipped", next_attempt_at=None))


def _must(held: object, hold: Hold) -> None:
    if not held:
        raise Fenced(hold.run_id)


def _changes(ending: Ending) -> dict[str, Any]:
    return {
        "status": ending.step,
        "exit_code": ending.exit_code,
        "reason": ending.reason,
        "next_attempt_at": ending.next_attempt_at,
        "finished_at": now() if ending.step in STEP_ENDS else None,
    }


def _step(hold: Hold, step: str) -> ColumnElement[bool]:
    return and_(run_steps.c.run_id == hold.run_id, run_steps.c.name == step)


def _attempt(hold: Hold, step: str, number: int) -> ColumnElement[bool]:
    return _attempt_of(hold.run_id, step, number)


def _attempt_of(run_id: str, step: str, number: int) -> ColumnElement[bool]:
    return and_(run_attempts.c.run_id == run_id, run_attempts.c.step == step, run_attempts.c.number == number)


def _steps(connection: Connection, run_id: str) -> list[StepState]:
    lost = connection.execute(
        select(run_attempts.c.step, run_attempts.c.number).where(
            run_attempts.c.run_id == run_id, run_attempts.c.status == "lost"
        )
    ).all()
    gone = {(row.step, row.number) for row in lost}
    rows = connection.execute(
        select(run_steps).where(run_steps.c.run_id == run_id).order_by(run_steps.c.position)
    ).all()
    return [
        StepState(
            *(row.name, row.status, row.attempt, row.spent, row.exit_code, row.reason, row.next_attempt_at),
            lost=row.status == "running" and (row.name, row.attempt) in gone,
        )
        for row in rows
    ]
