"""Sessions that a command makes for itself: they close with it, however it ends."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from nexus.handlers.session.streams import MOST_COLLECTED, OwnStream, StreamArguments, client_of
from nexus.schemas.command import ExecutionContext
from nexus.schemas.errors import NexusError
from nexus.schemas.session import Session
from nexus.sessions.client import SessionClient
from nexus.sessions.follow import Follow

ENDED_SECONDS = 2.0
"""So long a command that is cancelled waits for the end of what it was making."""
MADE_SECONDS = 60.0


async def own_stream(
    context: ExecutionContext[Any],
    make: Callable[[SessionClient], Awaitable[Session]],
    *,
    pass_exit_code: bool = False,
) -> OwnStream:
    """Make a session and return its whole stream; of one that an earlier process made and printed, go on with that."""
    client = await client_of(context)
    args: StreamArguments = context.args
    session_id = context.printed.session_id if context.printed else (await _made(make, client)).session_id
    asked = Follow(
        session_id,
        after=args.after,
        limit=min(args.limit or MOST_COLLECTED, MOST_COLLECTED) if args.collect else args.limit,
        throttle=None if args.throttle is None else args.throttle / 1000,
        format=args.format,
        printed=context.printed,
        on_stop=lambda _: client.close(session_id),
        pass_exit_code=pass_exit_code,
    )
    return OwnStream(client, asked)


async def _made(make: Callable[[SessionClient], Awaitable[Session]], client: SessionClient) -> Session:
    """Make the session; one that is made while the command is cancelled is closed: nobody else knows of it."""
    making = asyncio.ensure_future(make(client))
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        closing = asyncio.create_task(_closed(making, client))
        _closing.add(closing)
        closing.add_done_callback(_closing.discard)
        # Who cancels again and again, as anyio does, does not wait for it.
        with suppress(asyncio.CancelledError):
            await asyncio.wait((closing,), timeout=ENDED_SECONDS)
        raise


_closing: set[asyncio.Task[None]] = set()
"""The loop holds tasks weakly."""


async def _closed(making: "asyncio.Future[Session]", client: SessionClient) -> None:
    with suppress(NexusError, TimeoutError):
        async with asyncio.timeout(MADE_SECONDS):
            await client.close((await making).session_id)
