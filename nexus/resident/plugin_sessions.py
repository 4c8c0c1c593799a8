"""Session types of plugins: what stands behind a session is a function in a worker, which yields the events."""

import asyncio
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path

from nexus.config.configuration import TomlConfiguration
from nexus.kernel.kernel import Kernel
from nexus.kernel.sessions.driver import Driver, DriverFactory, GivenInput
from nexus.kernel.sessions.output import SessionOutput
from nexus.plugins.caller import BareCaller
from nexus.plugins.conversation import Conversation
from nexus.plugins.plugins import Plugins
from nexus.plugins.runner import PluginRunner
from nexus.schemas.command import GlobalFlags
from nexus.schemas.errors import NexusError, ReportedError, SessionClosed
from nexus.schemas.session import Capabilities
from nexus.sessions import lines
from nexus.sessions.types import SessionType


class PluginSessions:
    """The session types that active plugins bring, as a kernel asks for them."""

    def __init__(self, plugins: Plugins) -> None:
        self._plugins = plugins

    def bring(self, kernel: Kernel) -> None:
        """Have a kernel ask here for the types that it does not have itself."""
        kernel.bring(self.session_type, self.driver)

    def session_type(self, name: str) -> SessionType | None:
        """Return what sessions of a type need and can do, None where no plugin brings it."""
        found = self._plugins.session_type(name)
        if found is None:
            return None
        able = {*found[2].get("capabilities", ()), "receive", "close", "stream"}
        return SessionType(name, Capabilities(**dict.fromkeys(able, True)))

    def driver(self, name: str) -> DriverFactory | None:
        """Return what makes the driver of such a session, None where no plugin brings the type."""
        return partial(PluginDriver, self._plugins, name) if self._plugins.session_type(name) is not None else None


class PluginDriver(Driver):
    """One session: the worker is lent to it until its end. It does not outlive this process."""

    def __init__(self, plugins: Plugins, name: str, output: SessionOutput) -> None:
        self._plugins = plugins
        self._name = name
        self._output = output
        self._held = AsyncExitStack()
        self._conversation: Conversation | None = None
        self._working: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Lend a worker and have it begin. Raises what starting it raises."""
        found = self._plugins.session_type(self._name)
        if found is None:
            raise SessionClosed(session_id=self._output.session.session_id)
        catalog, known, declared = found
        folders = self._plugins.folders
        environment = dict(self._output.surroundings.environment) if self._output.surroundings else {}
        config = TomlConfiguration(folders.config / "config.toml", {})
        session = self._output.session
        caller = BareCaller(
            GlobalFlags(), config, Path("/"), environment, session.session_id, stderr=None, session=session
        )
        runner = PluginRunner(catalog, self._plugins.pool, folders)
        self._conversation = await runner.conversation(known, caller, self._held)
        given = {"options": dict(self._output.options), "session": session.session_id}
        request = runner.request(known, str(declared["call"]), given, caller)
        self._working = asyncio.create_task(self._work(self._conversation, {**request, "streams": True}))

    async def resume(self) -> None:
        """End: what was at work ended with the process that it was in."""
        await self._output.end("lost", None, "error")

    async def send(self, given: GivenInput) -> bool:
        """Give the input to the function, which takes it when it asks."""
        if self._conversation is None:
            return False
        await self._conversation.worker.send({"do": "input", "data": given.data.decode("utf-8", "replace")})
        return True

    async def interrupt(self) -> None:
        """Interrupt the function, which ends the session."""
        if self._conversation is not None:
            self._conversation.worker.interrupt()

    async def close(self, reason: str) -> None:
        """End the function and the session."""
        await self._stop()
        await self._output.end(reason)

    async def detach(self) -> None:
        """End the function; the session is told as lost to whoever comes next."""
        await self._stop()

    async def _work(self, conversation: Conversation, request: dict[str, object]) -> None:
        try:
            async for message in conversation.messages(request):
                if message["is"] == "event":
                    await self._output.append([lines.payload(message["payload"])])
            await self._output.end("completed", 0)
        except NexusError as error:
            with suppress(SessionClosed):
                await self._output.error(error)
                status = error.reported_exit_status if isinstance(error, ReportedError) else error.exit_status
                await self._output.end("error", status, "error")
        finally:
            await self._held.aclose()

    async def _stop(self) -> None:
        if self._working is not None and not self._working.done():
            self._working.cancel()
            await asyncio.wait((self._working,))
