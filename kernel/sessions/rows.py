"""The rows of sessions in the log's file. Each function runs inside a transaction of the log's writer."""

import sqlite3

from nexus.schemas.errors import Conflict, SessionNotFound
from nexus.schemas.session import Session


def insert(connection: sqlite3.Connection, session: Session, scope: str | None, document: str) -> None:
    """Add an active session with its first epoch. Raises Conflict when its scope has an active one of this type."""
    try:
        cursor = connection.execute(
            "INSERT INTO session (id, type, scope, status, epoch, document) VALUES (?, ?, ?, ?, 1, ?)",
            (session.session_id, session.type, scope, session.status, document),
        )
    except sqlite3.IntegrityError as error:
        raise Conflict.because(
            f"There is an active session of type {session.type} in this context already.", session_type=session.type
        ) from error
    connection.execute("INSERT INTO stream (session, epoch) VALUES (?, 1)", (cursor.lastrowid,))


def update(connection: sqlite3.Connection, session: Session, document: str) -> None:
    """Store a session's changed document and status."""
    connection.execute(
        "UPDATE session SET status = ?, document = ? WHERE id = ?", (session.status, document, session.session_id)
    )


def next_epoch(connection: sqlite3.Connection, session: Session, document: str) -> int:
    """Start another stream for a session, and return its epoch. Raises SessionNotFound."""
    update(connection, session, document)
    connection.execute("UPDATE session SET epoch = epoch + 1, closed_at = NULL WHERE id = ?", (session.session_id,))
    found = connection.execute("SELECT key, epoch FROM session WHERE id = ?", (session.session_id,)).fetchone()
    if found is None:
        raise SessionNotFound(session_id=session.session_id)
    key, epoch = found
    connection.execute("INSERT INTO stream (session, epoch) VALUES (?, ?)", (key, epoch))
    return int(epoch)


def delete(connection: sqlite3.Connection, session_id: str) -> None:
    """Delete a session and all that it printed."""
    connection.execute("DELETE FROM batch WHERE session = (SELECT key FROM session WHERE id = ?)", (session_id,))
    connection.execute("DELETE FROM session WHERE id = ?", (session_id,))
