"""What commands that print a session's stream have in common: their flags, the stream, its bounded form."""

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field

from nexus.handlers.api_errors import READING
from nexus.schemas.command import Arguments, ExecutionContext, Outcome
from nexus.schemas.errors import (
    ConnectionLost,
    NexusError,
    ResourceUnavailable,
    SessionClosed,
    SessionExpired,
    SessionGap,
    SessionNotFound,
    ValidationError,
)
from nexus.schemas.model import Model
from nexus.schemas.session import SessionId, SessionView, TransportName
from nexus.sessions.access import session_client
from nexus.sessions.client import SessionClient
from nexus.sessions.follow import Follow, OnStop, SessionStream, Through
from nexus.sessions.stream import LineStream, Printed, StopReason

MOST_COLLECTED = 10_000
MOST_COLLECTED_BYTES = 16 * 1024 * 1024

SESSION_ERRORS: tuple[type[NexusError], ...] = (
    *READING,
    SessionNotFound,
    SessionClosed,
    SessionExpired,
    ResourceUnavailable,
    ConnectionLost,
)
"""Any command about one session."""
STREAM_ERRORS: tuple[type[NexusError], ...] = (*SESSION_ERRORS, SessionGap)
"""Any command that prints a session's stream."""
STREAM_EVENTS = ("metadata", "data", "status", "error", "interrupt", "close")


class TransportArguments(Arguments):
    """How the session is reached."""

    transport: TransportName | None = Field(
        default=None, description="Reach the kernel this way; else by `session.transport`, else the best way."
    )
    poll_interval: float | None = Field(
        default=None, gt=0, le=60_000, description="Milliseconds between polls; without it each waits for what comes."
    )


class StreamArguments(TransportArguments):
    """What every command that prints a session's stream takes."""

    after: int | None = Field(default=None, ge=0, description="Begin behind this event; 0 is before the first.")
    epoch: int | None = Field(default=None, ge=1, description="The epoch that --after belongs to; else the current.")
    tail: int | None = Field(default=None, ge=0, description="Begin so many events before the newest.")
    limit: int | None = Field(default=None, ge=1, description="End after so many events.")
    throttle: float | None = Field(
        default=None,
        gt=0,
        le=3_600_000,
        description="Print at most every N milliseconds: text is joined, other events sampled.",
    )
    format: Literal["json-raw", "json-compact"] = Field(
        default="json-raw", description="json-compact joins neighbouring pieces of text into one event."
    )
    collect: bool = Field(
        default=False, description=f"Print one envelope with what is there now, {MOST_COLLECTED} events at the most."
    )


class Collected(Model):
    """A session's events as one answer. `truncated`: go on behind `lastSeq`."""

    session_id: str
    epoch: int
    last_seq: int
    truncated: bool
    exit_code: int | None = None
    events: list[dict[str, Any]]


async def client_of(context: ExecutionContext[Any]) -> SessionClient:
    """Return the client that the command's transport flags ask for."""
    args = context.args
    interval = getattr(args, "poll_interval", None)
    return await session_client(
        context, getattr(args, "transport", None), poll_interval=None if interval is None else interval / 1000
    )


def session_named(context: ExecutionContext[Any], given: SessionId | None) -> str:
    """Return the session that the command is about: its argument, else `--session-id`, else NEXUS_SESSION_ID."""
    named = given or context.flags.session_id or context.environment.get("NEXUS_SESSION_ID")
    if not named:
        raise ValidationError.because(
            "ID is missing: which session?", field="session", hint="nexus session live list", expected="SESSION ID"
        )
    return named


async def changed(
    client: SessionClient, session_id: str, change: Callable[[str], Awaitable[SessionView]]
) -> Outcome[SessionView]:
    """Change a session, and say whether that made any difference: one that is closed is not closed again."""
    before, after = await client.view(session_id), await change(session_id)
    same = (before.status, before.metadata) == (after.status, after.metadata)
    return Outcome(after, change="unchanged" if same else "updated")


def stream_of(
    client: SessionClient,
    session_id: str,
    args: StreamArguments,
    *,
    follow: bool,
    printed: Printed | None = None,
    on_stop: OnStop | None = None,
    own: bool = False,
    until: Callable[[bytes], Through | None] | None = None,
) -> SessionStream:
    """Return the stream that the flags ask for, behind what an earlier process `printed` of it.

    A session of its `own` was made by the command, and is closed when its stream ends or is stopped. Raises
    ValidationError for flags that contradict each other.
    """
    asked = replace(
        asked_of(session_id, args, follow=follow, printed=printed),
        on_stop=(lambda _: client.close(session_id)) if own else on_stop,
        until=until,
    )
    return OwnStream(client, asked) if own else SessionStream(client, asked)


def asked_of(session_id: str, args: StreamArguments, *, follow: bool, printed: Printed | None = None) -> Follow:
    """Return what the flags ask of a session's stream. Raises ValidationError for flags that contradict each other."""
    if args.after is not None and args.tail is not None:
        raise ValidationError.because("--after and --tail both say where to begin.", field="tail")
    return Follow(
        session_id,
        epoch=args.epoch,
        after=args.after,
        tail=args.tail,
        follow=follow,
        limit=args.limit if not args.collect else min(args.limit or MOST_COLLECTED, MOST_COLLECTED),
        throttle=None if args.throttle is None else args.throttle / 1000,
        format=args.format,
        printed=printed,
    )


def interrupting(client: SessionClient, session_id: str, *, always: bool = False) -> OnStop:
    """Return what interrupts the session when its reader is: for commands whose reader is the one who asked.

    With `always` every other stop does too: what the command began ends with it.
    """

    async def interrupt(reason: StopReason) -> None:
        if always or reason == "user-requested":
            await client.interrupt(session_id)

    return interrupt


async def collected(stream: LineStream) -> Collected:
    """Read a stream that ends, and return it whole, up to `MOST_COLLECTED_BYTES`. Raises what the stream tells."""
    lines: list[bytes] = []
    size = 0
    try:
        async for each in stream:
            lines += each.data.splitlines()
            size += len(each.data)
            if size > MOST_COLLECTED_BYTES:
                stream.stop("error")
    finally:
        await stream.aclose()
    events = [json.loads(line) for line in lines]
    metadata = events[0]["payload"]
    close = events[-1]["payload"]
    kept = [event for event in events if "seq" in event]
    return Collected(
        session_id=stream.session_id,
        epoch=metadata["epoch"],
        last_seq=close["lastSeq"],
        truncated=close["lastSeq"] < metadata["newest"],
        exit_code=close["exitCode"],
        events=kept,
    )


class OwnStream(SessionStream):
    """The stream of a session that its command made: whoever lets go of the stream closes the session."""

    async def aclose(self) -> None:
        await super().aclose()
        if self._stop is None:  # else that is under way, and nobody waits for it
            with suppress(NexusError):
                await self._client.close(self.session_id)
