"""What is said in the conversation that is selected, or named by --session-id."""

import json
from dataclasses import dataclass

from pydantic import Field

from nexus.handlers.ai.backend import IN_HELLO
from nexus.handlers.ai.caller import ANSWER_ERRORS, caller_of
from nexus.handlers.api_errors import READING, WRITING
from nexus.handlers.listing import ListArguments, query_of
from nexus.handlers.session.streams import (
    STREAM_ERRORS,
    STREAM_EVENTS,
    Collected,
    StreamArguments,
    TransportArguments,
    client_of,
    collected,
    interrupting,
    stream_of,
)
from nexus.handlers.texts import text_given
from nexus.schemas.ai import MOST_CHARACTERS, AiMessage, AiMessageSent, AiSessionDetails, NewAiMessage
from nexus.schemas.chat import MessagesCleared
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, NoArguments
from nexus.schemas.errors import Conflict, NexusError, NotFound, ReportedError, SessionNotFound
from nexus.schemas.model import Model
from nexus.schemas.page import Page
from nexus.sessions.client import SessionClient
from nexus.sessions.follow import Follow, SessionStream, Through
from nexus.sessions.stream import LineStream

MOST_MESSAGE_BYTES = 4 * MOST_CHARACTERS
SAID_HELLO = (*IN_HELLO, "nexus ai message send --message Hi")
NEEDED: tuple[type[NexusError], ...] = (*READING, SessionNotFound)


class AiAnswer(Model):
    """What was said, and what was answered: the form that --collect gives."""

    message: AiMessage
    answer: AiMessage


@dataclass(slots=True)
class AnswerEnd:
    """Knows the line behind which an answer is through: the session is idle again, later than `after`.

    The command then ends with the status of the error that the answer met, if it met one.
    """

    after: int = 0
    status: int = 0

    def __call__(self, line: bytes) -> Through | None:
        if line.startswith(b'{"event":"error"'):
            event = json.loads(line)
            if event["seq"] > self.after:
                self.status = event["payload"]["details"].get("exitCode", 1)
        elif line.startswith(b'{"event":"status"'):
            event = json.loads(line)
            if event["payload"]["status"] == "idle" and event["seq"] > self.after:
                return Through(self.status)
        return None


class SendMessageArguments(TransportArguments):
    message: str = Field(
        min_length=1,
        max_length=MOST_CHARACTERS,
        description="What to say; - reads it from standard input.",
        json_schema_extra={"stdin": True, "short": "m"},
    )
    collect: bool = Field(default=False, description="Print one envelope with the whole answer, when it is there.")


class SendMessage(CommandHandler[SendMessageArguments, "LineStream | AiAnswer"]):
    """Say something and stream the answer, token by token; Ctrl+C stops it at once and keeps what came.

    The stream is the session's, from `responding` to `idle`. An answer that fails ends the command with the status of
    its error.
    """

    path = ("ai", "message", "send")
    arguments = SendMessageArguments
    result = AiAnswer
    effects = frozenset({Effect.WRITE, Effect.STREAMING})
    change = "created"
    context = ("session",)
    errors = (*WRITING, *ANSWER_ERRORS, *STREAM_ERRORS)
    events = STREAM_EVENTS
    examples = (
        Example(line="nexus ai message send --message Hi", shows="The answer as it comes", needs=IN_HELLO),
        Example(line="nexus ai message send --message Hi --collect", shows="The answer as a whole", needs=IN_HELLO),
    )

    async def execute(self, context: ExecutionContext[SendMessageArguments]) -> LineStream | AiAnswer:
        given, session_id = context.args, context.selected("session")
        if context.printed is not None:
            return await _going_on(context, session_id)
        content = await text_given(context, given.message, field="message", limit=MOST_MESSAGE_BYTES)
        session = await context.api.get("/api/ai/sessions/{id}", AiSessionDetails, at={"id": session_id})
        sent = await context.api.post(
            "/api/ai/sessions/{id}/messages",
            AiMessageSent,
            at={"id": session_id},
            body=NewAiMessage(content=content, caller=caller_of(context, session.backend)),
        )
        client = await client_of(context)
        stream = _answering(client, session_id, sent)
        return await _whole(context, stream, sent) if given.collect else stream


async def _going_on(context: ExecutionContext[SendMessageArguments], session_id: str) -> SessionStream:
    """Print on what an earlier process began: it said the message, and the answer ended with its kernel or goes on."""
    client = await client_of(context)
    answering = (await context.api.get("/api/ai/sessions/{id}", AiSessionDetails, at={"id": session_id})).answering
    after = context.printed.seq if context.printed is not None else 0
    return SessionStream(
        client,
        Follow(
            session_id,
            printed=context.printed,
            follow=answering,
            until=AnswerEnd(after),
            on_stop=interrupting(client, session_id),
        ),
    )


def _answering(client: SessionClient, session_id: str, sent: AiMessageSent) -> SessionStream:
    return SessionStream(
        client,
        Follow(
            session_id,
            epoch=sent.epoch,
            after=sent.after,
            until=AnswerEnd(sent.after),
            on_stop=interrupting(client, session_id),
        ),
    )


