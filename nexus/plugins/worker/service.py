"""A worker's work: one request at a time, answered with a result, a stream of events, or an error."""

import asyncio
import inspect
import os
import sys
import traceback
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from nexus.plugins.worker.channel import Channel, Message
from nexus.plugins.worker.context import Event, ExecutionContext, Outcome, Values
from nexus.plugins.worker.failures import PluginFailure, RightMissing
from nexus.plugins.worker.registry import CommandHandler, HandlerRegistry, NexusPlugin

_BASE_VARIABLES = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "TZ", "PYTHONDONTWRITEBYTECODE")


class Service:
    """Answers requests. `setup` tells the plugin's name, its entry, its declared paths and its data folder."""

    def __init__(self, channel: Channel, setup: Mapping[str, Any]) -> None:
        self._channel = channel
        self._setup = setup
        self._registry: HandlerRegistry | None = None
        self._inputs: list[str] = []
        self._base = {name: os.environ[name] for name in _BASE_VARIABLES if name in os.environ}  # noqa: TID251 -- the worker's own

    def answer(self, request: Message) -> None:
        """Answer one request, whatever the plugin's code does short of ending the process."""
        self._inputs.clear()
        try:
            self._environment(request.get("environment", {}))
            value = self._command(request) if request["do"] == "command" else self._call(request)
            told: Message = {"is": "result", **value}
        except BaseException as fault:  # noqa: BLE001 -- whatever the plugin raises, SystemExit too, is its answer
            told = {"is": "error", **_told(fault)}
        try:
            _flush()
            self._channel.send(told)
        except (ValueError, TypeError) as fault:
            self._channel.send({"is": "error", **_told(fault)})

    def ask(self, message: Message) -> Any:
        """Have something done by the process that started this one."""
        self._channel.send(message)
        answer = self._received()
        while answer["do"] == "input":
            self._inputs.append(str(answer["data"]))
            answer = self._received()
        if "error" in answer:
            error = answer["error"]
            if error.get("right"):
                raise RightMissing(error["right"], "call the kernel like that")
            failure = PluginFailure(error["message"], code=error["code"], hint=error.get("hint"))
            failure.type = error["type"]
            raise failure
        return answer["value"]

    def inputs(self) -> Iterator[str]:
        """Yield what the session is sent, as it comes, for as long as it is open."""
        while True:
            if self._inputs:
                yield self._inputs.pop(0)
            else:
                message = self._received()
                if message["do"] == "input":
                    yield str(message["data"])

    def _received(self) -> Message:
        message = self._channel.receive()
        if message is None:
            os._exit(0)
        return message

    def tell(self, message: Message) -> None:
        """Say something to the process that started this one."""
        self._channel.send(message)

    def _environment(self, granted: Mapping[str, str]) -> None:
        """Give the plugin the variables of this command's caller that it was granted, and no others."""
        os.environ.clear()  # noqa: TID251 -- the worker's own, and one command at a time
        os.environ.update({**self._base, **granted})  # noqa: TID251 -- the same

    def _command(self, request: Message) -> Message:
        context = ExecutionContext({**request, "data": self._setup["data"]}, self)
        for name, reference in request.get("convert", ()):
            context.args[name] = _imported(reference)(context.args[name])
        handler = _imported(request["call"]) if request.get("call") else self._registered(request["path"])
        if isinstance(handler, type):
            handler = handler()
        if isinstance(handler, CommandHandler) or hasattr(handler, "execute"):
            context.args = Values(handler.validate(dict(context.args)))
            handler = handler.execute
        return self._ended(handler(context), stream=bool(request.get("streams")))

    def _call(self, request: Message) -> Message:
        context = ExecutionContext({**request.get("context", {}), "data": self._setup["data"]}, self)
        function = _imported(request["call"])
        return self._ended(function(Values(request["given"]), context), stream=bool(request.get("streams")))

    def _registered(self, path: list[str]) -> Any:
        if self._registry is None:
            registry = HandlerRegistry({(each[0], each[1], each[2]) for each in self._setup["paths"]})
            plugin = _imported(self._setup["entry"])
            plugin = plugin() if isinstance(plugin, type) else plugin
            if isinstance(plugin, NexusPlugin):
                plugin.name, plugin.version = self._setup["name"], self._setup["version"]
            runtime = SimpleNamespace(data=self._setup["data"], version=self._setup["nexus"])
            plugin.initialize(registry, runtime)
            self._registry = registry
        handler = self._registry.get_handler((path[0], path[1], path[2]))
        if handler is None:
            raise LookupError(f"the manifest declares {' '.join(path)}, and the plugin registers no handler for it")
        return handler

    def _ended(self, value: Any, *, stream: bool) -> Message:
        if inspect.iscoroutine(value):
            value = asyncio.run(value)
        if hasattr(value, "__aiter__"):
            asyncio.run(self._drain(value))
            return {}
        if stream and isinstance(value, Iterator | list | tuple):
            self._pour(iter(value))
            return {}
        if isinstance(value, Outcome):
            told: Message = {"value": dict(value.data), "message": value.message}
            if value.select or value.clear:
                told["update"] = {"select": {k: dict(v) for k, v in value.select.items()}, "clear": list(value.clear)}
            return told
        return {"value": value}

    def _pour(self, events: Iterator[Any]) -> None:
        try:
            for event in events:
                self._send_event(event)
        finally:
            # What the stream holds is let go of now, in the generator's own `finally`.
            close = getattr(events, "close", None)
            if close is not None:
                close()

    async def _drain(self, events: AsyncIterator[Any]) -> None:
        async for event in events:
            self._send_event(event)

    def _send_event(self, event: Any) -> None:
        found = event if isinstance(event, Event) else Event(event)
        self._channel.send({"is": "event", "event": found.event, "payload": dict(found.payload)})


def _flush() -> None:
    """Let what was printed go out before the answer does."""
    for stream in (sys.stdout, sys.stderr):  # noqa: TID251 -- the worker's own, which lead to the caller's stderr
        with suppress(OSError, ValueError):
            stream.flush()


def _imported(reference: str) -> Any:
    module, _, name = reference.partition(":")
    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _told(fault: BaseException) -> Message:
    """Return an error as it travels: a failure that the plugin means, a missing right, a fault with its traceback."""
    if isinstance(fault, PluginFailure):
        return {"failure": fault.told()}
    if isinstance(fault, RightMissing):
        return {"right": fault.right, "did": fault.did}
    trace = "".join(traceback.format_exception(fault))[-20_000:]
    if isinstance(fault, PermissionError):
        where = f"reach {fault.filename}" if fault.filename else "do what it did"
        return {"right": f"read:{fault.filename}" if fault.filename else "network", "did": where, "trace": trace}
    return {"message": f"{type(fault).__name__}: {fault}"[:500], "trace": trace}
