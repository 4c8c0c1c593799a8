"""The rows of sessions in the log's file. Each function runs inside a transaction of the log's writer."""

import sqlite3
from collections.abc import Collection

from nexus.kernel.sessions.record import Record, scope_of
from nexus.schemas.errors import SessionNotFound


def insert(connection: sqlite3.Connection, record: Record, request: str | None) -> str:
    """Add an active session with its first epoch, and return its id.

    The one of its type that was active in its context is paused. Where the same request made a session before, nothing
    is done and that one's id is returned.
    """
    found = connection.execute("SELECT id FROM session WHERE request = ?", (request,)).fetchone()
    if found is not None:
        return str(found[0])
    session = record.session
    make_active(connection, record)
    cursor = connection.execute(
        "INSERT INTO session (id, type, scope, status, epoch, request, document) VALUES (?, ?, ?, ?, 1, ?, ?)",
        (
            session.session_id,
            session.type,
            scope_of(session.context),
            session.status,
            request,
            record.document(),
        ),
    )
    connection.execute("INSERT INTO stream (session, epoch) VALUES (?, 1)", (cursor.lastrowid,))
    return session.session_id


def make_active(connection: sqlite3.Connection, record: Record) -> None:
    """Make it the one active session of its type in its context."""
    session = record.session
    connection.execute(
        "UPDATE session SET status = 'paused', document = json_set(document, '$.session.status', 'paused')"
        " WHERE type = ? AND scope = ? AND status = 'active'",
        (session.type, scope_of(session.context)),
    )
    connection.execute(
        "UPDATE session SET status = 'active', document = json_set(document, '$.session.status', 'active')"
        " WHERE id = ?",
        (session.session_id,),
    )


def update(connection: sqlite3.Connection, record: Record) -> None:
    """Store a session's changed record."""
    connection.execute(*updating(record))


_STATUS = "CASE WHEN ?1 IN ('active', 'paused') AND status IN ('active', 'paused') THEN status ELSE ?1 END"
"""Which of a context's live sessions is the active one is decided by `make_active` alone: a record in memory may not
know yet that another one took its place."""


def updating(record: Record) -> tuple[str, tuple[str, str, str]]:
    """Return the statement that stores a session's changed record; a live one stays active or paused as it is."""
    session = record.session
    return (
        (
            f"UPDATE session SET status = {_STATUS},"  # noqa: S608 -- nothing of a caller's is in the text
            f" document = json_set(?2, '$.session.status', {_STATUS}) WHERE id = ?3"
        ),
        (session.status, record.document(), session.session_id),
    )


def next_epoch(connection: sqlite3.Connection, record: Record) -> int:
    """Start another stream for a session, which becomes the active one, and return its epoch."""
    session_id = record.session.session_id
    make_active(connection, record)
    update(connection, record)
    connection.execute("UPDATE session SET epoch = epoch + 1, closed_at = NULL WHERE id = ?", (session_id,))
    found = connection.execute("SELECT key, epoch FROM session WHERE id = ?", (session_id,)).fetchone()
    if found is None:
        raise SessionNotFound(session_id=session_id)
    key, epoch = found
    connection.execute("INSERT INTO stream (session, epoch) VALUES (?, ?)", (key, epoch))
    return int(epoch)


def of_runs(connection: sqlite3.Connection, session_type: str, run_ids: Collection[str]) -> list[str]:
    """Return the ids of runs' sessions of a type: each time that a run was resumed it had another."""
    found = connection.execute(
        "SELECT id, json_extract(document, '$.session.context.runId') FROM session WHERE type = ?", (session_type,)
    )
    return [session_id for session_id, run_id in found if run_id in run_ids]


def delete_some(connection: sqlite3.Connection, session_id: str, most: int) -> bool:
    """Delete up to `most` batches of what a session printed, and return whether there may be more."""
    deleted = connection.execute(
        "DELETE FROM batch WHERE id IN"
        " (SELECT id FROM batch WHERE session = (SELECT key FROM session WHERE id = ?) LIMIT ?)",
        (session_id, most),
    )
    return deleted.rowcount == most


def delete(connection: sqlite3.Connection, session_id: str) -> None:
    """Delete a session and all that it printed."""
    connection.execute("DELETE FROM batch WHERE session = (SELECT key FROM session WHERE id = ?)", (session_id,))
    connection.execute("DELETE FROM session WHERE id = ?", (session_id,))
