"""The hybrid transport: WebSocket, and polling where that does not pass."""

from nexus.schemas.protocol import AttachSession, SessionAnswer, SessionCommand
from nexus.schemas.session import TransportName
from nexus.sessions.transport import Channel, Transport, TransportLost, TransportUnusable

FAILURES_BEFORE_FALLBACK = 2


class HybridTransport:
    """Prefers the first way; falls back to the second for good when the first cannot be opened.

    A way that is refused is given up at once, one that cannot be reached when it fails twice in a row. What broke in
    use is not that: the client asks again, and the first way is tried again.
    """

    name: TransportName = "hybrid"

    def __init__(self, preferred: Transport, fallback: Transport) -> None:
        self._preferred = preferred
        self._fallback = fallback
        self._failures = 0

    @property
    def current(self) -> Transport:
        """The way that is used now."""
        return self._fallback if self._failures >= FAILURES_BEFORE_FALLBACK else self._preferred

    async def request(self, command: SessionCommand) -> SessionAnswer:
        if self.current is self._preferred:
            try:
                answer = await self._preferred.request(command)
            except TransportLost as error:
                self._failed(error)
            else:
                self._failures = 0
                return answer
        return await self._fallback.request(command)

    async def attach(self, command: AttachSession) -> Channel:
        if self.current is self._preferred:
            try:
                channel = await self._preferred.attach(command)
            except TransportLost as error:
                self._failed(error)
            else:
                self._failures = 0
                return channel
        return await self._fallback.attach(command)

    async def aclose(self) -> None:
        await self._preferred.aclose()
        await self._fallback.aclose()

    def _failed(self, error: TransportLost) -> None:
        """Count a failure. Raises it again unless the fallback's turn has come."""
        if isinstance(error, TransportUnusable):
            self._failures = FAILURES_BEFORE_FALLBACK
        elif not error.sent:
            self._failures += 1
        if self.current is self._preferred:
            raise error
