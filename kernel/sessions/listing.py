"""Finding sessions in the log's file."""

from typing import Any

from nexus.kernel.sessions.log import EventLog
from nexus.kernel.sessions.record import Record
from nexus.schemas.errors import SessionNotFound, ValidationError
from nexus.schemas.page import Page
from nexus.schemas.session import Session, SessionQuery

SORTS = {None: "DESC", "-createdAt": "DESC", "createdAt": "ASC"}


async def find_record(log: EventLog, session_id: str) -> tuple[Record, int]:
    """Return a session's record and epoch. Raises SessionNotFound."""
    found = await log.query("SELECT document, epoch FROM session WHERE id = ?", (session_id,))
    if not found:
        raise SessionNotFound(session_id=session_id)
    document, epoch = found[0]
    return Record.model_validate_json(document), epoch


async def live_records(log: EventLog) -> list[tuple[Record, int]]:
    """Return the records and epochs of all sessions that have not ended."""
    found = await log.query("SELECT document, epoch FROM session WHERE status IN ('active', 'paused') ORDER BY key")
    return [(Record.model_validate_json(document), epoch) for document, epoch in found]


async def list_sessions(log: EventLog, query: SessionQuery) -> Page[Session]:
    """Return a page of sessions. Raises ValidationError for an order or a cursor that there is not."""
    order = SORTS.get(query.sort)
    if order is None:
        raise ValidationError.because(
            f"Sessions cannot be sorted by {query.sort!r}.", field="sort", expected=["createdAt", "-createdAt"]
        )
    where, values = _conditions(query, order)
    found = await log.query(
        f"SELECT key, document FROM session {where} ORDER BY key {order} LIMIT ?",  # noqa: S608 -- made of constants
        (*values, query.limit + 1),
    )
    kept = found[: query.limit]
    more = len(found) > query.limit
    return Page[Session](
        items=[Record.model_validate_json(document).session for _, document in kept],
        next_cursor=str(kept[-1][0]) if more else None,
        truncated=more,
    )


def _conditions(query: SessionQuery, order: str) -> tuple[str, list[Any]]:
    conditions: list[tuple[str, Any]] = []
    if query.status is not None:
        conditions.append(("status = ?", query.status))
    elif not query.include_closed:
        conditions.append(("status IN ('active', 'paused') AND ?", 1))
    if query.type is not None:
        conditions.append(("type = ?", query.type))
    if query.project_id is not None:
        conditions.append(("json_extract(document, '$.session.context.projectId') = ?", query.project_id))
    if query.filter is not None:
        conditions.append(("instr(lower(document), lower(?))", query.filter))
    if query.cursor is not None:
        conditions.append(("key < ?" if order == "DESC" else "key > ?", _cursor(query.cursor)))
    where = " AND ".join(condition for condition, _ in conditions)
    return (f"WHERE {where}" if where else ""), [value for _, value in conditions]


def _cursor(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise ValidationError.because("The cursor is not one that was given.", field="cursor")
    return int(cursor)
