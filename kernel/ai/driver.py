"""The driver of sessions of type `ai-chat`: takes messages, has a back end answer, keeps the history."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pydantic
from pydantic import Field
from sqlalchemy import Connection

from nexus.kernel.ai import history
from nexus.kernel.ai.agent import AgentBackend
from nexus.kernel.ai.answer import Answer, text_in
from nexus.kernel.ai.backend import AiBackend, Workplace
from nexus.kernel.ai.catalog import Choice, choose, is_agent, surroundings_of
from nexus.kernel.ai.provider import ProviderBackend
from nexus.kernel.ai.script import ScriptBackend
from nexus.kernel.secrets.program import ProgramSecrets
from nexus.kernel.secrets.values import Secrets
from nexus.kernel.sessions.driver import Driver, GivenInput
from nexus.kernel.store.rows import new_id
from nexus.kernel.store.store import Store
from nexus.schemas.ai import (
    MOST_CHARACTERS,
    AiCaller,
    AiMessage,
    AiMessageSent,
    AiSession,
    AiSettings,
    BackendReference,
    Permissions,
)
from nexus.schemas.errors import Conflict, NexusError, ResourceUnavailable, SessionClosed, ValidationError
from nexus.schemas.model import StrictModel
from nexus.schemas.project import Name
from nexus.schemas.secret import SecretNames
from nexus.schemas.session import CallerSurroundings

if TYPE_CHECKING:
    from nexus.kernel.sessions.output import SessionOutput

BEGIN_SECONDS = 30.0
STOP_SECONDS = 10.0
AGENT_IDLE_SECONDS = 600.0
"""So long an agent's process waits for the next message."""

logger = logging.getLogger("nexus.kernel.ai")

Write = Callable[[Callable[[Connection], AiMessageSent]], Awaitable[AiMessageSent]]
"""Runs work in the one transaction that also keeps a request's answer."""


class ChatOptions(StrictModel):
    """What an `ai-chat` session is made with. `secrets` are for a coding agent, which finds them in its environment."""

    backend: BackendReference
    name: Name | None = None
    model: str | None = Field(default=None, max_length=200)
    workspace_path: str | None = Field(default=None, max_length=4096)
    permissions: Permissions = "reject"
    secrets: SecretNames = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ChatSurroundings:
    """What all chats of a kernel share. `forget` is called when a session is over."""

    store: Store
    surroundings: CallerSurroundings
    forget: Callable[[str], None]
    secrets: Secrets


