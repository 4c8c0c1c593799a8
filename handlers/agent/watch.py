"""A roadmap's activity as it happens."""

from pydantic import Field

from nexus.handlers.agent.chat import IN_RELEASE
from nexus.handlers.session.streams import (
    STREAM_ERRORS,
    STREAM_EVENTS,
    Collected,
    StreamArguments,
    client_of,
    collected,
    stream_of,
)
from nexus.schemas.command import CommandHandler, Effect, Example, ExecutionContext
from nexus.schemas.errors import NotFound
from nexus.schemas.roadmap import Roadmap
from nexus.schemas.session import NewSession, SessionContext, SessionQuery
from nexus.sessions.client import SessionClient
from nexus.sessions.stream import LineStream

SESSION_TYPE = "meta-chat"
ALONE_SECONDS = 30.0
"""So long a watch that a command opened stays without anybody who reads it: a reconnect finds it still."""


class WatchArguments(StreamArguments):
    detach: bool = Field(default=False, description="Keep watching for ten minutes when nobody reads any more.")


class WatchRoadmap(CommandHandler[WatchArguments, "LineStream | Collected"]):
    """Stream what happens in the selected roadmap: its changes, its chats and every message said in them.

    All who watch a roadmap share one session of type meta-chat, which closes when the last of them has gone. It tells
    what happens from its beginning on; the stream ends with the roadmap, or when you interrupt it.
    """

    path = ("agent", "roadmap", "watch")
    arguments = WatchArguments
    result = Collected
    effects = frozenset({Effect.READ, Effect.STREAMING})
    context = ("roadmap",)
    errors = (*STREAM_ERRORS, NotFound)
    events = STREAM_EVENTS
    examples = (
        Example(line="nexus agent roadmap watch --limit 1", shows="Wait for one event", needs=IN_RELEASE),
        Example(line="nexus agent roadmap watch --collect", shows="What happened until now", needs=IN_RELEASE),
    )

    async def execute(self, context: ExecutionContext[WatchArguments]) -> LineStream | Collected:
        args, client = context.args, await client_of(context)
        if context.printed is not None:
            session_id = context.printed.session_id
        else:
            session_id = await _watching(context, client)
        stream = stream_of(client, session_id, args, follow=not args.collect, printed=context.printed)
        return await collected(stream) if args.collect else stream


async def _watching(context: ExecutionContext[WatchArguments], client: SessionClient) -> str:
    """Return the session that watches the roadmap, opened where there is none."""
    roadmap_id = context.selected("roadmap")
    query = SessionQuery(type=SESSION_TYPE, status="active", filter=roadmap_id)
    for session in (await client.list(query)).items:
        if session.context.roadmap_id == roadmap_id:
            return session.session_id
    roadmap = await context.api.get("/api/roadmaps/{id}", Roadmap, at={"id": roadmap_id})
    place = SessionContext(project_id=roadmap.project_id, roadmap_id=roadmap_id)
    alone = None if context.args.detach else ALONE_SECONDS
    return (await client.create(NewSession(type=SESSION_TYPE, context=place, idle_seconds=alone))).session_id