async def _whole(
    context: ExecutionContext[SendMessageArguments], stream: SessionStream, sent: AiMessageSent
) -> AiAnswer:
    """Wait for the answer and return it; who leaves before interrupts it. Raises the error that it met."""
    over = False
    try:
        async for _ in stream:
            pass
        over = True
    finally:
        if not over:
            stream.stop("user-requested")
        await stream.aclose()
    answer = await context.api.get(
        "/api/ai/sessions/{id}/messages/{message}",
        AiMessage,
        at={"id": sent.message.session_id, "message": sent.answer_id},
    )
    if answer.error is not None:
        raise ReportedError(answer.error)
    return AiAnswer(message=sent.message, answer=answer)


class StreamMessagesArguments(StreamArguments):
    follow: bool = Field(default=False, description="Go on with the answers to come.")


class StreamMessages(CommandHandler[StreamMessagesArguments, "LineStream | Collected"]):
    """Stream a conversation's answers as they came, to the end of the one that is on its way.

    With `--follow` it goes on until you interrupt it, which interrupts an answer too.
    """

    path = ("ai", "message", "stream")
    arguments = StreamMessagesArguments
    result = Collected
    effects = frozenset({Effect.READ, Effect.STREAMING})
    context = ("session",)
    errors = STREAM_ERRORS
    events = STREAM_EVENTS
    examples = (
        Example(line="nexus ai message stream", shows="All that was answered, and its end", needs=SAID_HELLO),
        Example(line="nexus ai message stream --format json-compact", shows="An answer as one event", needs=SAID_HELLO),
    )

    async def execute(self, context: ExecutionContext[StreamMessagesArguments]) -> LineStream | Collected:
        args, session_id = context.args, context.selected("session")
        client = await client_of(context)
        on_stop = interrupting(client, session_id)
        if args.collect:
            return await collected(stream_of(client, session_id, args, follow=False))
        session = await context.api.get("/api/ai/sessions/{id}", AiSessionDetails, at={"id": session_id})
        if args.follow or not session.answering:
            return stream_of(client, session_id, args, follow=args.follow, printed=context.printed, on_stop=on_stop)
        newest = (await client.view(session_id)).newest
        until = AnswerEnd(newest - 1)
        return stream_of(client, session_id, args, follow=True, printed=context.printed, on_stop=on_stop, until=until)


class ListMessagesArguments(ListArguments):
    offset: int = Field(default=0, ge=0, description="Leave out so many of the first.")


class ListMessages(CommandHandler[ListMessagesArguments, Page[AiMessage]]):
    """List what was said, the oldest first unless `--sort` says otherwise."""

    path = ("ai", "message", "list")
    arguments = ListMessagesArguments
    result = Page[AiMessage]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    context = ("session",)
    errors = NEEDED
    examples = (
        Example(line="nexus ai message list", shows="The conversation", needs=SAID_HELLO),
        Example(line="nexus ai message list --sort -createdAt --limit 1", shows="The last word", needs=SAID_HELLO),
    )

    async def execute(self, context: ExecutionContext[ListMessagesArguments]) -> Page[AiMessage]:
        return await context.api.get(
            "/api/ai/sessions/{id}/messages",
            Page[AiMessage],
            at={"id": context.selected("session")},
            query=query_of(context.args),
        )


class ViewMessageArguments(Arguments):
    id: str = Field(min_length=1, max_length=200, description="The message's id.")


class ViewMessage(CommandHandler[ViewMessageArguments, AiMessage]):
    """Show one message: what was said, how it ended, what it cost in tokens."""

    path = ("ai", "message", "view")
    arguments = ViewMessageArguments
    result = AiMessage
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    context = ("session",)
    errors = (*NEEDED, NotFound)
    examples = (
        Example(
            line="nexus ai message view --id $(nexus ai message list | jq -r '.data.items[1].id')",
            shows="The answer",
            needs=SAID_HELLO,
        ),
    )

    async def execute(self, context: ExecutionContext[ViewMessageArguments]) -> AiMessage:
        return await context.api.get(
            "/api/ai/sessions/{id}/messages/{message}",
            AiMessage,
            at={"id": context.selected("session"), "message": context.args.id},
        )


class ClearMessages(CommandHandler[NoArguments, MessagesCleared]):
    """Forget all that was said; the session stays, and a coding agent begins anew."""

    path = ("ai", "message", "clear")
    result = MessagesCleared
    effects = frozenset({Effect.WRITE, Effect.DESTRUCTIVE, Effect.IDEMPOTENT})
    context = ("session",)
    errors = (*WRITING, SessionNotFound, Conflict)
    examples = (Example(line="nexus ai message clear --yes", shows="Begin anew", needs=SAID_HELLO),)

    async def execute(self, context: ExecutionContext[NoArguments]) -> MessagesCleared:
        return await context.api.delete(
            "/api/ai/sessions/{id}/messages", MessagesCleared, at={"id": context.selected("session")}
        )
