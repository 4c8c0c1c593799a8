"""Conversations: each with a back end, a history that stays, and a stream that its answers come in."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from nexus.handlers.ai.backend import CREATE_HELLO, HELLO_SCRIPT, IN_HELLO
from nexus.handlers.ai.caller import BACKEND_ERRORS, caller_of, meant, settings_of
from nexus.handlers.api_errors import READING, WRITING
from nexus.handlers.changes import ChangeArguments, Changed, changed, told
from nexus.handlers.listing import ListArguments, query_of
from nexus.handlers.places import absolute
from nexus.handlers.references import Collection, NameReference
from nexus.schemas.ai import (
    AiSession,
    AiSessionChanges,
    AiSessionDetails,
    Backend,
    BackendQuery,
    BackendReference,
    Permissions,
)
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.context import ContextUpdate
from nexus.schemas.errors import NexusError, NotFound, SessionClosed, SessionNotFound
from nexus.schemas.kernel import Deleted
from nexus.schemas.page import Page
from nexus.schemas.project import Name
from nexus.schemas.secret import SecretNames
from nexus.schemas.session import NewSession, Session, SessionView

SESSIONS = Collection(
    resource="session",
    namespace="ai",
    listed_at="/api/ai/sessions",
    found_at="/api/ai/sessions/{id}",
    page=Page[AiSession],
    item=AiSession,
)
FINDING: tuple[type[NexusError], ...] = (SessionNotFound, NotFound)


class OpenArguments(Arguments):
    backend: BackendReference | None = Field(
        default=None,
        description="Who answers, as in `ai backend select`; else `ai.backend`, else the first that is available.",
        json_schema_extra={"metavar": "BACKEND", "short": "b"},
    )
    name: Name | None = Field(
        default=None, description="A name; else that of the back end.", json_schema_extra={"short": "n"}
    )
    workspace_path: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="The folder that a coding agent works in; else where you are.",
    )


class CreateSessionArguments(OpenArguments):
    permissions: Permissions | None = Field(
        default=None, description="What a coding agent that asks is told; else what `ai.permissions` says."
    )
    secret: SecretNames = Field(
        default_factory=list, description="Secrets that a coding agent finds in its environment."
    )


async def open_session(
    context: ExecutionContext[Any], given: OpenArguments, permissions: Permissions, secrets: Sequence[str] = ()
) -> AiSession:
    """Open a session with the back end that is meant. Raises what is missing for it."""
    path = given.workspace_path
    asked = BackendQuery(backend=meant(context, given.backend), caller=caller_of(context))
    chosen = await context.api.post("/api/ai/backends/choose", Backend, body=asked)
    workspace = absolute(path or ".", context.cwd, context.environment) if path or chosen.kind == "agent" else None
    options = {
        "backend": chosen.reference,
        "name": given.name,
        "model": chosen.model,
        "workspacePath": workspace,
        "permissions": permissions,
        "secrets": [*secrets] or None,
    }
    new = NewSession(type="ai-chat", options={key: value for key, value in options.items() if value is not None})
    session = await context.api.post("/api/sessions", Session, body=new)
    return await context.api.get("/api/ai/sessions/{id}", AiSession, at={"id": session.session_id})


class CreateSession(CommandHandler[CreateSessionArguments, AiSession]):
    """Open a conversation with a back end, and select it for the commands that follow.

    Keys are read from your environment with every command, and kept nowhere. A coding agent is started with the first
    message, in the workspace folder.
    """

    path = ("ai", "session", "create")
    arguments = CreateSessionArguments
    result = AiSession
    effects = frozenset({Effect.WRITE})
    change = "created"
    errors = (*WRITING, *BACKEND_ERRORS)
    examples = (Example(line=CREATE_HELLO, shows="Talk to a script: no key, no network", needs=(HELLO_SCRIPT,)),)

    async def execute(self, context: ExecutionContext[CreateSessionArguments]) -> Outcome[AiSession]:
        given = context.args
        permissions = given.permissions or settings_of(context).permissions
        session = await open_session(context, given, permissions, given.secret)
        return Outcome(
            session,
            message=f"Opened the session {session.name!r}: {session.backend} answers.",
            context_update=ContextUpdate(select={"session": SESSIONS.selection(session)}),
        )


class ListSessions(CommandHandler[ListArguments, Page[AiSession]]):
    """List the conversations, the newest first."""

    path = ("ai", "session", "list")
    arguments = ListArguments
    result = Page[AiSession]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READING
    examples = (Example(line="nexus ai session list", shows="Every conversation", needs=IN_HELLO),)

    async def execute(self, context: ExecutionContext[ListArguments]) -> Page[AiSession]:
        return await context.api.get("/api/ai/sessions", Page[AiSession], query=query_of(context.args))


class ViewSession(CommandHandler[NameReference, AiSessionDetails]):
    """Show a conversation: its back end, how much was said, whether it takes messages and is answering one."""

    path = ("ai", "session", "view")
    arguments = NameReference
    result = AiSessionDetails
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (*READING, *FINDING)
    examples = (Example(line="nexus ai session view --name hello", shows="One conversation", needs=IN_HELLO),)

    async def execute(self, context: ExecutionContext[NameReference]) -> AiSessionDetails:
        session = await SESSIONS.find(context.api, context.args)
        return await context.api.get("/api/ai/sessions/{id}", AiSessionDetails, at={"id": session.id})


class SwitchSession(CommandHandler[NameReference, AiSession]):
    """Go on in another conversation: select it for the commands that follow."""

    path = ("ai", "session", "switch")
    arguments = NameReference
    result = AiSession
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "updated"
    errors = (*WRITING, *FINDING, SessionClosed)
    examples = (
        Example(
            line="nexus ai session switch --name hello",
            shows="Come back to a conversation",
            needs=(*IN_HELLO, "nexus ai session create --backend script:hello.json --name other"),
        ),
    )

    async def execute(self, context: ExecutionContext[NameReference]) -> Outcome[AiSession]:
        session = await SESSIONS.find(context.api, context.args)
        await context.api.post("/api/sessions/{id}/activate", SessionView, at={"id": session.id})
        return Outcome(
            session,
            message=f"Selected the session {session.name!r}.",
            context_update=ContextUpdate(select={"session": SESSIONS.selection(session)}),
        )


class UpdateSessionArguments(ChangeArguments):
    name: Name | None = Field(default=None, description="A new name.", json_schema_extra={"short": "n"})
    permissions: Permissions | None = Field(
        default=None, description="What a coding agent that asks is told, from its next start on."
    )


class SessionUpdated(AiSession, Changed):
    """The session as it is now, and what changed."""


class UpdateSession(CommandHandler[UpdateSessionArguments, SessionUpdated]):
    """Change a conversation's name or what its coding agent may do; `ai backend select` changes who answers."""

    path = ("ai", "session", "update")
    arguments = UpdateSessionArguments
    result = SessionUpdated
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    errors = (*WRITING, *FINDING)
    examples = (Example(line="nexus ai session update --id hello --name greeting", shows="Rename it", needs=IN_HELLO),)

    async def execute(self, context: ExecutionContext[UpdateSessionArguments]) -> Outcome[SessionUpdated]:
        given = context.args
        before = await SESSIONS.by_id_or_name(context.api, given.id)
        body = given.body(AiSessionChanges)
        after = await context.api.patch("/api/ai/sessions/{id}", AiSession, at={"id": before.id}, body=body)
        result = changed(SessionUpdated, before, after)
        return Outcome(result, message=told("session", after.name, result))


class DeleteSession(CommandHandler[NameReference, Deleted]):
    """Delete a conversation with all that was said in it; what it is about to answer is interrupted.

    `cascade` counts the messages. If the session was selected, the selection is cleared.
    """

    path = ("ai", "session", "delete")
    arguments = NameReference
    result = Deleted
    effects = frozenset({Effect.WRITE, Effect.DESTRUCTIVE, Effect.IDEMPOTENT})
    errors = (*WRITING, *FINDING)
    examples = (Example(line="nexus ai session delete --name hello --yes", shows="Forget it", needs=IN_HELLO),)

    async def execute(self, context: ExecutionContext[NameReference]) -> Outcome[Deleted]:
        session = await SESSIONS.find(context.api, context.args)
        deleted = await context.api.delete("/api/ai/sessions/{id}", Deleted, at={"id": session.id})
        selected = context.contexts.load().session
        update = ContextUpdate(clear=("session",)) if selected and selected.id == session.id else None
        return Outcome(deleted, message=f"Deleted the session {session.name!r}.", context_update=update)
