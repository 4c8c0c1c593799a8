"""AI chats behind the API: back ends, sessions, messages, conversations."""

import asyncio
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, select

from nexus.kernel.ai import history
from nexus.kernel.ai.catalog import Choice, choose, listed, surroundings_of
from nexus.kernel.ai.check import checked
from nexus.kernel.ai.driver import ChatDriver, ChatSurroundings, gone
from nexus.kernel.api.late import Behind
from nexus.kernel.api.operation import ApiRequest
from nexus.kernel.caller import require_shell
from nexus.kernel.part import Surroundings
from nexus.kernel.store.paging import Listing, contains
from nexus.kernel.store.rows import now
from nexus.kernel.store.schema import ai_messages, ai_sessions
from nexus.schemas.ai import (
    AiCaller,
    AiMessage,
    AiMessageQuery,
    AiMessageSent,
    AiSession,
    AiSessionChanges,
    AiSessionDetails,
    AiSessionQuery,
    Backend,
    BackendChoice,
    BackendQuery,
    BackendStatus,
    Conversation,
    ConversationTaken,
    NewAiMessage,
    RecordedSession,
    is_the_machines,
)
from nexus.schemas.chat import MessagesCleared
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page
from nexus.schemas.session import CallerSurroundings

if TYPE_CHECKING:
    from nexus.kernel.sessions.output import SessionOutput

COUNTED = (
    select(func.count())
    .select_from(ai_messages)
    .where(ai_messages.c.session_id == ai_sessions.c.id)
    .correlate(ai_sessions)
    .scalar_subquery()
)

SESSIONS = Listing(
    sorts={
        "id": ai_sessions.c.id,
        "name": ai_sessions.c.name_key,
        "backend": ai_sessions.c.backend,
        "createdAt": ai_sessions.c.created_at,
        "updatedAt": ai_sessions.c.updated_at,
    },
    order="-createdAt",
    id=ai_sessions.c.id,
    item=lambda row: history.session_of(row, row.message_count),
)

MESSAGES = Listing(
    sorts={
        "id": ai_messages.c.id,
        "role": ai_messages.c.role,
        "status": ai_messages.c.status,
        # The order in which they were said, whatever the clock did.
        "createdAt": ai_messages.c.position,
    },
    order="createdAt",
    id=ai_messages.c.position,
    item=history.message_of,
)


