"""The back end of a coding agent, over the Agent Client Protocol: a child process while its session is used."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from nexus import __version__
from nexus.kernel.ai.agent_process import AgentProcess
from nexus.kernel.ai.agent_updates import FINISH, AgentListener
from nexus.kernel.ai.backend import Workplace, redacted
from nexus.kernel.ai.catalog import Choice, require_extra
from nexus.kernel.ai.chunks import Chunk, Finish, Turn, Usage
from nexus.schemas.ai import TokenUsage
from nexus.schemas.errors import AiBackendFailed, AiSignInRequired, NexusError, TimeoutExceeded
from nexus.schemas.session import CallerSurroundings

if TYPE_CHECKING:
    from acp import ClientSideConnection
    from acp.schema import PromptResponse

    from nexus.kernel.secrets.program import ProgramSecrets

START_SECONDS = 90.0
"""Agents in Node.js take their time for a first start."""
CANCEL_SECONDS = 5.0
MOST_TRANSCRIPT = 100_000
"""Characters of an earlier conversation that a fresh agent is told."""
AUTH_REQUIRED = -32000


class AgentBackend:
    """Answers by prompts to one agent, which remembers the conversation itself while its process lives."""

    kept = True

    def __init__(
        self,
        choice: Choice,
        caller: CallerSurroundings,
        workplace: Workplace,
        secrets: "ProgramSecrets | None" = None,
    ) -> None:
        self._choice = choice
        self._caller = caller
        self._workplace = workplace
        self._secrets = secrets
        self._process: AgentProcess | None = None
        self._listener: AgentListener | None = None
        self._connection: ClientSideConnection | None = None
        self._session: str | None = None
        self._remembers = False
        self._settling: asyncio.Task[None] | None = None

    @property
    def agent_session(self) -> str | None:
        return self._session or self._workplace.agent_session

    async def reply(self, turns: Sequence[Turn]) -> AsyncGenerator[Chunk]:
        try:
            connection, listener, session = await self._ready()
            listener.begin()
            prompt = asyncio.create_task(self._prompt(connection, listener, session, turns))
            try:
                while (chunk := await listener.take()) is not None:
                    yield chunk
                response = await prompt
                self._remembers = True
            finally:
                listener.listening = False
                if not prompt.done():
                    # Who interrupts does not wait for the agent to agree.
                    self._settling = asyncio.create_task(self._settle(connection, session, prompt))
        except ImportError as error:
            raise require_extra("A coding agent", error) from error
        except (NexusError, asyncio.CancelledError, GeneratorExit):
            raise
        except Exception as error:
            raise await self._told(error) from error
        if response.usage is not None:
            yield Usage(
                TokenUsage(input_tokens=response.usage.input_tokens, output_tokens=response.usage.output_tokens)
            )
        yield Finish(FINISH.get(response.stop_reason, response.stop_reason))

    async def aclose(self) -> None:
        process, self._process = self._process, None
        connection, self._connection = self._connection, None
        self._remembers = False
        if self._settling is not None:
            self._settling.cancel()
        if process is not None:
            await process.end()
        if connection is not None:
            await connection.close()

    def _hidden(self, text: str) -> str:
        mask = self._secrets.mask if self._secrets is not None else None
        return mask.text(text) if mask is not None else text

    async def _ready(self) -> "tuple[ClientSideConnection, AgentListener, str]":
        """Return the agent's connection, started where it is not there; the last interrupt is over then."""
        if self._settling is not None:
            await asyncio.wait((self._settling,))
            self._settling = None
        if self._process is None or not self._process.running:
            await self.aclose()
            await self._start()
        if self._connection is None or self._listener is None or self._session is None:
            raise LookupError("the agent was started and is not there")
        return self._connection, self._listener, self._session

    async def _start(self) -> None:
        # The import takes half a second: not on the event loop's thread.
        acp = await asyncio.to_thread(_library)
        folder = self._workplace.folder or self._caller.environment.get("HOME") or "/"
        given = dict(self._secrets.environment) if self._secrets is not None else {}
        caller = self._caller.model_copy(update={"environment": {**self._caller.environment, **given}})
        process = self._process = await AgentProcess.start(self._choice.command, folder, caller, self._hidden)
        listener = self._listener = AgentListener(self._workplace.permissions, process.room)
        connection = self._connection = acp.connect_to_agent(listener, process)
        try:
            async with asyncio.timeout(START_SECONDS):
                hello = await connection.initialize(
                    acp.PROTOCOL_VERSION,
                    client_capabilities=acp.schema.ClientCapabilities(),
                    client_info=acp.schema.Implementation(name="nexus", version=__version__),
                )
                self._session = await self._conversation(connection, hello.agent_capabilities, folder)
        except TimeoutError as error:
            await self.aclose()
            raise TimeoutExceeded(seconds=START_SECONDS, backend=self._choice.name) from error
        except asyncio.CancelledError:
            await self.aclose()
            raise

    async def _conversation(self, connection: "ClientSideConnection", capabilities: Any, folder: str) -> str:
        """Take up the agent's own conversation where it kept it, else begin one."""
        earlier = self.agent_session
        if earlier is not None and capabilities is not None and capabilities.load_session:
            with suppress(_request_error()):
                await connection.load_session(cwd=folder, session_id=earlier, mcp_servers=[])
                self._remembers = True
                return earlier
        made = await connection.new_session(cwd=folder, mcp_servers=[])
        return str(made.session_id)

    async def _prompt(
        self, connection: "ClientSideConnection", listener: AgentListener, session: str, turns: Sequence[Turn]
    ) -> "PromptResponse":
        from acp import text_block

        earlier = [] if self._remembers else [text_block(text) for text in transcript(turns[:-1])]
        try:
            response: PromptResponse = await connection.prompt(
                session_id=session, prompt=[*earlier, text_block(turns[-1].content)]
            )
            return response
        finally:
            listener.finish()

    async def _settle(
        self, connection: "ClientSideConnection", session: str, prompt: "asyncio.Task[PromptResponse]"
    ) -> None:
        """Have the agent stop; one that does not is ended."""
        with suppress(Exception):
            async with asyncio.timeout(CANCEL_SECONDS):
                await connection.cancel(session_id=session)
                await asyncio.wait((prompt,))
                self._remembers = True
        if not prompt.done():
            prompt.cancel()
            if self._process is not None:
                await self._process.end()
        # Its outcome belongs to nobody any more.
        await asyncio.gather(prompt, return_exceptions=True)

    async def _told(self, error: Exception) -> NexusError:
        name, program = self._choice.name, self._choice.command[0]
        if isinstance(error, _request_error()):
            if getattr(error, "code", None) == AUTH_REQUIRED:
                return AiSignInRequired(backend=name, program=program)
            reason = redacted(self._hidden(_details(error)), self._caller.environment).rstrip(".")
            return AiBackendFailed.because(f"The coding agent {name} refused: {reason}.", backend=name)
        if isinstance(error, ConnectionError) and self._process is not None:
            reason = f"is gone: {(await self._process.epitaph()).rstrip('.')}"
        else:
            said = redacted(self._hidden(str(error)), self._caller.environment)
            reason = f"answered what cannot be read: {said.rstrip('.')}"
        await self.aclose()
        return AiBackendFailed.because(f"The coding agent {name} {reason}.", backend=name, program=program)


def transcript(turns: Sequence[Turn]) -> list[str]:
    """Return an earlier conversation as one text for an agent that was not there; nothing where there was none."""
    if not turns:
        return []
    text = "\n\n".join(f"{turn.role.capitalize()}: {turn.content}" for turn in turns if turn.content)
    return [f"What was said in this conversation before:\n\n{text[-MOST_TRANSCRIPT:]}\n\nNow the user says:"]


def _library() -> Any:
    import acp

    return acp


def _request_error() -> type[Exception]:
    from acp import RequestError

    return RequestError


def _details(error: Any) -> str:
    data = error.data
    details = data.get("details") or data.get("message") if isinstance(data, dict) else data
    return f"{error}: {details}" if details else str(error)
