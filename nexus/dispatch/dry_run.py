"""`--dry-run`: what would run, after everything but the work itself was checked."""

from typing import Any

from nexus.schemas.command import Arguments, CommandPath, CommandSpec, Effect
from nexus.schemas.context import ContextState
from nexus.schemas.model import Model


class DryRun(Model):
    """The handler that would run, with the arguments as they were understood and the selections it would work in."""

    dry_run: bool = True
    path: CommandPath
    handler_id: str
    arguments: dict[str, Any]
    context: ContextState
    effects: tuple[Effect, ...]


def dry_run(spec: CommandSpec, args: Arguments, state: ContextState) -> dict[str, Any]:
    """Describe the run; secret arguments are masked."""
    shown = shown_arguments(spec, args)
    would = DryRun(path=spec.path, handler_id=spec.handler_id, arguments=shown, context=state, effects=spec.effects)
    return would.model_dump(mode="json", by_alias=True)


def shown_arguments(spec: CommandSpec, args: Arguments) -> dict[str, Any]:
    """Return arguments as they may be shown: secret ones are masked."""
    secret = {option.name for option in spec.options if option.secret}
    return {
        name: "***" if name in secret and value is not None else value
        for name, value in args.model_dump(mode="json", by_alias=False).items()
    }
