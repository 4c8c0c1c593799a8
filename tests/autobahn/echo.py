"""An echo on the kernel's own WebSocket protocol, for the Autobahn test suite: docs/how-to/autobahn.md."""

import sys

import uvicorn
from starlette.types import Receive, Scope, Send

from nexus.kernel.api.websocket import WebSocketProtocol


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Send back every message."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        given = {name: message[name] for name in ("text", "bytes") if message.get(name) is not None}
        await send({"type": "websocket.send", **given})


if __name__ == "__main__":
    uvicorn.run(
        echo, host="127.0.0.1", port=int(sys.argv[1]), ws=WebSocketProtocol, lifespan="off", log_level="critical"
    )
