"""The chats of the selected roadmap and their messages."""

from typing import ClassVar

from pydantic import Field

from nexus.handlers.agent.lineage import selecting_chat
from nexus.handlers.agent.roadmap import WITH_RELEASE
from nexus.handlers.api_errors import READING, WRITING
from nexus.handlers.changes import ChangeArguments, Changed, changed, told
from nexus.handlers.collections import CHATS
from nexus.handlers.listing import ListArguments, query_of
from nexus.handlers.references import TitleReference
from nexus.handlers.texts import text_given
from nexus.schemas.chat import Chat, ChatChanges, ChatStatus, Message, MessagesCleared, NewChat, NewMessage, Role
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, NoArguments, Outcome
from nexus.schemas.context import ContextUpdate
from nexus.schemas.errors import NotFound
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page
from nexus.schemas.roadmap import Title

MOST_MESSAGE_BYTES = 4_000_000
"""A message is at most a million characters, and a character at most four bytes."""

IN_RELEASE = (*WITH_RELEASE, "nexus agent roadmap select --name Release")
CREATE_KICKOFF = "nexus agent chat create --title Kickoff --note 'What to do first'"
WITH_KICKOFF = (*IN_RELEASE, CREATE_KICKOFF)
IN_KICKOFF = (*WITH_KICKOFF, "nexus agent chat select --title Kickoff")


class ListChats(CommandHandler[ListArguments, Page[Chat]]):
    """List the chats of the selected roadmap."""

    path = ("agent", "chat", "list")
    arguments = ListArguments
    result = Page[Chat]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    context = ("roadmap",)
    errors = READING
    examples = (Example(line="nexus agent chat list", shows="The chats of the selected roadmap", needs=WITH_KICKOFF),)

    async def execute(self, context: ExecutionContext[ListArguments]) -> Page[Chat]:
        return await context.api.get(
            "/api/roadmaps/{id}/chats",
            Page[Chat],
            at={"id": context.selected("roadmap")},
            query=query_of(context.args),
        )


class CreateChatArguments(Arguments):
    title: Title = Field(description="The chat's title.", json_schema_extra={"short": "n", "aliases": ["name"]})
    note: str | None = Field(default=None, max_length=10_000, description="What the chat is about.")
    select: bool = Field(default=False, description="Select the chat for the commands that follow.")


class CreateChat(CommandHandler[CreateChatArguments, Chat]):
    """Create a chat in the selected roadmap.

    Nothing is selected unless `--select` asks for it.
    """

    path = ("agent", "chat", "create")
    arguments = CreateChatArguments
    result = Chat
    effects = frozenset({Effect.WRITE})
    change = "created"
    context = ("roadmap",)
    errors = (*WRITING, NotFound)
    examples = (Example(line=CREATE_KICKOFF, shows="A chat with a note", needs=IN_RELEASE),)

    async def execute(self, context: ExecutionContext[CreateChatArguments]) -> Outcome[Chat]:
        given = context.args
        chat = await context.api.post(
            "/api/roadmaps/{id}/chats",
            Chat,
            at={"id": context.selected("roadmap")},
            body=NewChat(title=given.title, note=given.note),
        )
        update = await selecting_chat(context, chat) if given.select else None
        return Outcome(chat, message=f"Created the chat {chat.title!r}.", context_update=update)


class ViewChat(CommandHandler[TitleReference, Chat]):
    """Show a chat of the selected roadmap; `agent chat messages` shows what was said."""

    path = ("agent", "chat", "view")
    arguments = TitleReference
    result = Chat
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    context = ("roadmap",)
    errors = (*READING, NotFound)
    examples = (Example(line="nexus agent chat view --title Kickoff", shows="One chat", needs=WITH_KICKOFF),)

    async def execute(self, context: ExecutionContext[TitleReference]) -> Chat:
        return await CHATS.within(context.selected("roadmap")).find(context.api, context.args)


class SelectChat(CommandHandler[TitleReference, Chat]):
    """Select a chat for the commands that follow.

    Where `--roadmap` names another roadmap than the selected one, that roadmap and its project are selected with it.
    """

    path = ("agent", "chat", "select")
    arguments = TitleReference
    result = Chat
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "updated"
    context = ("roadmap",)
    errors = (*READING, NotFound)
    examples = (Example(line="nexus agent chat select --title Kickoff", shows="Work in a chat", needs=WITH_KICKOFF),)

    async def execute(self, context: ExecutionContext[TitleReference]) -> Outcome[Chat]:
        chat = await CHATS.within(context.selected("roadmap")).find(context.api, context.args)
        update = await selecting_chat(context, chat)
        return Outcome(chat, message=f"Selected the chat {chat.title!r}.", context_update=update)


class UpdateChatArguments(ChangeArguments):
    clearable: ClassVar[frozenset[str]] = frozenset({"note"})

    title: Title | None = Field(
        default=None, description="A new title.", json_schema_extra={"short": "n", "aliases": ["name"]}
    )
    note: str | None = Field(default=None, max_length=10_000, description="A new note; empty text clears it.")
    status: ChatStatus | None = Field(default=None, description="How the chat stands.")


class ChatUpdated(Chat, Changed):
    """The chat as it is now, and what changed."""


