"""Session types as declarations: what each needs, what it can do, over what it may be reached."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from nexus.schemas.errors import ContextMissing, ResourceUnavailable, ValidationError
from nexus.schemas.session import Capabilities, SessionContext, TransportName

Need = Literal["project", "roadmap", "chat", "process", "server", "run", "source"]
"""What a session must be given: an id in its context, or (`source`) a process or an option `file`."""

EVERY_TRANSPORT: tuple[TransportName, ...] = ("websocket", "polling", "local")


@dataclass(frozen=True, slots=True)
class SessionType:
    """One type of session. `metadata` names what its session object tells beside the common fields.

    `renewed` says that a session that has expired may be made again as it was. `idle_seconds` closes a session that
    nobody reads or writes to; None leaves that to its driver.
    """

    name: str
    capabilities: Capabilities
    needs: tuple[Need, ...] = ()
    transports: tuple[TransportName, ...] = EVERY_TRANSPORT
    metadata: tuple[str, ...] = ()
    renewed: bool = False
    idle_seconds: float | None = None

    def check(self, context: SessionContext, options: dict[str, Any], transport: TransportName) -> None:
        """Raise ContextMissing or ValidationError unless the session has what its type needs."""
        for need in self.needs:
            if need == "source":
                if context.process_id is None and not options.get("file"):
                    raise ContextMissing(needs="process or a file")
            elif getattr(context, f"{need}_id") is None:
                raise ContextMissing(needs=need)
        reachable = {*self.transports, *(("hybrid",) if {"websocket", "polling"} <= {*self.transports} else ())}
        if transport not in reachable:
            raise ValidationError.because(
                f"A session of type {self.name} cannot be reached by {transport}.",
                field="transport",
                expected=sorted(reachable),
            )

    def require(self, capability: str, session_id: str) -> None:
        """Raise ResourceUnavailable unless sessions of this type can do it."""
        if not getattr(self.capabilities, capability):
            raise ResourceUnavailable.because(
                f"A session of type {self.name} cannot {capability}.", session_id=session_id, capability=capability
            )


def _can(*names: str) -> Capabilities:
    return Capabilities(**dict.fromkeys(names, True))


BUILT_IN: tuple[SessionType, ...] = (
    SessionType(
        "terminal",
        _can("send", "receive", "interrupt", "resize", "close", "restart", "stream"),
        needs=("project",),
        metadata=("cwd", "shell"),
    ),
    SessionType(
        "ai-chat",
        _can("send", "receive", "interrupt", "close", "stream"),
        metadata=("backend", "workspacePath", "streamingMode"),
        renewed=True,
    ),
    SessionType(
        "meta-chat",
        _can("receive", "close", "stream"),
        needs=("roadmap",),
        metadata=("roadmapId",),
        renewed=True,
        idle_seconds=600,
    ),
    SessionType(
        "debug-stream",
        _can("receive", "close", "stream"),
        needs=("source",),
        metadata=("source",),
        renewed=True,
        idle_seconds=600,
    ),
    SessionType(
        "network-stream",
        _can("receive", "close", "stream"),
        metadata=("source",),
        renewed=True,
        idle_seconds=600,
    ),
    SessionType(
        "agent-run",
        _can("send", "receive", "interrupt", "close", "stream"),
        needs=("run",),
        metadata=("role", "model"),
    ),
    SessionType(
        "pipeline-run",
        _can("receive", "interrupt", "close", "stream"),
        needs=("run",),
        metadata=("definition",),
    ),
)


@dataclass(slots=True)
class SessionTypes:
    """The types that are known: the built-in ones, and what plugins add."""

    known: dict[str, SessionType] = field(default_factory=lambda: {each.name: each for each in BUILT_IN})
    more: Callable[[str], SessionType | None] = field(default=lambda _name: None)
    """Finds a type that is not among them: one of a plugin."""

    def add(self, session_type: SessionType) -> None:
        """Add a type. Raises ValueError when its name is taken."""
        if session_type.name in self.known:
            raise ValueError(f"there is a session type {session_type.name!r} already")
        self.known[session_type.name] = session_type

    def get(self, name: str) -> SessionType:
        """Return a type. Raises ValidationError with the names that there are."""
        found = self.known.get(name) or self.more(name)
        if found is None:
            raise ValidationError.because(
                f"There is no session type {name!r}.", field="type", expected=sorted(self.known)
            )
        return found

    def __iter__(self) -> Iterator[SessionType]:
        return iter(self.known.values())
