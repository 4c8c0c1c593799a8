"""Named sets of selections, so that agents side by side do not change each other's."""

from typing import Literal

from pydantic import Field

from nexus.handlers.agent.project import CREATE_DEMO
from nexus.handlers.agent.roadmap import IN_DEMO
from nexus.handlers.api_errors import READING
from nexus.handlers.collections import SELECTABLE
from nexus.handlers.listing import ListArguments, page_of
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, NoArguments, Outcome
from nexus.schemas.context import CLEARED_BY, CONTEXT_KINDS, ContextKind, ContextState, ContextUpdate, Selection
from nexus.schemas.errors import ContextMissing, NotFound, StorageReadOnly, ValidationError
from nexus.schemas.kernel import Deleted
from nexus.schemas.model import Model
from nexus.schemas.page import Page


class Override(Model):
    """What a flag or the environment names, in place of the selection."""

    kind: ContextKind
    reference: str
    source: Literal["flag", "environment"]


class NamedContext(ContextState):
    """A context and its selections; `active` says that commands work in it unless they name another."""

    name: str
    active: bool


class ContextView(NamedContext):
    """The context that a command works in, and what overrides its selections here and now."""

    overrides: list[Override]


class ViewContext(CommandHandler[NoArguments, ContextView]):
    """Show what is selected in this context, and what overrides it.

    `--context NAME`, or NEXUS_CONTEXT, says which context; without either it is `default`.
    """

    path = ("settings", "context", "view")
    result = ContextView
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (ValidationError,)
    examples = (
        Example(line="nexus settings context view", shows="What is selected", needs=IN_DEMO),
        Example(line="nexus settings context view --context reviewer", shows="What is selected in a named context"),
    )

    async def execute(self, context: ExecutionContext[NoArguments]) -> ContextView:
        stored = context.contexts.load()
        return ContextView(**dict(stored), name=context.contexts.name, active=True, overrides=_overrides(context))


def _overrides(context: ExecutionContext[NoArguments]) -> list[Override]:
    found = []
    for kind in CONTEXT_KINDS:
        flag = getattr(context.flags, kind, None)
        variable = context.environment.get(f"NEXUS_{kind.upper()}")
        if flag:
            found.append(Override(kind=kind, reference=flag, source="flag"))
        elif variable:
            found.append(Override(kind=kind, reference=variable, source="environment"))
    return found


class ListContexts(CommandHandler[ListArguments, Page[NamedContext]]):
    """List the named contexts and what is selected in each."""

    path = ("settings", "context", "list")
    arguments = ListArguments
    result = Page[NamedContext]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (ValidationError,)
    examples = (
        Example(
            line="nexus settings context list",
            shows="Every context",
            needs=(CREATE_DEMO, "nexus agent project select --name demo --context reviewer"),
        ),
    )

    async def execute(self, context: ExecutionContext[ListArguments]) -> Page[NamedContext]:
        store = context.contexts
        contexts = [
            NamedContext(**dict(store.load_named(name)), name=name, active=name == store.name) for name in store.names()
        ]
        return page_of(
            Page[NamedContext],
            contexts,
            context.args,
            identity=lambda named: named.name,
            sortable={"name": lambda named: named.name},
        )


