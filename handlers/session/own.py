"""Sessions that a command makes for itself: they close with it, however it ends."""

from collections.abc import Awaitable, Callable
from typing import Any

from nexus.handlers.session.streams import MOST_COLLECTED, OwnStream, StreamArguments, client_of
from nexus.schemas.command import ExecutionContext
from nexus.schemas.session import Session
from nexus.sessions.client import SessionClient
from nexus.sessions.follow import Follow


async def own_stream(
    context: ExecutionContext[Any],
    make: Callable[[SessionClient], Awaitable[Session]],
    *,
    pass_exit_code: bool = False,
) -> OwnStream:
    """Make a session and return its whole stream; of one that an earlier process made and printed, go on with that."""
    client = await client_of(context)
    args: StreamArguments = context.args
    session_id = context.printed.session_id if context.printed else (await make(client)).session_id
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
