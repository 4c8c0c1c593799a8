"""A server of models on loopback: speaks as OpenAI, Anthropic or Google do, streams, and fails as it is told to."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class ModelServer:
    """Answers the paths of each provider's API. `behaviour` says how; `requests` keeps what came."""

    behaviour: str = "answer"
    words: list[str] = field(default_factory=lambda: ["Hel", "lo, ", "Wörld 🌍"])
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    port: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client leaves before its answer was whole."""
    going: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the first word was sent."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.headers.append(headers)
            self.requests.append(json.loads(body) if body else {})
            await self.answer(head[0].split(" ")[1], writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.gone.set()
        finally:
            writer.close()

    async def answer(self, path: str, writer: asyncio.StreamWriter) -> None:
        failures = {"401": (401, "Unauthorized"), "429": (429, "Too Many"), "500": (500, "Broken"), "404": (404, "No")}
        if self.behaviour in failures:
            status, reason = failures[self.behaviour]
            message = {"error": {"message": f"{reason}: key {self.headers[-1].get('authorization')}", "code": None}}
            await _send(writer, status, json.dumps(message), {"retry-after": "7"})
        elif self.behaviour == "garbage":
            await _send(writer, 200, "<html>no model here</html>", {"content-type": "text/html"})
        elif path.endswith("/models"):
            await _send(writer, 200, json.dumps({"object": "list", "data": [{"id": "tiny"}, {"id": "other"}]}))
        elif path.startswith("/v1/messages"):
            await self._events(writer, anthropic_events(self.words))
        elif ":streamGenerateContent" in path:
            await self._events(writer, google_events(self.words))
        else:
            await self.stream(writer)

    async def _events(self, writer: asyncio.StreamWriter, events: list[dict[str, Any]]) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        for event in events:
            named = f"event: {event['type']}\n" if "type" in event else ""
            writer.write(f"{named}data: {json.dumps(event)}\n\n".encode())
            await writer.drain()

    async def stream(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        for word in self.words:
            await self._event(writer, {"choices": [{"index": 0, "delta": {"role": "assistant", "content": word}}]})
            self.going.set()
        if self.behaviour == "cut":
            return
        if self.behaviour == "stall":
            # What a server sees of a client that leaves: the end of its side.
            await self._until_gone(writer)
            return
        await self._event(writer, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        usage = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
        await self._event(writer, {"choices": [], "usage": usage})
        writer.write(b"data: [DONE]\n\n")
        await writer.drain()

    async def _until_gone(self, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(30):
            while not writer.transport.is_closing():
                writer.write(b": still here\n\n")
                await writer.drain()
                await asyncio.sleep(0.01)
        self.gone.set()

    async def _event(self, writer: asyncio.StreamWriter, chunk: dict[str, Any]) -> None:
        whole = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "tiny", **chunk}
        writer.write(f"data: {json.dumps(whole)}\n\n".encode())
        await writer.drain()


def anthropic_events(words: list[str]) -> list[dict[str, Any]]:
    """An answer as Anthropic's Messages API streams it."""
    message = {"id": "m1", "type": "message", "role": "assistant", "model": "tiny", "content": []}
    usage = {"input_tokens": 11, "output_tokens": 1}
    return [
        {"type": "message_start", "message": {**message, "stop_reason": None, "stop_sequence": None, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}} for word in words),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 3},
        },
        {"type": "message_stop"},
    ]


def google_events(words: list[str]) -> list[dict[str, Any]]:
    """An answer as Google's `streamGenerateContent` streams it."""
    events: list[dict[str, Any]] = [
        {"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": word}]}}], "modelVersion": "tiny"}
        for word in words
    ]
    events[-1]["candidates"][0]["finishReason"] = "STOP"
    events[-1]["usageMetadata"] = {"promptTokenCount": 11, "candidatesTokenCount": 3, "totalTokenCount": 14}
    return events


async def _send(writer: asyncio.StreamWriter, status: int, body: str, headers: dict[str, str] | None = None) -> None:
    lines = {"content-type": "application/json", "content-length": str(len(body.encode())), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    writer.write(f"HTTP/1.1 {status} X\r\n{head}connection: close\r\n\r\n{body}".encode())
    await writer.drain()


@asynccontextmanager
async def model_server(behaviour: str = "answer") -> AsyncIterator[ModelServer]:
    """Run a server until the block ends."""
    models = ModelServer(behaviour)
    server = await asyncio.start_server(models.serve, "127.0.0.1", 0)
    models.port = server.sockets[0].getsockname()[1]
    try:
        yield models
    finally:
        server.close()