class AiChats:
    """The AI chats of this data folder. Their streams are sessions; the drivers that are at work stand in `at_work`."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.store = surroundings.store
        self.at_work: dict[str, ChatDriver] = {}
        self._drivers = surroundings.drivers
        self._own = CallerSurroundings(environment=dict(surroundings.environment))
        self._shared = ChatSurroundings(self.store, self._own, self._forget, surroundings.secrets)

    def behind(self) -> dict[str, Behind]:
        """Return what stands behind each operation of the part."""
        return {
            "ai.backend.list": Behind(self.backends, Page[Backend], body=AiCaller),
            "ai.backend.list.choose": Behind(self.chosen, Backend, body=BackendQuery),
            "ai.backend.status": Behind(self.check, BackendStatus, body=BackendQuery),
            "ai.backend.select": Behind(self.select, AiSession, body=BackendChoice),
            "ai.session.list": Behind(self.list, Page[AiSession], query=AiSessionQuery),
            "ai.session.view": Behind(self.view, AiSessionDetails),
            "ai.session.update": Behind(self.change, AiSession, body=AiSessionChanges),
            "ai.session.delete": Behind(self.delete, Deleted),
            "ai.conversation.export": Behind(self.export, Conversation),
            "ai.conversation.import": Behind(self.take_in, ConversationTaken, body=Conversation),
            "ai.message.list": Behind(self.messages, Page[AiMessage], query=AiMessageQuery),
            "ai.message.send": Behind(self.send, AiMessageSent, body=NewAiMessage),
            "ai.message.clear": Behind(self.clear, MessagesCleared),
            "ai.message.view": Behind(self.message, AiMessage),
        }

    def driver(self, output: "SessionOutput") -> ChatDriver:
        """Make the driver of one session."""
        driver = ChatDriver(output, self._shared)
        self.at_work[output.session.session_id] = driver
        return driver

    # -- back ends

    async def backends(self, request: ApiRequest[None, AiCaller]) -> Page[Backend]:
        """Return every back end that has a name of its own."""
        caller = request.body
        found = await asyncio.to_thread(lambda: list(listed(surroundings_of(caller, self._own), caller.settings)))
        return Page[Backend](items=found)

    async def chosen(self, request: ApiRequest[None, BackendQuery]) -> Backend:
        """Return the back end that is meant. Raises what is missing for it."""
        return (await self._choice(request.body.backend, request.body.caller)).told()

    async def check(self, request: ApiRequest[None, BackendQuery]) -> BackendStatus:
        """Return whether the back end answers."""
        asked = request.body
        choice = await self._permitted(request, asked)
        return await checked(choice, surroundings_of(asked.caller, self._own), asked.caller.settings.timeout)

    async def select(self, request: ApiRequest[None, BackendChoice]) -> AiSession:
        """Have another back end answer in a session. Raises what is missing for it, and `SessionClosed`."""
        choice = await self._permitted(request, request.body)
        driver = await self._at_work(request.path["id"])
        return await driver.choose_backend(choice, request.body.workspace_path)

    # -- sessions

    async def list(self, request: ApiRequest[AiSessionQuery, None]) -> Page[AiSession]:
        """Return a page of sessions, the newest first."""
        query = request.query
        wanted = select(ai_sessions, COUNTED.label("message_count"))
        if query.name is not None:
            wanted = wanted.where(ai_sessions.c.name == query.name)
        if query.filter:
            wanted = wanted.where(contains((ai_sessions.c.name, ai_sessions.c.backend), query.filter))
        return await self.store.read(lambda connection: SESSIONS.page(connection, wanted, query))

    async def view(self, request: ApiRequest[None, None]) -> AiSessionDetails:
        """Return one session, and whether it is at work."""
        session_id = request.path["id"]
        await self._drivers.ready()
        driver = self.at_work.get(session_id)
        if driver is not None:
            await driver.begun()
        session = await self.store.read(lambda connection: _session(connection, session_id))
        return AiSessionDetails(**dict(session), live=driver is not None, answering=driver is not None and driver.busy)

    async def change(self, request: ApiRequest[None, AiSessionChanges]) -> AiSession:
        """Change the fields that are given; permissions hold from an agent's next start on."""
        values = request.body.model_dump(exclude_none=True, by_alias=False)
        if values.get("permissions", "reject") != "reject":
            require_shell(request.caller, "the rights of a program")
        session_id = request.path["id"]
        return await request.write(lambda connection: history.change_session(connection, session_id, values))

    async def delete(self, request: ApiRequest[None, None]) -> Deleted:
        """Delete a session with its messages; what it is about to answer is interrupted."""
        session_id = request.path["id"]
        await self._drivers.ready()
        driver = self.at_work.get(session_id)
        if driver is not None:
            count = await driver.delete()
        else:
            count = await self.store.write(lambda connection: history.forget_session(connection, session_id))
        return Deleted(id=session_id, cascade={"messages": count})

    # -- messages

    async def messages(self, request: ApiRequest[AiMessageQuery, None]) -> Page[AiMessage]:
        """Return a page of what was said, in the order in which it was said."""
        session_id, query = request.path["id"], request.query
        wanted = select(ai_messages).where(ai_messages.c.session_id == session_id)
        if query.filter:
            wanted = wanted.where(contains((ai_messages.c.content,), query.filter))
        if query.offset and query.cursor is None:
            wanted = wanted.offset(query.offset)

        def work(connection: Connection) -> Page[AiMessage]:
            history.find_session(connection, session_id)
            return MESSAGES.page(connection, wanted, query)

        return await self.store.read(work)

    async def message(self, request: ApiRequest[None, None]) -> AiMessage:
        """Return one message."""
        place = request.path["id"], request.path["message"]
        return await self.store.read(lambda connection: history.find_message(connection, *place))

    async def send(self, request: ApiRequest[None, NewAiMessage]) -> AiMessageSent:
        """Say something in a session. Raises `SessionClosed`, `Conflict`, and what is missing for its back end."""
        driver = await self._at_work(request.path["id"])
        if request.body.caller.surroundings is not None:
            # The environment that a program is started with says which program that is.
            session = await self.store.read(lambda connection: _session(connection, request.path["id"]))
            _permit(request, session.backend)
        return await driver.post(request.body.content, request.body.caller, request.write)

    async def clear(self, request: ApiRequest[None, None]) -> MessagesCleared:
        """Forget what was said in a session. Raises `Conflict` while it is answering."""
        session_id = request.path["id"]
        await self._drivers.ready()
        driver = self.at_work.get(session_id)
        if driver is not None:
            return MessagesCleared(deleted=await driver.clear())
        cleared = await self.store.write(lambda connection: history.clear_messages(connection, session_id))
        return MessagesCleared(deleted=cleared)

    # -- conversations

    async def export(self, request: ApiRequest[None, None]) -> Conversation:
        """Return a conversation as it is at one moment."""
        session_id = request.path["id"]

        def work(connection: Connection) -> Conversation:
            session = _session(connection, session_id)
            return Conversation.model_validate(
                {
                    "exported_at": now(),
                    "session": RecordedSession.model_validate(
                        {name: getattr(session, name) for name in RecordedSession.model_fields}
                    ),
                    "messages": history.recorded_messages(connection, session_id),
                }
            )

        return await self.store.read(work)

    async def take_in(self, request: ApiRequest[None, Conversation]) -> ConversationTaken:
        """Take messages into a session that has none."""
        session_id, messages = request.path["id"], request.body.messages

        def work(connection: Connection) -> ConversationTaken:
            taken = history.take_in(connection, session_id, messages)
            return ConversationTaken(session=_session(connection, session_id), messages=taken)

        return await request.write(work)

    # -- within

    def _forget(self, session_id: str) -> None:
        self.at_work.pop(session_id, None)

    async def _permitted(self, request: ApiRequest[Any, Any], asked: BackendQuery | BackendChoice) -> Choice:
        """Return the back end that is meant. Who may not have it is not told whether it is there."""
        if asked.backend is not None:
            _permit(request, asked.backend)
        choice = await self._choice(asked.backend, asked.caller)
        _permit(request, choice.reference)
        return choice

    async def _choice(self, reference: str | None, caller: AiCaller) -> Choice:
        return await asyncio.to_thread(choose, reference, surroundings_of(caller, self._own), caller.settings)

    async def _at_work(self, session_id: str) -> ChatDriver:
        await self._drivers.ready()
        driver = self.at_work.get(session_id)
        if driver is None:
            await self.store.read(lambda connection: history.find_session(connection, session_id))
            raise gone(session_id)
        return driver


def _permit(request: ApiRequest[Any, Any], backend: str) -> None:
    """Return when the caller may have the back end. Raises `PermissionDenied` for a program, or a file."""
    if is_the_machines(backend):
        require_shell(request.caller, f"the program or file {backend[:100]!r}")


def _session(connection: Connection, session_id: str) -> AiSession:
    row = history.find_session(connection, session_id)
    return history.session_of(row, history.count_messages(connection, session_id))