class UpdateChat(CommandHandler[UpdateChatArguments, ChatUpdated]):
    """Change a chat of the selected roadmap; what is left out stays as it is.

    `changed` names the fields that are different now.
    """

    path = ("agent", "chat", "update")
    arguments = UpdateChatArguments
    result = ChatUpdated
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    context = ("roadmap",)
    errors = (*WRITING, NotFound)
    examples = (
        Example(
            line="nexus agent chat update --id Kickoff --status closed --note ''",
            shows="Close a chat and clear its note",
            needs=WITH_KICKOFF,
        ),
    )

    async def execute(self, context: ExecutionContext[UpdateChatArguments]) -> Outcome[ChatUpdated]:
        given = context.args
        before = await CHATS.within(context.selected("roadmap")).by_id_or_name(context.api, given.id)
        after = await context.api.patch("/api/chats/{id}", Chat, at={"id": before.id}, body=given.body(ChatChanges))
        result = changed(ChatUpdated, before, after)
        return Outcome(result, message=told("chat", after.title, result))


class DeleteChat(CommandHandler[TitleReference, Deleted]):
    """Delete a chat of the selected roadmap with its messages.

    `cascade` counts what went with it. If the chat was selected, the selection is cleared.
    """

    path = ("agent", "chat", "delete")
    arguments = TitleReference
    result = Deleted
    effects = frozenset({Effect.WRITE, Effect.DESTRUCTIVE, Effect.IDEMPOTENT})
    context = ("roadmap",)
    errors = (*WRITING, NotFound)
    examples = (
        Example(line="nexus agent chat delete --title Kickoff --yes", shows="Delete a chat", needs=WITH_KICKOFF),
    )

    async def execute(self, context: ExecutionContext[TitleReference]) -> Outcome[Deleted]:
        chat = await CHATS.within(context.selected("roadmap")).find(context.api, context.args)
        deleted = await context.api.delete("/api/chats/{id}", Deleted, at={"id": chat.id})
        selected = context.contexts.load().chat
        update = ContextUpdate(clear=("chat",)) if selected and selected.id == chat.id else None
        return Outcome(deleted, message=f"Deleted the chat {chat.title!r}.", context_update=update)


class SendMessageArguments(Arguments):
    message: str = Field(
        min_length=1,
        max_length=1_000_000,
        description="What to say; - reads it from standard input.",
        json_schema_extra={"stdin": True},
    )
    role: Role = Field(default="user", description="Who says it.")


class SendMessage(CommandHandler[SendMessageArguments, Message]):
    """Post a message to the selected chat.

    `--chat` (or `--chat-id`) names another chat than the selected one, by its id or its title.
    """

    path = ("agent", "chat", "send")
    arguments = SendMessageArguments
    result = Message
    effects = frozenset({Effect.WRITE})
    change = "created"
    context = ("chat",)
    errors = (*WRITING, NotFound)
    examples = (
        Example(
            line="nexus agent chat send --message 'Start with the tests.'", shows="Say something", needs=IN_KICKOFF
        ),
        Example(
            line="nexus agent chat send --chat Kickoff --role assistant --message Done.",
            shows="Answer in a chat that need not be selected",
            needs=WITH_KICKOFF,
        ),
    )

    async def execute(self, context: ExecutionContext[SendMessageArguments]) -> Message:
        given = context.args
        content = await text_given(context, given.message, field="message", limit=MOST_MESSAGE_BYTES)
        return await context.api.post(
            "/api/chats/{id}/messages",
            Message,
            at={"id": context.selected("chat")},
            body=NewMessage(content=content, role=given.role),
        )


class ListMessages(CommandHandler[ListArguments, Page[Message]]):
    """List the messages of the selected chat, the oldest first unless `--sort` says otherwise."""

    path = ("agent", "chat", "messages")
    arguments = ListArguments
    result = Page[Message]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    context = ("chat",)
    errors = READING
    examples = (
        Example(
            line="nexus agent chat messages --limit 20",
            shows="What was said in the selected chat",
            needs=(*IN_KICKOFF, "nexus agent chat send --message Hello"),
        ),
    )

    async def execute(self, context: ExecutionContext[ListArguments]) -> Page[Message]:
        return await context.api.get(
            "/api/chats/{id}/messages", Page[Message], at={"id": context.selected("chat")}, query=query_of(context.args)
        )


class ClearMessages(CommandHandler[NoArguments, MessagesCleared]):
    """Delete all messages of the selected chat; the chat stays."""

    path = ("agent", "chat", "clear")
    result = MessagesCleared
    effects = frozenset({Effect.WRITE, Effect.DESTRUCTIVE, Effect.IDEMPOTENT})
    context = ("chat",)
    errors = WRITING
    examples = (
        Example(
            line="nexus agent chat clear --yes",
            shows="Empty the selected chat",
            needs=(*IN_KICKOFF, "nexus agent chat send --message Hello"),
        ),
    )

    async def execute(self, context: ExecutionContext[NoArguments]) -> MessagesCleared:
        return await context.api.delete(
            "/api/chats/{id}/messages", MessagesCleared, at={"id": context.selected("chat")}
        )
