"""Who may do what with which session: checked on each command, by the session's type; what is done is written down.

A session is a terminal, a log that is followed, a chat. So `agent.terminal.send` grants sending to terminals, and
`session.live.send` sending to any session. Making one is granted by the command that makes its type, and by no other.
"""

from collections.abc import Awaitable, Callable
from typing import assert_never

from nexus.kernel.audit.witness import Witness
from nexus.kernel.caller import SHELL, Caller, require
from nexus.kernel.sessions.attachment import Attachment
from nexus.kernel.sessions.sessions import Sessions
from nexus.schemas.ai import is_the_machines
from nexus.schemas.errors import AuthError, PermissionDenied, ValidationError
from nexus.schemas.protocol import (
    ActivateSession,
    AttachSession,
    CloseSession,
    CreateSession,
    InterruptSession,
    ListSessions,
    ResizeSession,
    RestartSession,
    SendInput,
    SessionAnswer,
    SessionCommand,
    ViewSession,
)
from nexus.schemas.session import NewSession, Session

_TERMINAL = "agent.terminal"
_CHAT = ("ai.message.send", "ai.message.stream")

MADE_BY: dict[str, tuple[str, ...]] = {
    "terminal": (f"{_TERMINAL}.open", f"{_TERMINAL}.run"),
    "ai-chat": ("ai.session.create", *_CHAT),
    "meta-chat": ("agent.roadmap.watch",),
    "network-stream": ("network.connection.monitor",),
    "pipeline-run": (),
}
"""The commands that make sessions of a type; a debug-stream's depend on what it follows, and a run makes its own."""

_WATCHERS = ("pipeline.run.watch", "pipeline.run.logs", "pipeline.step.logs", "pipeline.run.view")
LOGS = ("debug.log.tail",)
PROCESSES = ("debug.process.start",)

BY_TYPE: dict[str, dict[str, tuple[str, ...]]] = {
    "terminal": {
        "list": (f"{_TERMINAL}.list",),
        "view": (f"{_TERMINAL}.list", f"{_TERMINAL}.attach", f"{_TERMINAL}.run"),
        "attach": (f"{_TERMINAL}.attach", f"{_TERMINAL}.run"),
        "send": (f"{_TERMINAL}.send", f"{_TERMINAL}.attach", f"{_TERMINAL}.run"),
        "interrupt": (f"{_TERMINAL}.send", f"{_TERMINAL}.attach", f"{_TERMINAL}.run"),
        "resize": (f"{_TERMINAL}.attach",),
        "restart": (f"{_TERMINAL}.open",),
        "activate": (f"{_TERMINAL}.open",),
        "close": (f"{_TERMINAL}.close", f"{_TERMINAL}.run"),
    },
    "ai-chat": {
        "list": ("ai.session.list",),
        "view": ("ai.session.view", *_CHAT),
        "attach": _CHAT,
        "send": _CHAT,
        "interrupt": _CHAT,
        "activate": ("ai.session.switch",),
        "close": ("ai.session.delete", *_CHAT),
    },
    "meta-chat": dict.fromkeys(("view", "attach", "close"), MADE_BY["meta-chat"]),
    "network-stream": dict.fromkeys(("view", "attach", "close"), MADE_BY["network-stream"]),
    "debug-stream": {
        "list": ("debug.log.tail", "debug.process.list"),
        **dict.fromkeys(("view", "attach", "close"), (*LOGS, "debug.process.monitor")),
    },
    "pipeline-run": {
        "list": ("pipeline.run.history", "pipeline.run.list"),
        **dict.fromkeys(("view", "attach"), _WATCHERS),
        **dict.fromkeys(("interrupt", "close"), ("pipeline.run.cancel",)),
    },
}
"""Which commands, beside `session.live`'s own, do what with sessions of a type."""

USE_SECRETS = "settings.secret.use"
"""Grants having a program given secrets; no command has this path."""

WATCHING = ("view", "attach", "list")
"""What changes nothing, and is not written down."""


def makers_of(new: NewSession) -> tuple[str, ...]:
    """Return the commands that may make this session; of a type that no command makes, `session.live.create`.

    Raises `ValidationError` for one that the kernel makes by itself.
    """
    if new.type == "debug-stream":
        return PROCESSES if new.options.get("argv") else (*LOGS, "debug.process.monitor")
    makers = MADE_BY.get(new.type, ("session.live.create",))
    if not makers:
        raise ValidationError.because(
            f"A session of type {new.type} begins with its run.", field="type", hint="nexus help pipeline run start"
        )
    return makers


