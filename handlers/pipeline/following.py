"""How a run is followed: its session's events as a stream, the lines that its steps print alone, or its end."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from pydantic import Field

from nexus.handlers.session.streams import (
    STREAM_ERRORS,
    StreamArguments,
    asked_of,
    client_of,
    interrupting,
)
from nexus.schemas.command import ExecutionContext, Outcome
from nexus.schemas.errors import SessionNotFound, TimeoutExceeded
from nexus.schemas.run import RunDetails
from nexus.schemas.stream import OutputStream
from nexus.sessions.client import SessionClient
from nexus.sessions.follow import Follow, SessionStream

FOLLOW_ERRORS = STREAM_ERRORS

_DATA = b'{"event":"data"'
_MARGIN = 0.05
"""What of a command's time is left to tell that a run goes on: behind its end nobody is told which run."""


class FollowArguments(StreamArguments):
    """How a run that a command begins is followed."""

    follow: bool = Field(default=False, description="Print its events until its end; an interrupt cancels the run.")
    collect: bool = Field(default=False, description="Wait for its end, and answer with the run as it ended.")
    exit_code: bool = Field(default=False, description="With --follow: exit with 1 when the run does not succeed.")


async def begun(
    context: ExecutionContext[Any], begin: Callable[[], Awaitable[RunDetails]]
) -> Outcome[OutputStream | RunDetails]:
    """Begin a run, and return it, its stream, or the run as it ended, as the arguments ask for.

    Of a stream that an earlier process printed it begins nothing: it goes on with that. Raises `TimeoutExceeded` for a
    run whose end does not come in time; it goes on.
    """
    args: FollowArguments = context.args
    loop, seconds = asyncio.get_running_loop(), context.flags.timeout
    until = None if seconds is None else loop.time() + seconds * (1 - _MARGIN)
    if context.printed is not None:
        return Outcome(await stream_of_run(context, context.printed.session_id, cancels=True))
    run = await begin()
    if not (args.follow or args.collect):
        return Outcome(run, message=f"Follow it: nexus pipeline run watch {run.id}")
    session_id = session_of(run)
    if not args.collect:
        return Outcome(await stream_of_run(context, session_id, cancels=True))
    left = None if until is None else until - loop.time()
    await _ended(SessionStream(await client_of(context), Follow(session_id)), run, left)
    run = await context.api.get("/api/runs/{id}", RunDetails, at={"id": run.id})
    return Outcome(run, message=f"The run {run.status}." if run.status != "cancelled" else "The run was cancelled.")


def session_of(run: RunDetails) -> str:
    """Return the session that has a run's events. Raises `SessionNotFound` for a run that never had one."""
    if run.session_id is None:
        raise SessionNotFound(session_id=f"of the run {run.id}", hint=f"nexus pipeline run status {run.id}")
    return run.session_id


async def stream_of_run(
    context: ExecutionContext[Any],
    session_id: str,
    *,
    cancels: bool = False,
    follow: bool = True,
    keep: Callable[[bytes], bool] | None = None,
) -> SessionStream:
    """Return the stream that the flags ask for; one that `cancels` cancels the run when its reader interrupts it."""
    client = await client_of(context)
    asked: Follow = replace(
        asked_of(session_id, context.args, follow=follow, printed=context.printed),
        on_stop=interrupting(client, session_id) if cancels else None,
        pass_exit_code=getattr(context.args, "exit_code", False),
        keep=keep,
    )
    return SessionStream(client, asked)


async def _ended(stream: SessionStream, run: RunDetails, seconds: float | None) -> None:
    """Wait until a run's stream has ended. Raises `TimeoutExceeded`, with what leads to the run again."""
    try:
        async with asyncio.timeout(seconds):
            async for _ in stream:
                pass
    except TimeoutError:
        hint = f"nexus pipeline run watch {run.id}"
        raise TimeoutExceeded(seconds=seconds, hint=hint, run_id=run.id, session_id=run.session_id) from None
    finally:
        await stream.aclose()


def logged_by(step: str | None) -> Callable[[bytes], bool]:
    """Return what keeps the lines that a step printed, or all steps, and how the stream ends.

    Lines are canonical JSON: within a text a quote never stands without a backslash, so these bytes are never a text's.
    """
    named = b"" if step is None else f'"step":"{step}"'.encode()

    def keep(line: bytes) -> bool:
        if line.startswith(_DATA):
            return b'"type":"log"' in line and named in line
        return line.startswith((b'{"event":"close"', b'{"event":"error"'))

    return keep


async def place_of_last(client: SessionClient, session_id: str, count: int, keep: Callable[[bytes], bool]) -> int:
    """Return the number of the event behind which the last `count` lines stand that a run's steps printed until now."""
    attachment = await client.attach(session_id)
    newest, last = attachment.joined.newest, attachment.joined.after
    kept: deque[int] = deque(maxlen=count + 1)
    try:
        while last < newest and (batch := await attachment.receive()) is not None:
            lines = enumerate(batch.lines.splitlines(), batch.first)
            kept.extend(seq for seq, line in lines if line.startswith(_DATA) and keep(line))
            last = batch.last
            await attachment.consumed(last)
    finally:
        await attachment.aclose()
    return kept[0] if len(kept) > count else 0