class ChatDriver(Driver):
    """One chat. `post` is how a message comes, by the API or as a session's input."""

    def __init__(self, output: "SessionOutput", around: ChatSurroundings) -> None:
        self._output = output
        self._around = around
        self._id = output.session.session_id
        self._begun = asyncio.Event()
        self._answer: Answer | None = None
        self.busy = False
        """Whether an answer is on its way: an agent that only waits may be left."""
        self._work: asyncio.Task[None] | None = None
        self._kept: tuple[str, AiBackend] | None = None
        self._secrets = ProgramSecrets(around.secrets, output, output.options.get("secrets") or [])
        self._idle: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # -- the session's life

    async def start(self) -> None:
        try:
            await self._start()
        except BaseException:
            self._around.forget(self._id)
            raise

    async def _start(self) -> None:
        options = _options(self._output.options)
        if options.secrets and not is_agent(options.backend):
            raise ValidationError.because(
                f"{options.backend} is no program: only a coding agent takes secrets.",
                field="options.secrets",
                hint="nexus ai backend list",
            )
        values = options.model_dump(by_alias=False, exclude={"secrets"})
        values["name"] = options.name or options.backend[:200]
        await self._around.store.write(lambda connection: history.begin_session(connection, self._id, values))
        try:
            await self._describe(options.backend, options.workspace_path)
            await self._output.status("connected", f"Ready to send messages to {options.backend}.")
        except BaseException:
            await self._around.store.write(lambda connection: history.forget_session(connection, self._id))
            raise
        self._begun.set()

    async def resume(self) -> None:
        try:
            await self._resume()
        except BaseException:
            self._around.forget(self._id)
            raise

    async def _resume(self) -> None:
        """Keep what an answer had brought when the kernel's process ended: the log has all that anyone saw."""
        await self._secrets.end_former()
        cut_off = await self._around.store.read(lambda connection: history.open_answers(connection, self._id))
        if cut_off:
            after = await self._output.position(self._source)
            logged = b"".join([piece async for piece in self._output.read(after)])
            found = {answer_id: text_in(logged, answer_id) for answer_id in cut_off}
            await self._around.store.write(lambda connection: history.keep_cut_off(connection, found))
            await self._output.status("idle", "The kernel ended while this was being answered; what came is kept.")
        self._begun.set()

    async def close(self, reason: str) -> None:
        await self._leave()
        self._around.forget(self._id)
        await self._output.end(reason)

    async def detach(self) -> None:
        await self._leave()

    async def delete(self) -> int:
        """End the session and forget what was said; return how many messages there were."""
        await self._leave()
        count = await self._around.store.write(lambda connection: history.forget_session(connection, self._id))
        self._around.forget(self._id)
        await self._output.end("deleted")
        return count

    # -- messages

    async def send(self, given: GivenInput) -> bool:
        """Take a message as plain text, with the kernel's own keys and programs."""
        text = given.data.decode("utf-8", "replace")
        if not text or len(text) > MOST_CHARACTERS:
            raise ValidationError.because(f"A message has 1 to {MOST_CHARACTERS} characters.", field="data")
        await self.post(text, AiCaller(), self._around.store.write)
        return True

    async def post(self, content: str, caller: AiCaller, write: Write) -> AiMessageSent:
        """Keep a message and have it answered; return where the answer streams.

        Raises `Conflict` while another one is being answered, and what forbids the back end: a key that is missing.
        """
        await self.begun()
        self._refuse_while_answering()
        self.busy = True
        try:
            return await self._post(content, caller, write)
        except BaseException:
            self.busy = False
            raise

    async def begun(self) -> None:
        """Wait until what an earlier process left is taken up. Raises `ResourceUnavailable`."""
        try:
            async with asyncio.timeout(BEGIN_SECONDS):
                await self._begun.wait()
        except TimeoutError:
            raise ResourceUnavailable.because(f"The session {self._id} is not at work yet.") from None

    async def interrupt(self) -> None:
        if self._answer is not None:
            self._answer.interrupt()
        if self._work is not None:
            await asyncio.wait((self._work,), timeout=STOP_SECONDS)

    async def choose_backend(self, choice: Choice, workspace_path: str | None) -> AiSession:
        """Have another back end answer from the next message on."""
        self._refuse_while_answering()
        values = {"backend": choice.reference, "model": choice.model, "agent_session": None}
        if workspace_path is not None:
            values["workspace_path"] = workspace_path
        session = await self._around.store.write(lambda found: history.change_session(found, self._id, values))
        await self._drop_kept()
        await self._describe(session.backend, session.workspace_path)
        return session

    async def clear(self) -> int:
        """Forget what was said; the session stays."""
        self._refuse_while_answering()
        cleared = await self._around.store.write(lambda connection: history.clear_messages(connection, self._id))
        await self._drop_kept()
        return cleared

    # -- within

    @property
    def _source(self) -> str:
        """What the log marks the newest answer's beginning by."""
        return f"ai-chat/{self._id}"

    async def _post(self, content: str, caller: AiCaller, write: Write) -> AiMessageSent:
        session = await self._around.store.read(lambda connection: history.find_session(connection, self._id))
        surroundings = surroundings_of(caller, self._around.surroundings)
        # Looking for programs touches the disk.
        choice = await asyncio.to_thread(choose, session.backend, surroundings, caller.settings)
        place = Workplace(session.workspace_path, session.permissions, session.agent_session)
        backend = await self._backend(choice, surroundings, caller.settings, place)
        after, answer_id = await self._output.reached(), new_id("aim")

        def work(connection: Connection) -> AiMessageSent:
            said: AiMessage = history.say(connection, self._id, content, backend=choice.reference, answer_id=answer_id)
            return AiMessageSent(message=said, answer_id=answer_id, epoch=self._output.epoch, after=after)

        sent = await write(work)
        self._answer = Answer(answer_id, self._output, backend, caller.settings.timeout)
        self._work = asyncio.create_task(self._respond(self._answer, choice, after))
        return sent

    async def _respond(self, answer: Answer, choice: Choice, after: int) -> None:
        try:
            payload = f"{choice.reference} answers."
            await self._output.status("responding", payload, mark=(self._source, after))
            store = self._around.store
            turns = await store.read(lambda connection: history.turns_of(connection, self._id))
            await answer.run(turns)
        except NexusError as error:
            # The log itself: its readers cannot be told, the history can.
            answer.said.error = error
        finally:
            await self._finish(answer)

    async def _finish(self, answer: Answer) -> None:
        said = answer.said
        agent_session = self._kept[1].agent_session if self._kept is not None else None

        def work(connection: Connection) -> None:
            history.finish_answer(connection, answer.id, said.row())
            if agent_session is not None:
                history.change_session(connection, self._id, {"agent_session": agent_session})

        try:
            await self._around.store.write(work)
        except NexusError:
            logger.exception("the answer %s could not be kept", answer.id)
        self._answer, self._work, self.busy = None, None, False
        self._wait_for_more()
        try:
            await self._output.status("idle", "Interrupted." if said.interrupted else "Ready.")
        except NexusError:
            logger.exception("the session %s could not be told that it is idle", self._id)

    async def _backend(
        self, choice: Choice, surroundings: CallerSurroundings, settings: AiSettings, place: Workplace
    ) -> AiBackend:
        if choice.kind == "script":
            return ScriptBackend(choice.path or "")
        if choice.kind == "model":
            return ProviderBackend(
                choice, surroundings, seconds=settings.timeout, context_window=settings.context_window
            )
        if self._idle is not None:
            self._idle.cancel()
        if self._kept is None or self._kept[0] != choice.reference:
            await self._drop_kept()
            self._kept = (choice.reference, await self._agent(choice, surroundings, place))
        return self._kept[1]

    async def _agent(self, choice: Choice, surroundings: CallerSurroundings, place: Workplace) -> AiBackend:
        await self._secrets.give()
        agent = AgentBackend(choice, surroundings, place, self._secrets)
        mask = self._secrets.mask
        if mask is None:
            return agent
        from nexus.kernel.ai.masked import MaskedBackend

        return MaskedBackend(agent, mask)

    async def _describe(self, backend: str, workspace_path: str | None) -> None:
        await self._output.describe(backend=backend, workspacePath=workspace_path, streamingMode="tokens")

    def _refuse_while_answering(self) -> None:
        if self.busy:
            raise Conflict.because(
                "The session is still answering.",
                hint=f"nexus session live interrupt {self._id}",
                session_id=self._id,
                retryable=True,
            )

    def _wait_for_more(self) -> None:
        """Keep an agent's process for a while."""
        if self._kept is not None:
            self._idle = asyncio.get_running_loop().call_later(AGENT_IDLE_SECONDS, self._leave_agent)

    def _leave_agent(self) -> None:
        if not self.busy:
            task = asyncio.create_task(self._drop_kept())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _drop_kept(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            await kept[1].aclose()
            await self._secrets.let_go()

    async def _leave(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        await self.interrupt()
        await self._drop_kept()


def _options(given: object) -> ChatOptions:
    try:
        return ChatOptions.model_validate(dict(given))  # type: ignore[call-overload]
    except pydantic.ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in found["loc"])
        raise ValidationError.because(
            f"options.{field}: {found['msg']}.", field=f"options.{field}", hint="nexus ai session create"
        ) from None


def gone(session_id: str) -> SessionClosed:
    """Return what is told of a session that takes no more messages."""
    return SessionClosed(session_id=session_id, hint="nexus ai session create")