def doers_of(session_type: str | None, action: str) -> tuple[str, ...]:
    """Return the commands that may do this with a session of the type; with None, of whatever type."""
    generic = "events" if action == "attach" else action
    ids = (f"session.live.{action}", f"session.live.{generic}") if generic != action else (f"session.live.{action}",)
    return ids + BY_TYPE.get(session_type or "", {}).get(action, ())


class SessionGate:
    """Sessions as one caller reaches them; a `SessionHost`. `caller` is asked at every command: roles change."""

    def __init__(self, sessions: Sessions, caller: Callable[[], Awaitable[Caller]], witness: Witness) -> None:
        self._sessions = sessions
        self._caller = caller
        self._witness = witness
        self._sent_to: set[str] = set()

    async def request(self, command: SessionCommand) -> SessionAnswer:
        """Do one command. Raises `AuthError`, `PermissionDenied`, and what the command raises."""
        action, session_id, ids = await self._asked(command)
        caller = await self.permit(ids, session_id)
        if isinstance(command, CreateSession):
            await self._permit_options(command.session)
        answer = await self._sessions.request(command)
        if action not in WATCHING and not (action == "send" and session_id in self._sent_to):
            # What is typed into a session is not repeated here; that somebody began to, is.
            if action == "send" and session_id is not None:
                self._sent_to.add(session_id)
            await self._witness.write(caller, ids[0], "done", session=session_id)
        return answer

    async def attach(self, command: AttachSession) -> Attachment:
        """Open a reader. Raises as `request` does."""
        await self.permit_reading(command.session_id)
        return await self._sessions.attach(command)

    async def create(self, new: NewSession) -> Session:
        """Make a session. Raises as `request` does."""
        ids = makers_of(new)
        caller = await self.permit(ids)
        await self._permit_options(new)
        session = await self._sessions.create(new)
        await self._witness.write(caller, ids[0], "done", session=session.session_id)
        return session

    async def permit_reading(self, session_id: str) -> None:
        """Return when the caller may read the session's stream. Raises as `request` does."""
        await self.permit(doers_of(await self._type_of(session_id), "attach"), session_id)

    async def _asked(self, command: SessionCommand) -> tuple[str, str | None, tuple[str, ...]]:
        match command:
            case CreateSession():
                return "create", None, makers_of(command.session)
            case ListSessions():
                return "list", None, doers_of(command.query.type, "list")
            case (
                ViewSession()
                | SendInput()
                | InterruptSession()
                | ResizeSession()
                | RestartSession()
                | ActivateSession()
                | CloseSession()
            ):
                action = ACTIONS[type(command)]
                session_type = await self._type_of(command.session_id)
                return action, command.session_id, doers_of(session_type, action)
            case _:
                assert_never(command)

    async def _permit_options(self, new: NewSession) -> None:
        """Return when the caller may have what the session is made with.

        Whoever has a program of theirs given a secret can have it told: that wants a grant of its own. A chat with a
        program, or with a file, is as good as a shell.
        """
        if new.options.get("secrets"):
            await self.permit((USE_SECRETS,))
        if new.type == "ai-chat" and is_the_machines(str(new.options.get("backend"))):
            await self.permit((SHELL,))

    async def _type_of(self, session_id: str) -> str:
        # Who is nobody is not told what there is.
        require(await self._caller(), "session.live.view", access="signed-in")
        return await self._sessions.type_of(session_id)

    async def permit(self, ids: tuple[str, ...], session_id: str | None = None) -> Caller:
        """Return the caller when one of the commands is granted. Who may not is written down, and refused."""
        caller = await self._caller()
        try:
            require(caller, *ids)
        except (AuthError, PermissionDenied) as error:
            await self._witness.write(caller, ids[0], "denied", session=session_id, code=error.code)
            raise
        return caller


ACTIONS: dict[type, str] = {
    ViewSession: "view",
    SendInput: "send",
    InterruptSession: "interrupt",
    ResizeSession: "resize",
    RestartSession: "restart",
    ActivateSession: "activate",
    CloseSession: "close",
}
