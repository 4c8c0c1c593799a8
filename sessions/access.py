"""A command's way to sessions: the client of its own kernel, and how far an earlier process printed its stream."""

from typing import Any

from nexus.schemas.command import ExecutionContext
from nexus.schemas.errors import ResourceUnavailable
from nexus.schemas.session import TransportName
from nexus.sessions.client import SessionClient


async def session_client(
    context: ExecutionContext[Any], transport: TransportName | None = None, *, poll_interval: float | None = None
) -> SessionClient:
    """Return a client over the transport that is asked for, else the configured one, else the best.

    `poll_interval` is in seconds. The connection is shared and kept open by the process; the client need not be closed.
    Raises ValidationError for a transport that does not lead to this kernel, and what reaching it raises.
    """
    if context.sessions is None:
        raise ResourceUnavailable.because("This process reaches no sessions.")
    client = await context.sessions.client(transport, poll_interval)
    if not isinstance(client, SessionClient):
        raise TypeError(f"the process gave {type(client).__name__} for a SessionClient")
    return client
