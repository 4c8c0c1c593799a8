"""Conversations as files: written out whole, taken in as new sessions, replayed as scripts."""

import asyncio
from pathlib import Path

from pydantic import Field
from pydantic import ValidationError as ModelError

from nexus.handlers.ai.backend import IN_HELLO
from nexus.handlers.ai.caller import BACKEND_ERRORS, settings_of
from nexus.handlers.ai.message import SAID_HELLO
from nexus.handlers.ai.session import SESSIONS, OpenArguments, open_session
from nexus.handlers.api_errors import READING, WRITING
from nexus.handlers.places import absolute
from nexus.handlers.written import WRITING_FILES, write_whole
from nexus.schemas.ai import CONVERSATION_FORMAT, CONVERSATION_VERSION, Conversation, ConversationTaken
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.context import ContextUpdate
from nexus.schemas.errors import NexusError, SessionNotFound, ValidationError
from nexus.schemas.kernel import Deleted
from nexus.schemas.model import Model
from nexus.schemas.regular import open_regular

MOST_FILE_BYTES = 15 * 1024 * 1024
"""What the API takes in one request, with some room."""
EXPORT_HELLO = "nexus ai conversation export --to hello-talk.json --overwrite"


class ConversationExported(Model):
    """The file that was written."""

    path: str
    bytes: int
    messages: int
    format: str = CONVERSATION_FORMAT
    version: int = CONVERSATION_VERSION


class ExportArguments(Arguments):
    to: str = Field(
        min_length=1,
        max_length=4096,
        description="The file to write, relative to where you are.",
        json_schema_extra={"metavar": "PATH"},
    )
    overwrite: bool = Field(default=False, description="Put it in the place of a file that is there.")


class ExportConversation(CommandHandler[ExportArguments, ConversationExported]):
    """Write the conversation that is selected, or named by `--session-id`, to a file: whole, or not at all.

    The file is JSON, with `format` and `version`; it holds what was said and no keys. `ai conversation import` takes it
    in, and as `script:FILE` it is a back end that answers as it was answered.
    """

    path = ("ai", "conversation", "export")
    arguments = ExportArguments
    result = ConversationExported
    effects = frozenset({Effect.WRITE})
    change = "created"
    context = ("session",)
    errors = (*READING, *WRITING_FILES, SessionNotFound)
    examples = (
        Example(line=EXPORT_HELLO, shows="A conversation as a file", needs=SAID_HELLO),
        Example(
            line="nexus ai session create --backend script:hello-talk.json",
            shows="Replay what was recorded",
            needs=(*SAID_HELLO, EXPORT_HELLO),
        ),
    )

    async def execute(self, context: ExecutionContext[ExportArguments]) -> Outcome[ConversationExported]:
        given = context.args
        conversation = await context.api.get(
            "/api/ai/sessions/{id}/conversation", Conversation, at={"id": context.selected("session")}
        )
        data = conversation.model_dump_json(indent=2, exclude_none=True).encode() + b"\n"
        path = Path(absolute(given.to, context.cwd, context.environment))
        change = await asyncio.to_thread(write_whole, path, data, umask=context.umask, overwrite=given.overwrite)
        count = len(conversation.messages)
        exported = ConversationExported(path=str(path), bytes=len(data), messages=count)
        return Outcome(exported, message=f"Wrote {count} messages to {path}.", change=change)


class ImportArguments(OpenArguments):
    from_: str = Field(
        min_length=1,
        max_length=4096,
        description="The file to read, relative to where you are.",
        json_schema_extra={"metavar": "PATH"},
    )


class ImportConversation(CommandHandler[ImportArguments, ConversationTaken]):
    """Take a conversation from a file into a new session, which is selected, and go on in it.

    Back end and name are those of the file unless you say others.
    """

    path = ("ai", "conversation", "import")
    arguments = ImportArguments
    result = ConversationTaken
    effects = frozenset({Effect.WRITE})
    change = "created"
    errors = (*WRITING, *BACKEND_ERRORS)
    examples = (
        Example(
            line="nexus ai conversation import --from hello-talk.json --name again",
            shows="Go on where it was",
            needs=(*SAID_HELLO, EXPORT_HELLO),
        ),
        Example(
            line="nexus ai conversation import --from hello-talk.json --backend script:hello.json",
            shows="With another back end",
            needs=(*IN_HELLO, EXPORT_HELLO),
        ),
    )

    async def execute(self, context: ExecutionContext[ImportArguments]) -> Outcome[ConversationTaken]:
        given = context.args
        path = absolute(given.from_, context.cwd, context.environment)
        conversation = await asyncio.to_thread(read_conversation, path)
        told = {
            "backend": given.backend or conversation.session.backend,
            "name": given.name or conversation.session.name,
        }
        permissions = settings_of(context).permissions
        session = await open_session(context, given.model_copy(update=told), permissions)
        try:
            taken = await context.api.post(
                "/api/ai/sessions/{id}/conversation", ConversationTaken, at={"id": session.id}, body=conversation
            )
        except NexusError:
            await context.api.delete("/api/ai/sessions/{id}", Deleted, at={"id": session.id})
            raise
        return Outcome(
            taken,
            message=f"Took {taken.messages} messages into the session {session.name!r}.",
            context_update=ContextUpdate(select={"session": SESSIONS.selection(session)}),
        )


def read_conversation(path: str) -> Conversation:
    """Read a conversation's file. Raises `ValidationError` with what is wrong and where."""
    try:
        with open_regular(path) as file:
            content = file.read(MOST_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ValidationError.because(f"{path} cannot be read: {reason}.", field="from") from error
    if len(content) > MOST_FILE_BYTES:
        raise ValidationError.because(f"{path} is larger than {MOST_FILE_BYTES} bytes.", field="from")
    try:
        return Conversation.model_validate_json(content)
    except ModelError as error:
        found = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in found["loc"])
        raise ValidationError.because(
            f"{path} is no conversation of version {CONVERSATION_VERSION}: {place or 'it'}: {found['msg']}.",
            field="from",
            place=place or None,
            hint="nexus help ai conversation export",
        ) from error
