"""A command whose process died under it: what only reads is run again, what may have been done is told as unknown."""

from nexus.call import Call
from nexus.schemas.command import CommandSpec, Effect
from nexus.schemas.errors import OutcomeUnknown

_NOT_TWICE = frozenset({Effect.WRITE, Effect.DESTRUCTIVE})


def check_again(spec: CommandSpec, call: Call) -> None:
    """Return when the command may run. Raises `OutcomeUnknown` for one that writes and was begun before.

    A stream that was printed in part is printed on: its handler takes the session that `printed` names, and makes none.
    """
    goes_on = call.printed is not None and Effect.STREAMING in spec.effects
    if call.again and not goes_on and _NOT_TWICE.intersection(spec.effects):
        raise OutcomeUnknown.because(
            "The process that ran this command died before it answered: whether it did its work is not known.",
            hint="See whether it was done before you run it again.",
        )
