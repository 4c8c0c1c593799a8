"""Who answers: models of providers, coding agents, scripts; which of them are there, and which one is chosen."""

from typing import Literal

from pydantic import Field

from nexus.handlers.ai.caller import ANSWER_ERRORS, BACKEND_ERRORS, caller_of, meant
from nexus.handlers.api_errors import READING, WRITING
from nexus.handlers.listing import ListArguments, page_of
from nexus.schemas.ai import AiSession, Backend, BackendChoice, BackendQuery, BackendReference, BackendStatus
from nexus.schemas.command import Arguments, Change, CommandHandler, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.errors import SessionClosed, SessionNotFound
from nexus.schemas.model import Model
from nexus.schemas.page import Page

HELLO_SCRIPT = 'echo \'{"repeat": true, "turns": [{"answer": ["Hello ", "there."]}]}\' > hello.json'
"""A script that says the same to everything; the examples need no key with it."""
CREATE_HELLO = "nexus ai session create --backend script:hello.json --name hello"
IN_HELLO = (HELLO_SCRIPT, CREATE_HELLO)


class BackendArguments(Arguments):
    backend: BackendReference = Field(
        description="openai, anthropic, google, ollama, each with :MODEL or not; claude, codex, gemini, qwen;"
        " acp:COMMAND for another coding agent; script:FILE.",
        json_schema_extra={"metavar": "BACKEND", "short": "b"},
    )


class BackendSelected(Model):
    """The back end that is chosen: of one session, or (`default`) of new sessions that name none."""

    scope: Literal["session", "default"]
    backend: Backend
    session: AiSession | None = None


class ListBackends(CommandHandler[ListArguments, Page[Backend]]):
    """List the back ends that there are, and what is missing for those that are not available.

    A model's provider is available when its key is in your environment, a coding agent when its program is on your
    PATH. Nothing is sent anywhere; `ai backend status` asks one whether it answers.
    """

    path = ("ai", "backend", "list")
    arguments = ListArguments
    result = Page[Backend]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READING
    examples = (
        Example(line="nexus ai backend list", shows="Every back end"),
        Example(
            line="nexus ai backend list --query 'items[?available].name'", shows="The names of those that are ready"
        ),
    )

    async def execute(self, context: ExecutionContext[ListArguments]) -> Page[Backend]:
        found = await context.api.post("/api/ai/backends", Page[Backend], body=caller_of(context))
        return page_of(
            Page[Backend],
            found.items,
            context.args,
            identity=lambda backend: backend.name,
            sortable={"name": lambda backend: backend.name, "kind": lambda backend: backend.kind},
        )


class SelectBackend(CommandHandler[BackendArguments, BackendSelected]):
    """Choose who answers in the session that is selected, or named by `--session-id`, from the next message on.

    What was said stays, and the new back end is told it. Without a session, the choice is written to your configuration
    as the back end of new sessions (`ai.backend`).
    """

    path = ("ai", "backend", "select")
    arguments = BackendArguments
    result = BackendSelected
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "updated"
    errors = (*WRITING, *BACKEND_ERRORS, SessionNotFound, SessionClosed)
    examples = (
        Example(
            line="nexus ai backend select --backend script:hello.json", shows="For new sessions", needs=(HELLO_SCRIPT,)
        ),
        Example(
            line="nexus ai backend select --backend script:other.json",
            shows="For the session that is selected",
            needs=(*IN_HELLO, "cp hello.json other.json"),
        ),
    )

    async def execute(self, context: ExecutionContext[BackendArguments]) -> Outcome[BackendSelected]:
        reference = meant(context, context.args.backend) or ""
        caller = caller_of(context)
        asked = BackendQuery(backend=reference, caller=caller)
        backend = await context.api.post("/api/ai/backends/choose", Backend, body=asked)
        session_id = _session_meant(context)
        if session_id is None:
            change: Change = "unchanged" if context.config.get("ai.backend").value == reference else "updated"
            context.config.set("ai.backend", reference)
            selected = BackendSelected(scope="default", backend=backend)
            return Outcome(selected, message=f"New sessions are answered by {reference}.", change=change)
        workspace = str(context.cwd) if backend.kind == "agent" else None
        choice = BackendChoice(backend=reference, workspace_path=workspace, caller=caller)
        session = await context.api.post("/api/ai/sessions/{id}/backend", AiSession, at={"id": session_id}, body=choice)
        selected = BackendSelected(scope="session", backend=backend, session=session)
        return Outcome(selected, message=f"The session {session.name!r} is answered by {reference}.")


def _session_meant(context: ExecutionContext[BackendArguments]) -> str | None:
    named = context.flags.session_id or context.environment.get("NEXUS_SESSION_ID")
    selected = context.context_state.session
    return named or (selected.id if selected is not None else None)


class ShowBackendStatus(CommandHandler[BackendArguments, BackendStatus]):
    """Show whether a back end answers: a provider is asked for its models, a program looked for, a script read."""

    path = ("ai", "backend", "status")
    arguments = BackendArguments
    result = BackendStatus
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (*READING, *ANSWER_ERRORS)
    examples = (
        Example(
            line="nexus ai backend status --backend script:hello.json",
            shows="Whether a script can be used",
            needs=(HELLO_SCRIPT,),
        ),
        Example(line="nexus ai backend status --backend ollama", shows="Whether Ollama is there, and how fast"),
    )

    async def execute(self, context: ExecutionContext[BackendArguments]) -> BackendStatus:
        asked = BackendQuery(backend=meant(context, context.args.backend), caller=caller_of(context))
        return await context.api.post("/api/ai/backends/check", BackendStatus, body=asked)
