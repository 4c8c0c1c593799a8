"""The kernel's part for sessions: its operations, its routes, its start and end."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property

from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Scope
from starlette.websockets import WebSocket

from nexus.kernel.api.operation import ApiRequest, Operation
from nexus.kernel.caller import ANEW_KEY, OWNER, Caller, caller_of, checks_callers
from nexus.kernel.events import ProjectDeleted
from nexus.kernel.part import Part, Surroundings
from nexus.kernel.sessions.events import EventsEndpoint
from nexus.kernel.sessions.gate import SessionGate, doers_of
from nexus.kernel.sessions.log import EventLog
from nexus.kernel.sessions.sessions import Sessions
from nexus.kernel.sessions.socket import KernelSocket
from nexus.schemas.kernel import LiveCounts
from nexus.schemas.page import Page
from nexus.schemas.session import (
    InputAccepted,
    NewSession,
    NewTerminal,
    Restart,
    Session,
    SessionInput,
    SessionQuery,
    SessionView,
    WindowSize,
)
from nexus.sessions.types import SessionTypes

LOG_NAME = "sessions.db"


class SessionsPart(Part):
    """Sessions over HTTP and WebSocket; `sessions` is the face for who lives in the same process."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._host = surroundings.host
        self._witness = surroundings.witness
        self.log = EventLog(surroundings.data_folder / LOG_NAME, limits=surroundings.limits)
        self.sessions = Sessions(self.log, SessionTypes(), surroundings.drivers)
        surroundings.bus.subscribe(ProjectDeleted, self._project_deleted)

    async def start(self) -> None:
        # A command that runs alone ends with its answer: it takes up sessions only when it is about them.
        if self._host.mode != "one-shot" and self.log.path.exists():
            self.sessions.begin()

    async def close(self) -> None:
        await self.sessions.close()

    async def _project_deleted(self, event: ProjectDeleted) -> None:
        """End what worked in the project."""
        theirs = [
            session_id
            for session_id, live in self.sessions.live.items()
            if live.record.session.context.project_id == event.project_id
        ]
        await asyncio.gather(*(self.sessions.end(session_id, "project-deleted") for session_id in theirs))

    def live(self) -> LiveCounts:
        live = self.sessions.live.values()
        return LiveCounts(sessions=sum(bool(each.readers) or each.driver.busy for each in live))

    def operations(self) -> Sequence[Operation]:
        command, many, one = "session.live", "/api/sessions", "/api/sessions/{id}"
        return (
            Operation(
                *("GET", many, f"{command}.list", "List sessions.", self.list, Page[Session]),
                query=SessionQuery,
                access="signed-in",
            ),
            Operation(
                *("POST", many, f"{command}.create", "Open a session.", self.create, Session),
                body=NewSession,
                status=201,
                access="signed-in",
                audited=False,
            ),
            Operation(
                *("GET", one, f"{command}.view", "View a session.", self.view, SessionView), also=self._also("view")
            ),
            *self._actions(one, command, ""),
            *self._actions("/api/terminal/sessions/{id}", "agent.terminal", ".terminal"),
            Operation(
                *("POST", "/api/terminal/sessions", "agent.terminal.open", "Open a terminal."),
                *(self.create, Session),
                body=NewTerminal,
                status=201,
            ),
        )

    def _actions(self, one: str, command: str, suffix: str) -> Sequence[Operation]:
        """What is done with one session; `suffix` keeps the ids of aliases apart."""
        return (
            Operation(
                *("POST", f"{one}/input", f"{command}.send{suffix}", "Send numbered input."),
                *(self.send, InputAccepted),
                also=self._also("send"),
                body=SessionInput,
            ),
            Operation(
                *("POST", f"{one}/interrupt", f"{command}.interrupt{suffix}", "Interrupt what is at work."),
                *(self.interrupt, SessionView),
                also=self._also("interrupt"),
            ),
            Operation(
                *("POST", f"{one}/resize", f"{command}.resize{suffix}", "Tell a terminal's size."),
                *(self.resize, SessionView),
                also=self._also("resize"),
                body=WindowSize,
            ),
            Operation(
                *("POST", f"{one}/restart", f"{command}.restart{suffix}", "Restart in a new epoch."),
                *(self.restart, SessionView),
                also=self._also("restart"),
                body=Restart,
                body_required=False,
            ),
            Operation(
                *("POST", f"{one}/activate", f"{command}.activate{suffix}", "Make it the active one of its type."),
                *(self.activate, SessionView),
                also=self._also("activate"),
            ),
            Operation(
                *("POST", f"{one}/close", f"{command}.close{suffix}", "Close a session."),
                *(self.end, SessionView),
                also=self._also("close"),
            ),
        )

    def routes(self) -> Sequence[BaseRoute]:
        async def kernel(websocket: WebSocket) -> None:
            await KernelSocket(websocket, self.gate_for(websocket.scope)).serve()

        events = EventsEndpoint(self.sessions, self.gate_for)
        return (
            checks_callers(Route("/api/sessions/{id}/events", events)),
            checks_callers(Route("/api/terminal/sessions/{id}/output", events)),
            checks_callers(WebSocketRoute("/kernel", kernel)),
        )

    def gate_for(self, scope: Scope) -> SessionGate:
        """Return the sessions as a connection's caller reaches them. A face may say how the caller is read anew."""
        caller = caller_of(scope)
        anew: Callable[[], Awaitable[Caller]] | None = scope.get(ANEW_KEY)
        return self._gate(caller) if anew is None else SessionGate(self.sessions, anew, self._witness)

    @cached_property
    def owners(self) -> SessionGate:
        """The sessions as the owner reaches them from the same process."""
        return self._gate(OWNER)

    def _gate(self, caller: Caller) -> SessionGate:
        async def same() -> Caller:
            return caller

        return SessionGate(self.sessions, same, self._witness)

    def _also(self, action: str) -> Callable[[Mapping[str, str]], Awaitable[tuple[str, ...]]]:
        async def ids(path: Mapping[str, str]) -> tuple[str, ...]:
            return doers_of(await self.sessions.type_of(path["id"]), action)

        return ids

    async def list(self, request: ApiRequest[SessionQuery, None]) -> Page[Session]:
        await self._gate(request.caller).permit(doers_of(request.query.type, "list"))
        return await self.sessions.list(request.query)

    async def create(self, request: ApiRequest[None, NewSession]) -> Session:
        return await self._gate(request.caller).create(request.body)

    async def view(self, request: ApiRequest[None, None]) -> SessionView:
        return await self.sessions.view(request.path["id"])

    async def send(self, request: ApiRequest[None, SessionInput]) -> InputAccepted:
        return await self.sessions.send(request.path["id"], request.body)

    async def interrupt(self, request: ApiRequest[None, None]) -> SessionView:
        return await self.sessions.interrupt(request.path["id"])

    async def resize(self, request: ApiRequest[None, WindowSize]) -> SessionView:
        return await self.sessions.resize(request.path["id"], request.body)

    async def restart(self, request: ApiRequest[None, Restart]) -> SessionView:
        return await self.sessions.restart(request.path["id"], request.body)

    async def activate(self, request: ApiRequest[None, None]) -> SessionView:
        return await self.sessions.activate(request.path["id"])

    async def end(self, request: ApiRequest[None, None]) -> SessionView:
        return await self.sessions.end(request.path["id"])
