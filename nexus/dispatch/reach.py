"""How much of a result is told: from where an earlier answer was cut, and no more than was asked for."""

from typing import Any

from nexus.schemas.command import CommandSpec, Effect, GlobalFlags
from nexus.schemas.errors import ValidationError

LEAST_TOKENS = 250


class Reach:
    """What `--max-tokens`, `--resume` and a cursor of theirs among the arguments ask of one command.

    A cursor of theirs is taken out of `arguments`, and the list's own that it holds is put in its place. Raises
    `ValidationError` for a cursor that cannot be read and for a bound too small to hold anything.
    """

    def __init__(self, spec: CommandSpec, flags: GlobalFlags, arguments: dict[str, Any]) -> None:
        self._tokens = flags.max_tokens
        self._repeatable = not {Effect.WRITE, Effect.DESTRUCTIVE} & set(spec.effects)
        self._place = None
        if self._tokens is not None and self._tokens < LEAST_TOKENS:
            raise ValidationError.because(
                f"--max-tokens wants at least {LEAST_TOKENS}.", field="max_tokens", expected=f">= {LEAST_TOKENS}"
            )
        given = flags.resume or arguments.get("cursor")
        if isinstance(given, str) and given.startswith("~"):
            from nexus.output.budget import place_of

            self._place = place_of(given)
            arguments.pop("cursor", None)
            if self._place.cursor is not None:
                arguments["cursor"] = self._place.cursor
        elif flags.resume is not None:
            raise ValidationError.because("--resume wants the nextCursor of an answer that was cut.", field="resume")
        self._cursor = arguments.get("cursor")

    def within(self, data: Any) -> Any:
        """Return the part of the result that is to be told."""
        if self._place is None and self._tokens is None:
            return data
        from nexus.output.budget import after, cut

        if self._place is not None:
            data = after(data, self._place)
        if self._tokens is None:
            return data
        return cut(data, self._tokens, before=self._place, cursor=self._cursor, repeatable=self._repeatable)
