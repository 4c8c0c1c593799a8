"""Runs the commands of plugins in their workers, for the handlers that the index names."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexus.plugins.catalog import Catalog, Known
from nexus.schemas.command import Arguments, ExecutionContext, Folders, Outcome
from nexus.schemas.context import ContextUpdate
from nexus.schemas.envelope import ErrorEntry
from nexus.schemas.errors import (
    NexusError,
    OutputInvalid,
    PluginCrashed,
    PluginError,
    PluginUntrusted,
    ReportedError,
    TimeoutExceeded,
)
from nexus.schemas.specification import CommandSpec

if TYPE_CHECKING:
    # Every command of somebody who has plugins comes by here, and few run anything of theirs: what that needs is
    # imported where it begins.
    from nexus.plugins.caller import Caller
    from nexus.plugins.command import Collected, PluginCommand
    from nexus.plugins.conversation import Conversation
    from nexus.plugins.pool import WorkerPool
    from nexus.plugins.process import WorkerSpec
    from nexus.plugins.stream import PluginStream
    from nexus.plugins.worker.channel import Message
    from nexus.registry.registry import Handler

MOST_COLLECTED = 10_000
MOST_COLLECTED_BYTES = 16 * 1024 * 1024


class PluginRunner:
    """The commands of one catalog's plugins. The workers are the process's, and outlive the catalog."""

    def __init__(self, catalog: Catalog, pool: "WorkerPool", folders: Folders) -> None:
        self.catalog = catalog
        self._pool = pool
        self._folders = folders
        self._verified: dict[str, str] = {}

    def handler(self, spec: CommandSpec) -> "Handler":
        """Return the handler of a command in the index. Raises `LookupError` where the catalog has it no more."""
        from nexus.plugins.command import handler_class

        plugin = spec.handler.partition(":")[2]
        manifest = self.catalog.by_name[plugin].manifest
        path = (spec.path[0], spec.path[1], spec.path[2])
        action = manifest.namespaces[path[0]].resources[path[1]].actions[path[2]]
        handler = handler_class(manifest, path, action)()
        handler.run = self.run
        return handler

    def withheld(self, words: Sequence[str]) -> NexusError | None:
        """Return why words name no command, where they would were a plugin trusted."""
        from nexus.plugins.rights import paths_of

        given = tuple(word.casefold() for word in words[:3])
        for known in self.catalog.plugins:
            if known.state == "untrusted" and any(path[: len(given)] == given for path in paths_of(known.told or {})):
                return PluginUntrusted(plugin=known.name, since="")
        return None

    async def run(
        self, command: "PluginCommand", context: ExecutionContext[Arguments]
    ) -> "Outcome[Any] | PluginStream | Collected":
        """Have a command done. Raises what the plugin means, `PluginError`, `PluginCrashed`, `PluginUntrusted`."""
        from nexus.plugins.command import COLLECT
        from nexus.plugins.stream import PluginStream

        known = self.catalog.by_name[command.plugin]
        request = self._request(command, known, context)
        if not command.action.streams:
            return await self._answered(command, known, context, request)
        held = AsyncExitStack()
        stream = PluginStream(await self.conversation(known, context, held, command), request, held, self._pool.later)
        return await _collected(stream) if getattr(context.args, COLLECT, False) is True else stream

    async def call(self, known: Known, reference: str, given: dict[str, Any], context: "Caller", seconds: float) -> Any:
        """Call a function of a plugin that is no command's, and return what it returns.

        It waits for no worker that its commands hold. Raises as `run` does, `TimeoutExceeded` when the function takes
        longer than `seconds`.
        """
        request = self.request(known, reference, given, context)
        async with AsyncExitStack() as held:
            conversation = await self.conversation(known, context, held, waits=False)
            try:
                async with asyncio.timeout(seconds):
                    return (await conversation.ask(request)).get("value")
            except TimeoutError as error:
                raise TimeoutExceeded(seconds=seconds, plugin=known.name) from error

    async def held(self, known: Known, reference: str, given: dict[str, Any], context: "Caller", seconds: float) -> Any:
        """Call a function and keep its worker as it is, for what the function left open in it.

        What it returned is returned again while the worker lives. Raises as `call` does.
        """
        from nexus.plugins.rights import worker_spec

        spec = worker_spec(known, self._folders.data, context.cwd, context.environment)
        key = json.dumps([spec.key, reference, given], sort_keys=True)
        kept = self._pool.held.get(key)
        if kept is not None and kept[0].alive:
            return kept[1]
        request = self.request(known, reference, given, context)
        async with AsyncExitStack() as held:
            conversation = await self.conversation(known, context, held, waits=False)
            async with asyncio.timeout(seconds):
                value = (await conversation.ask(request)).get("value")
            # It stays lent: nobody else is given it, and the pool ends it with all others.
            held.pop_all()
        self._pool.held[key] = (conversation.worker, value)
        return value

    async def _answered(
        self, command: "PluginCommand", known: Known, context: ExecutionContext[Arguments], request: "Message"
    ) -> Outcome[Any]:
        from nexus.plugins.result import ResultInvalid, check_result

        seconds = command.action.timeout
        try:
            async with asyncio.timeout(seconds), AsyncExitStack() as held:
                answer = await (await self.conversation(known, context, held, command)).ask(request)
        except TimeoutError as error:
            raise TimeoutExceeded(seconds=seconds or 0.0, plugin=known.name) from error
        value = answer.get("value")
        if not isinstance(value, dict):
            raise PluginError.because(
                f"The plugin {known.name} answered with {type(value).__name__}, and a result is an object.",
                plugin=known.name,
            )
        try:
            check_result(value, command.action.result)
        except ResultInvalid as error:
            raise OutputInvalid(reason=str(error), plugin=known.name) from error
        message = answer.get("message")
        return Outcome(value, message=str(message) if message else None, context_update=_update(answer, known.name))

    def request(self, known: Known, reference: str, given: dict[str, Any], context: "Caller") -> "Message":
        """Return the request that calls a function which is no command's."""
        around = self._surroundings(known, context)
        environment = around["environment"]
        return {"do": "call", "call": reference, "given": given, "context": around, "environment": environment}

    async def conversation(
        self,
        known: Known,
        context: "Caller",
        held: AsyncExitStack,
        command: "PluginCommand | None" = None,
        *,
        waits: bool = True,
    ) -> "Conversation":
        """Lend a worker and return what talks with it; it is given back when `held` is closed."""
        from nexus.plugins.conversation import Conversation
        from nexus.plugins.rights import worker_spec

        spec = worker_spec(known, self._folders.data, context.cwd, context.environment)
        await self._verify(known, spec)
        worker = await held.enter_async_context(self._pool.borrow(spec, waits=waits))
        path = " ".join(command.path) if command else f"plugin {known.name}"
        return Conversation(known, worker, context, self._folders.state / "logs", path)

    async def _verify(self, known: Known, spec: "WorkerSpec") -> None:
        """Raise `PluginUntrusted` when a project's plugin is not any more what was trusted."""
        if known.candidate.origin != "project":
            return
        from nexus.plugins.digest import FolderUnreadable, digest_of
        from nexus.plugins.stamps import FolderTooLarge

        signature = str(spec.setup["signature"])
        if self._verified.get(known.candidate.folder) == signature:
            return
        try:
            found = await asyncio.to_thread(digest_of, Path(known.candidate.folder))
        except (OSError, FolderUnreadable, FolderTooLarge) as error:
            raise PluginUntrusted(plugin=known.name, since=f": {error}") from error
        if found != known.digest:
            raise PluginUntrusted(plugin=known.name, since=" any more: its files have changed since")
        self._verified[known.candidate.folder] = signature

    def _surroundings(self, known: Known, context: "Caller") -> "Message":
        from nexus.plugins.rights import variables

        flags = {name: value for name, value in asdict(context.flags).items() if value is not None}
        session = context.session
        return {
            "flags": flags,
            "context": context.context_state.model_dump(mode="json", by_alias=True, exclude_none=True),
            "session": session.model_dump(mode="json", by_alias=True) if session is not None else None,
            "config": {each.key: each.value for each in context.config.all()},
            "cwd": str(context.cwd),
            "environment": variables(known, context.environment),
            "requestId": context.request_id,
        }

    def _request(self, command: "PluginCommand", known: Known, context: ExecutionContext[Arguments]) -> "Message":
        given = context.args.model_dump(mode="json", by_alias=False)
        types = known.manifest.contributes.argument_types
        convert = []
        for field, name in command.names.items():
            flag = command.action.flags[name]
            declared = types.get(flag.type)
            references = [declared.call if declared else None, flag.validator]
            convert += [[name.replace("-", "_"), each] for each in references if each and given[field] is not None]
        return {
            "do": "command",
            "path": list(command.path),
            "call": command.action.call,
            "streams": command.action.streams,
            "args": {name.replace("-", "_"): given[field] for field, name in command.names.items()},
            "convert": convert,
            **self._surroundings(known, context),
        }


def _update(answer: "Message", plugin: str) -> ContextUpdate | None:
    if not answer.get("update"):
        return None
    try:
        return ContextUpdate.model_validate(answer["update"])
    except ValueError as error:
        raise PluginCrashed.because(
            f"The plugin {plugin} wants to change the context in a way that is none.", plugin=plugin
        ) from error


async def _collected(stream: "PluginStream") -> "Collected":
    """Read a stream whole, up to the bounds. Raises what the stream tells as its error."""
    from nexus.plugins.command import Collected

    items: list[dict[str, Any]] = []
    size = 0
    truncated = False
    try:
        async for each in stream:
            for line in each.data.splitlines():
                items.append(json.loads(line))
                size += len(line)
            if not truncated and (size > MOST_COLLECTED_BYTES or len(items) > MOST_COLLECTED):
                truncated = True
                stream.stop("error")
    finally:
        await stream.aclose()
    failed = next((item["payload"] for item in reversed(items) if item["event"] == "error"), None)
    if failed is not None:
        raise ReportedError(ErrorEntry.model_validate(failed))
    return Collected(items=items, truncated=truncated)