class SetContext(CommandHandler[NoArguments, ContextState]):
    """Select several things at once: those that `--project`, `--roadmap` and `--chat` name, each by id or name.

    A roadmap is looked for in the project given beside it, else in the selected one; a chat likewise in the roadmap.
    With `--context NAME` the selections go into that context, which is made if need be.
    """

    path = ("settings", "context", "set")
    result = ContextState
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "updated"
    errors = (*READING, NotFound, ContextMissing, StorageReadOnly)
    examples = (
        Example(line="nexus settings context set --project demo", shows="Select a project", needs=(CREATE_DEMO,)),
        Example(
            line="nexus settings context set --context reviewer --project demo --roadmap Release",
            shows="A project and its roadmap in a context of their own",
            needs=(CREATE_DEMO, "nexus agent roadmap create --project demo --title Release"),
        ),
    )

    async def execute(self, context: ExecutionContext[NoArguments]) -> Outcome[ContextState]:
        flags, stored = context.flags, context.contexts.load()
        wanted: dict[ContextKind, Selection] = {}
        for kind, whole in SELECTABLE.items():
            # What has no flag is selected by a command of its own.
            if reference := getattr(flags, kind, None):
                above = whole.stands_in
                collection = whole.within(_above(above[0], wanted, stored)) if above else whole
                wanted[kind] = collection.selection(await collection.by_id_or_name(context.api, reference))
        if not wanted:
            raise ValidationError.because(
                "Give at least one of --project, --roadmap and --chat.",
                hint="nexus agent project list",
            )
        return Outcome(
            ContextState.model_validate(wanted),
            message=f"Selected in the context {context.contexts.name!r}: {', '.join(wanted)}.",
            context_update=ContextUpdate(select=wanted),
        )


def _above(kind: ContextKind, wanted: dict[ContextKind, Selection], stored: ContextState) -> str:
    """Return the id of what holds the thing that is looked for. Raises `ContextMissing`."""
    selection: Selection | None = wanted.get(kind) or getattr(stored, kind)
    if selection is None:
        raise ContextMissing(needs=kind, hint=f"nexus agent {kind} list", examples=[f"--{kind} NAME"])
    return selection.id


class ClearContextArguments(Arguments):
    kinds: list[ContextKind] = Field(
        default_factory=lambda: list(CONTEXT_KINDS), min_length=1, description="What to clear; all of it when left out."
    )


class ClearContext(CommandHandler[ClearContextArguments, ContextState]):
    """Clear the selections of this context, all of them or those of `--kinds`.

    Clearing a project clears its roadmap and chat, clearing a roadmap its chat. The answer is what stays selected.
    """

    path = ("settings", "context", "clear")
    arguments = ClearContextArguments
    result = ContextState
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "updated"
    errors = (ValidationError, StorageReadOnly)
    examples = (
        Example(line="nexus settings context clear", shows="Select nothing", needs=IN_DEMO),
        Example(line="nexus settings context clear --kinds roadmap,chat", shows="Stay in the project", needs=IN_DEMO),
    )

    async def execute(self, context: ExecutionContext[ClearContextArguments]) -> Outcome[ContextState]:
        kinds = context.args.kinds
        cleared = {*kinds, *(below for kind in kinds for below in CLEARED_BY.get(kind, ()))}
        return Outcome(
            context.contexts.load().model_copy(update=dict.fromkeys(cleared)),
            message=f"Cleared in the context {context.contexts.name!r}: {', '.join(kinds)}.",
            context_update=ContextUpdate(clear=tuple(kinds)),
        )


class DeleteContextArguments(Arguments):
    name: str = Field(min_length=1, max_length=64, description="The context's name.", json_schema_extra={"short": "n"})


class DeleteContext(CommandHandler[DeleteContextArguments, Deleted]):
    """Delete a named context with its selections; what was selected stays."""

    path = ("settings", "context", "delete")
    arguments = DeleteContextArguments
    result = Deleted
    effects = frozenset({Effect.WRITE, Effect.DESTRUCTIVE, Effect.IDEMPOTENT})
    errors = (ValidationError, NotFound, StorageReadOnly)
    examples = (
        Example(
            line="nexus settings context delete --name reviewer --yes",
            shows="Forget a context",
            needs=(CREATE_DEMO, "nexus agent project select --name demo --context reviewer"),
        ),
    )

    async def execute(self, context: ExecutionContext[DeleteContextArguments]) -> Outcome[Deleted]:
        name = context.args.name
        context.contexts.remove(name)
        return Outcome(Deleted(id=name), message=f"Deleted the context {name!r}.")
