"""One request to a worker and all that comes back until it is answered: logs, calls of the kernel's API, events."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pydantic import RootModel

from nexus.output.log import log_line
from nexus.plugins.caller import Caller
from nexus.plugins.catalog import Known
from nexus.plugins.faults import error_of
from nexus.plugins.process import Worker
from nexus.plugins.worker.channel import Message
from nexus.schemas.errors import NexusError, PluginCrashed

MOST_PRINTED = 256 * 1024
"""Bytes of a plugin's prints and logs that one command passes on; what is more is dropped."""
_TURNS = 3
_TELLING_SECONDS = 2.0
_LEVELS = ("debug", "info", "warning", "error")

_log = logging.getLogger(__name__)


class _Body(RootModel[dict[str, Any]]):
    """A body that the plugin made: the kernel validates it."""


@dataclass
class Conversation:
    """Talks with a worker for one command."""

    known: Known
    worker: Worker
    context: Caller
    logs: Path
    command: str
    told: int = 0
    _telling: "set[asyncio.Task[None]]" = field(default_factory=set)

    async def ask(self, request: Message) -> Message:
        """Have a request answered and return the result. Raises what the plugin meant or did, `PluginCrashed`."""
        answer: Message = {}
        async for message in self.messages(request):
            answer = message
        return answer

    async def messages(self, request: Message) -> AsyncIterator[Message]:
        """Yield the events, and the result last. Raises as `ask` does."""
        self.worker.printed = self._printed
        try:
            async for message in self._answers(request):
                yield message
        finally:
            # What was printed before the answer is in the pipe already: the loop reads it in its next turns.
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            if self._telling:
                await asyncio.wait(self._telling, timeout=_TELLING_SECONDS)

    async def _answers(self, request: Message) -> AsyncIterator[Message]:
        self.worker.working = True
        await self.worker.send(request)
        while True:
            message = await self.worker.receive()
            kind = message.get("is")
            if kind == "api":
                await self.worker.send({"do": "answer", **await self._call(message)})
            elif kind == "log":
                await self._tell(str(message.get("level")), str(message.get("message")))
            elif kind == "event":
                yield message
            elif kind == "result":
                self.worker.working = False
                yield message
                return
            elif kind == "error":
                self.worker.working = False
                raise error_of(message, self.known.name, self.logs, self.context.request_id, self.command)
            else:
                raise PluginCrashed.because(
                    f"The worker of the plugin {self.known.name} said what means nothing.", plugin=self.known.name
                )

    def _printed(self, data: bytes) -> None:
        """Pass on what its code printed: to stderr, as a log, and not without bound."""
        if self.told < MOST_PRINTED:
            task = asyncio.get_running_loop().create_task(self._tell("info", data.decode("utf-8", "replace").rstrip()))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _tell(self, level: str, text: str) -> None:
        self.told += len(text)
        if self.told > MOST_PRINTED or self.context.stderr is None:
            return
        level = level if level in _LEVELS else "info"
        try:
            await self.context.stderr.write(
                log_line(level, f"{self.known.name}: {text[:10_000]}", self.context.request_id)
            )
        except NexusError:
            # Nobody reads stderr: what a plugin prints is nobody's loss.
            _log.debug("a print of the plugin %s was not read", self.known.name)

    async def _call(self, message: Message) -> Message:
        """Call the kernel for the plugin, with the rights that it was granted; answer as the worker reads it."""
        method, path = str(message.get("method")), str(message.get("path"))
        right = "api:read" if method == "GET" else "api:write"
        if right not in self.known.granted:
            return {"error": {"right": right, "message": f"it wants the right {right}"}}
        if not path.startswith("/api/"):
            return {"error": {"type": "validation", "code": "VALIDATION_ERROR", "message": "A path begins with /api/."}}
        api, result = self.context.api, cast("type[Any]", Any)
        if api is None:
            return {"error": {"type": "backend", "code": "BACKEND_ERROR", "message": "No kernel is called here."}}
        path = path.replace("{", "{{").replace("}", "}}")
        body = _Body(message["body"]) if isinstance(message.get("body"), dict) else None
        try:
            if method == "GET":
                value = await api.get(path, result, query=dict(message.get("query") or {}))
            elif method == "DELETE":
                value = await api.delete(path, result)
            else:
                value = await (api.patch if method == "PATCH" else api.post)(path, result, body=body)
        except NexusError as error:
            entry = error.entry()
            hint = entry.details.get("hint")
            return {"error": {"type": entry.type, "code": entry.code, "message": entry.message, "hint": hint}}
        return {"value": value}
