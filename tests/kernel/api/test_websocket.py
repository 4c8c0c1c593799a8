"""What the kernel's WebSocket protocol does otherwise than the library below it."""

import asyncio
import base64
import os
from pathlib import Path

from tests.sessions.servers import echo_kernel, served

FIN, TEXT, CLOSE = 0x80, 0x1, 0x8


def masked(opcode: int, payload: bytes) -> bytes:
    mask = os.urandom(4)
    body = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return bytes([opcode, 0x80 | len(payload)]) + mask + body


async def test_a_close_inside_a_fragmented_message_is_an_ordinary_close(tmp_path: Path) -> None:
    """Autobahn's case 7.1.5; RFC 6455, section 5.4."""
    async with echo_kernel(tmp_path) as kernel, served(kernel) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET /kernel HTTP/1.1\r\nHost: kernel\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert head.startswith(b"HTTP/1.1 101")
        writer.write(masked(TEXT, b"frag") + masked(FIN | CLOSE, (1000).to_bytes(2, "big")) + masked(FIN, b"ment"))
        answer = await asyncio.wait_for(reader.readexactly(4), 5)
        assert answer == bytes([FIN | CLOSE, 2]) + (1000).to_bytes(2, "big")
        writer.close()
