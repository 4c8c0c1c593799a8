"""What was said, in the kernel's database: the event log carries an answer while it comes, this keeps it.

The log is trimmed by age and size; a conversation is listed, searched, exported and sent to models for as long as it
exists. So it has rows of its own, and a test holds that an answer reads here as it streamed there.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from nexus.kernel.ai.chunks import Turn
from nexus.kernel.store.lookup import values_of
from nexus.kernel.store.rows import name_key, new_id, now
from nexus.kernel.store.schema import ai_messages, ai_sessions
from nexus.schemas.ai import AiMessage, AiSession, RecordedMessage
from nexus.schemas.errors import Conflict, NotFound, SessionNotFound

MOST_TURN_CHARACTERS = 4_000_000
"""Of a conversation as a back end is told it; what is older is left out."""


def find_session(connection: Connection, session_id: str) -> Row[Any]:
    """Return a session's row. Raises `SessionNotFound`."""
    row = connection.execute(select(ai_sessions).where(ai_sessions.c.id == session_id)).one_or_none()
    if row is None:
        raise SessionNotFound(session_id=session_id, hint="nexus ai session list")
    return row


def count_messages(connection: Connection, session_id: str) -> int:
    counted = select(func.count()).select_from(ai_messages).where(ai_messages.c.session_id == session_id)
    return int(connection.execute(counted).scalar_one())


def session_of(row: Row[Any], message_count: int) -> AiSession:
    return AiSession.model_validate({**values_of(row), "message_count": message_count})


def message_of(row: Row[Any]) -> AiMessage:
    return AiMessage.model_validate(values_of(row))


def find_message(connection: Connection, session_id: str, message_id: str) -> AiMessage:
    """Return one message of a session. Raises `SessionNotFound`, `NotFound`."""
    find_session(connection, session_id)
    wanted = select(ai_messages).where(ai_messages.c.id == message_id, ai_messages.c.session_id == session_id)
    row = connection.execute(wanted).one_or_none()
    if row is None:
        raise NotFound(resource="message", reference=message_id, hint="nexus ai message list")
    return message_of(row)


def begin_session(connection: Connection, session_id: str, values: dict[str, Any]) -> None:
    """Keep a new session."""
    moment = now()
    connection.execute(
        insert(ai_sessions).values(
            **values, id=session_id, name_key=name_key(values["name"]), created_at=moment, updated_at=moment
        )
    )


def change_session(connection: Connection, session_id: str, values: dict[str, Any]) -> AiSession:
    """Change what is given and return the session. Raises `SessionNotFound`."""
    if "name" in values:
        values = {**values, "name_key": name_key(values["name"])}
    connection.execute(update(ai_sessions).where(ai_sessions.c.id == session_id).values(**values, updated_at=now()))
    row = find_session(connection, session_id)
    return session_of(row, count_messages(connection, session_id))


def forget_session(connection: Connection, session_id: str) -> int:
    """Delete a session with its messages; return how many there were. Raises `SessionNotFound`."""
    find_session(connection, session_id)
    count = count_messages(connection, session_id)
    connection.execute(delete(ai_sessions).where(ai_sessions.c.id == session_id))
    return count


def say(connection: Connection, session_id: str, content: str, *, backend: str, answer_id: str) -> AiMessage:
    """Keep what the user says, and the answer that is to come. Raises `SessionNotFound`."""
    find_session(connection, session_id)
    moment = now()
    said = {"id": new_id("aim"), "role": "user", "content": content, "status": "complete", "finished_at": moment}
    answer = {"id": answer_id, "role": "assistant", "content": "", "status": "streaming", "backend": backend}
    for values in (said, answer):
        connection.execute(insert(ai_messages).values(**values, session_id=session_id, created_at=moment))
    connection.execute(update(ai_sessions).where(ai_sessions.c.id == session_id).values(updated_at=moment))
    return AiMessage.model_validate({**said, "session_id": session_id, "created_at": moment})


def finish_answer(connection: Connection, answer_id: str, values: dict[str, Any]) -> None:
    """Keep how an answer ended. An answer that was cleared meanwhile stays away."""
    connection.execute(update(ai_messages).where(ai_messages.c.id == answer_id).values(**values, finished_at=now()))


def open_answers(connection: Connection, session_id: str) -> list[str]:
    """Return the ids of answers that were streaming when the kernel ended."""
    wanted = select(ai_messages.c.id).where(ai_messages.c.session_id == session_id, ai_messages.c.status == "streaming")
    return list(connection.execute(wanted).scalars())


def keep_cut_off(connection: Connection, found: Mapping[str, str]) -> None:
    """Keep the texts, by their answers' ids, that were streaming when the kernel ended."""
    for answer_id, content in found.items():
        finish_answer(connection, answer_id, {"content": content, "status": "partial", "finish_reason": "lost"})


def turns_of(connection: Connection, session_id: str) -> list[Turn]:
    """Return the conversation as a back end is told it: the newest part that fits, the oldest turn first."""
    wanted = (
        select(ai_messages.c.role, ai_messages.c.content)
        .where(ai_messages.c.session_id == session_id, ai_messages.c.status != "streaming")
        .order_by(ai_messages.c.position.desc())
    )
    turns: list[Turn] = []
    room = MOST_TURN_CHARACTERS
    for role, content in connection.execute(wanted):
        room -= len(content)
        if turns and room < 0:
            break
        turns.append(Turn(role, content))
    return turns[::-1]


def clear_messages(connection: Connection, session_id: str) -> int:
    """Delete all messages of a session; return how many there were. Raises `SessionNotFound`."""
    find_session(connection, session_id)
    cleared = connection.execute(delete(ai_messages).where(ai_messages.c.session_id == session_id))
    connection.execute(
        update(ai_sessions).where(ai_sessions.c.id == session_id).values(updated_at=now(), agent_session=None)
    )
    return int(cleared.rowcount)


def recorded_messages(connection: Connection, session_id: str) -> list[RecordedMessage]:
    """Return a session's messages as a file keeps them; one that is still coming is left out."""
    wanted = (
        select(ai_messages)
        .where(ai_messages.c.session_id == session_id, ai_messages.c.status != "streaming")
        .order_by(ai_messages.c.position)
    )
    names = RecordedMessage.model_fields.keys()
    return [
        RecordedMessage.model_validate({name: value for name, value in values_of(row).items() if name in names})
        for row in connection.execute(wanted)
    ]


def take_in(connection: Connection, session_id: str, messages: Sequence[RecordedMessage]) -> int:
    """Keep recorded messages in a session that has none. Raises `Conflict`, `SessionNotFound`."""
    find_session(connection, session_id)
    if count_messages(connection, session_id):
        raise Conflict.because("The session has messages already: a conversation is taken into an empty one.")
    rows = [
        {**message.model_dump(mode="json", by_alias=False), "id": new_id("aim"), "session_id": session_id}
        for message in messages
    ]
    if rows:
        connection.execute(insert(ai_messages), rows)
    return len(rows)
