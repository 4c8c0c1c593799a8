"""What the log keeps: by age, by size of a session, by size of all. What goes is told to readers as a gap."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from nexus.kernel.sessions.database import LogDatabase
from nexus.kernel.settings import Limits

SLICE_ROWS = 16
"""So many rows are deleted at once, so that a commit never waits long."""


@dataclass(frozen=True, slots=True)
class Trimmed:
    """The lines up to `last` of one epoch are gone, `bytes` of them."""

    session: int
    epoch: int
    last: int
    bytes: int


class Retention:
    """Deletes what the limits no longer keep, a slice at a time, in the writer's thread.

    `large` names the sessions that are over their own limit. `trimmed` is told what is gone after each slice.
    """

    def __init__(
        self,
        database: LogDatabase,
        limits: Limits,
        *,
        clock: Callable[[], int] = time.time_ns,
        trimmed: Callable[[list[Trimmed]], None],
    ) -> None:
        self._database = database
        self._limits = limits
        self._clock = clock
        self._trimmed = trimmed

    def slice(self) -> bool:
        """Delete one slice. Return whether there may be more to delete."""
        victims = self._old() or self._excess() or self._large()
        if victims:
            self._delete(victims)
        else:
            self._forget_sessions()
        return bool(victims)

    def _old(self) -> list[tuple[int, int, int, int, int]]:
        oldest = self._clock() - int(self._limits.age_seconds * 1e9)
        rows = self._database.rows(
            "SELECT id, session, epoch, last_seq, bytes, moment FROM batch ORDER BY id LIMIT ?", (SLICE_ROWS,)
        )
        return [tuple(row[:5]) for row in rows if row[5] < oldest]

    def _excess(self) -> list[tuple[int, int, int, int, int]]:
        total = self._database.rows("SELECT sum(bytes) FROM batch")[0][0] or 0
        return self._oldest("", (), total - self._limits.total_bytes)

    def _large(self) -> list[tuple[int, int, int, int, int]]:
        found = self._database.rows(
            "SELECT session, sum(bytes) AS size FROM batch GROUP BY session HAVING size > ? LIMIT 1",
            (self._limits.session_bytes,),
        )
        if not found:
            return []
        session, size = found[0]
        newest = self._database.rows("SELECT max(id) FROM batch WHERE session = ?", (session,))[0][0]
        return self._oldest("WHERE session = ? AND id < ?", (session, newest), size - self._limits.session_bytes)

    def _oldest(self, where: str, values: tuple[int, ...], excess: int) -> list[tuple[int, int, int, int, int]]:
        """Return the oldest rows that together hold the excess, up to a slice."""
        victims: list[tuple[int, int, int, int, int]] = []
        if excess <= 0:
            return victims
        rows = self._database.rows(
            f"SELECT id, session, epoch, last_seq, bytes FROM batch {where} ORDER BY id LIMIT ?",  # noqa: S608 -- ours
            (*values, SLICE_ROWS),
        )
        for row in rows:
            if excess <= 0:
                break
            victims.append(tuple(row))
            excess -= row[4]
        return victims

    def _delete(self, victims: list[tuple[int, int, int, int, int]]) -> None:
        gone: dict[tuple[int, int], Trimmed] = {}
        for _, session, epoch, last, size in victims:
            before = gone.get((session, epoch))
            gone[session, epoch] = Trimmed(session, epoch, last, size + (before.bytes if before else 0))
        with self._database.transaction() as writer:
            writer.executemany("DELETE FROM batch WHERE id = ?", [(victim[0],) for victim in victims])
            writer.executemany(
                "UPDATE stream SET trimmed = max(trimmed, ?) WHERE session = ? AND epoch = ?",
                [(each.last, each.session, each.epoch) for each in gone.values()],
            )
        self._trimmed(list(gone.values()))

    def _forget_sessions(self) -> None:
        """Delete closed sessions of which no line is left."""
        oldest = self._clock() - int(self._limits.age_seconds * 1e9)
        with self._database.transaction() as writer:
            writer.execute(
                "DELETE FROM session WHERE closed_at < ?"
                " AND NOT EXISTS (SELECT 1 FROM batch WHERE batch.session = session.key)",
                (oldest,),
            )
