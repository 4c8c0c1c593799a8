"""Chats of a roadmap, and the messages said in them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, update

from nexus.kernel.api.operation import ApiRequest, Operation
from nexus.kernel.events import RoadmapActivity
from nexus.kernel.part import Part, Surroundings
from nexus.kernel.store.lookup import changed_values, count, find, values_of
from nexus.kernel.store.paging import Listing, matching
from nexus.kernel.store.rows import name_key, new_id, now
from nexus.kernel.store.schema import chats, messages, roadmaps
from nexus.schemas.chat import Chat, ChatChanges, ChatQuery, Message, MessagesCleared, NewChat, NewMessage
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page, PageQuery

NEVER_NULL = ("title", "status")


def _chat(row: Row[Any]) -> Chat:
    return Chat.model_validate(values_of(row))


def _message(row: Row[Any]) -> Message:
    return Message.model_validate(values_of(row))


CHATS = Listing(
    sorts={
        "id": chats.c.id,
        "roadmapId": chats.c.roadmap_id,
        "title": chats.c.title_key,
        "note": func.coalesce(chats.c.note, ""),
        "status": chats.c.status,
        "createdAt": chats.c.created_at,
        "updatedAt": chats.c.updated_at,
    },
    order="createdAt",
    id=chats.c.id,
    item=_chat,
)

MESSAGES = Listing(
    sorts={
        "id": messages.c.id,
        "chatId": messages.c.chat_id,
        "role": messages.c.role,
        # The order in which they were said, whatever the clock did.
        "createdAt": messages.c.position,
    },
    order="createdAt",
    id=messages.c.position,
    item=_message,
)


class Chats(Part):
    """The chats of all roadmaps."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.store = surroundings.store
        self.bus = surroundings.bus

    def operations(self) -> Sequence[Operation]:
        many, one, said = "/api/roadmaps/{id}/chats", "/api/chats/{id}", "/api/chats/{id}/messages"
        command = "agent.chat"
        return (
            Operation("GET", many, f"{command}.list", "List a roadmap's chats.", self.list, Page[Chat], ChatQuery),
            Operation(
                *("POST", many, f"{command}.create", "Create a chat."), *(self.create, Chat), body=NewChat, status=201
            ),
            Operation("GET", one, f"{command}.view", "View a chat.", self.view, Chat),
            Operation("PATCH", one, f"{command}.update", "Change a chat.", self.change, Chat, body=ChatChanges),
            Operation("DELETE", one, f"{command}.delete", "Delete a chat and its messages.", self.delete, Deleted),
            Operation(
                *("GET", said, f"{command}.messages", "List what was said in a chat."),
                *(self.messages, Page[Message]),
                query=PageQuery,
            ),
            Operation(
                *("POST", said, f"{command}.send", "Say something in a chat."),
                *(self.send, Message),
                body=NewMessage,
                status=201,
            ),
            Operation("DELETE", said, f"{command}.clear", "Delete a chat's messages.", self.clear, MessagesCleared),
        )

    async def list(self, request: ApiRequest[ChatQuery, None]) -> Page[Chat]:
        """Return a page of a roadmap's chats, the oldest first. Raises `NotFound` for the roadmap."""
        roadmap_id, query = request.path["id"], request.query
        asked = {"roadmap_id": roadmap_id, "title": query.title}
        wanted, given = matching(chats, asked, query.filter, (chats.c.title, chats.c.note))

        def work(connection: Connection) -> Page[Chat]:
            find(connection, roadmaps, roadmap_id)
            return CHATS.page(connection, wanted, query, given)

        return await self.store.read(work)

    async def create(self, request: ApiRequest[None, NewChat]) -> Chat:
        """Create a chat of a roadmap."""
        roadmap_id, new = request.path["id"], request.body
        moment = now()
        values = {
            "id": new_id("cht"),
            "roadmap_id": roadmap_id,
            "title": new.title,
            "title_key": name_key(new.title),
            "note": new.note,
            "status": "open",
            "created_at": moment,
            "updated_at": moment,
        }

        def work(connection: Connection) -> Chat:
            find(connection, roadmaps, roadmap_id)
            connection.execute(insert(chats).values(values))
            return Chat.model_validate(values)

        chat = await request.write(work)
        await self.bus.publish(RoadmapActivity(roadmap_id, "chat-created", chat))
        return chat

    async def view(self, request: ApiRequest[None, None]) -> Chat:
        """Return one chat."""
        return await self.store.read(lambda connection: _chat(find(connection, chats, request.path["id"])))

    async def change(self, request: ApiRequest[None, ChatChanges]) -> Chat:
        """Change the fields that are given; a null clears the note."""
        chat_id = request.path["id"]
        values = changed_values(request.body, NEVER_NULL)
        if "title" in values:
            values["title_key"] = name_key(values["title"])

        def work(connection: Connection) -> Chat:
            if values:
                connection.execute(update(chats).where(chats.c.id == chat_id).values(**values, updated_at=now()))
            return _chat(find(connection, chats, chat_id))

        changed = await request.write(work)
        await self.bus.publish(RoadmapActivity(changed.roadmap_id, "chat-updated", changed))
        return changed

    async def delete(self, request: ApiRequest[None, None]) -> Deleted:
        """Delete a chat with its messages."""
        chat_id = request.path["id"]

        roadmap_id = ""

        def work(connection: Connection) -> Deleted:
            nonlocal roadmap_id
            roadmap_id = find(connection, chats, chat_id).roadmap_id
            cascade = {"messages": count(connection, messages, messages.c.chat_id == chat_id)}
            connection.execute(delete(chats).where(chats.c.id == chat_id))
            return Deleted(id=chat_id, cascade=cascade)

        deleted = await request.write(work)
        await self.bus.publish(RoadmapActivity(roadmap_id, "chat-deleted", deleted))
        return deleted

    async def messages(self, request: ApiRequest[PageQuery, None]) -> Page[Message]:
        """Return a page of what was said, in the order in which it was said."""
        chat_id, query = request.path["id"], request.query
        wanted, given = matching(messages, {"chat_id": chat_id}, query.filter, (messages.c.content,))

        def work(connection: Connection) -> Page[Message]:
            find(connection, chats, chat_id)
            return MESSAGES.page(connection, wanted, query, given)

        return await self.store.read(work)

    async def send(self, request: ApiRequest[None, NewMessage]) -> Message:
        """Add a message to a chat."""
        chat_id, new = request.path["id"], request.body
        moment = now()
        values = {
            "id": new_id("msg"),
            "chat_id": chat_id,
            "role": new.role,
            "content": new.content,
            "created_at": moment,
        }

        roadmap_id = ""

        def work(connection: Connection) -> Message:
            nonlocal roadmap_id
            roadmap_id = find(connection, chats, chat_id).roadmap_id
            connection.execute(insert(messages).values(values))
            connection.execute(update(chats).where(chats.c.id == chat_id).values(updated_at=moment))
            return Message.model_validate(values)

        message = await request.write(work)
        await self.bus.publish(RoadmapActivity(roadmap_id, "message-sent", message))
        return message

    async def clear(self, request: ApiRequest[None, None]) -> MessagesCleared:
        """Delete all messages of a chat; the chat stays."""
        chat_id = request.path["id"]

        roadmap_id = ""

        def work(connection: Connection) -> MessagesCleared:
            nonlocal roadmap_id
            roadmap_id = find(connection, chats, chat_id).roadmap_id
            gone = connection.execute(delete(messages).where(messages.c.chat_id == chat_id))
            return MessagesCleared(deleted=gone.rowcount)

        cleared = await request.write(work)
        await self.bus.publish(RoadmapActivity(roadmap_id, "messages-cleared", cleared))
        return cleared
