"""The WebSocket protocol of the kernel's servers: uvicorn's on websockets, held to RFC 6455 where websockets is not.

And held to an end: what websockets cannot read as a handshake uvicorn would keep open, unanswered, for ever.
"""

from asyncio import AbstractEventLoop
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

NO_HANDSHAKE = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class LenientServerProtocol(ServerProtocol):
    """Takes a close inside a fragmented message: "control frames MAY be injected" there (RFC 6455, section 5.4)."""

    def recv_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        super().recv_frame(frame)


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """What `ws` of a uvicorn configuration is set to."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn = LenientServerProtocol(
            extensions=self.conn.available_extensions, max_size=config.ws_max_size, logger=self.conn.logger
        )

    def data_received(self, data: bytes) -> None:
        """Take what came. A request with a body, or with more headers than websockets reads, is refused."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_complete:
            self.handshake_complete = self.close_sent = True
            self.transport.write(b"".join(self.conn.data_to_send()) or NO_HANDSHAKE)
            self.transport.close()
