"""The `--yes` rule: what cannot be undone is confirmed, by a flag or by a person at a terminal."""

import asyncio
import shlex

from nexus.call import Call
from nexus.schemas.command import CommandSpec, Effect, GlobalFlags
from nexus.schemas.errors import ConfirmationRequired

_ANSWER_SECONDS = 120.0
_LONGEST_ANSWER = 64


async def confirm(spec: CommandSpec, flags: GlobalFlags, call: Call) -> None:
    """Return when a destructive command may run. Raises `ConfirmationRequired`; never waits without a terminal."""
    if Effect.DESTRUCTIVE not in spec.effects or flags.yes:
        return
    command = "nexus " + " ".join(spec.path)
    again = shlex.join(["nexus", *call.argv, "--yes"])[:2000]
    if not (call.stdin.is_terminal and call.stderr.is_terminal):
        raise ConfirmationRequired(command=command, hint=again, field="yes")
    await call.stderr.write(f"{command} cannot be undone. Go on? [y/N] ".encode())
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            answer = await _line(call)
    except TimeoutError:
        raise ConfirmationRequired(command=command, hint=again, field="yes") from None
    if answer.strip().casefold() not in ("y", "yes"):
        raise ConfirmationRequired(command=command, hint=again, field="yes", answer="no")


async def _line(call: Call) -> str:
    line = b""
    async for chunk in call.stdin.chunks():
        line += chunk
        if b"\n" in line or len(line) > _LONGEST_ANSWER:
            break
    return line.partition(b"\n")[0].decode(errors="replace")
