"""What the functions of a plugin are given, and what they may answer with."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class Values(dict[str, Any]):
    """Values by name, as keys and as attributes: `args["city"]` is `args.city`."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Asks(Protocol):
    """The way to the process that started the worker."""

    def ask(self, message: dict[str, Any]) -> Any:
        """Have something done there and return its answer. Raises `PluginFailure`, `RightMissing`."""
        ...

    def tell(self, message: dict[str, Any]) -> None:
        """Say something."""
        ...

    def inputs(self) -> Iterator[str]:
        """Yield what a session is sent."""
        ...


class Api:
    """The kernel's API, with the rights `api:read` and `api:write`. Paths are those of its OpenAPI document."""

    def __init__(self, way: Asks) -> None:
        self._way = way

    def get(self, path: str, **query: Any) -> Any:
        """Read."""
        return self._way.ask({"is": "api", "method": "GET", "path": path, "query": query})

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Create, or do."""
        return self._way.ask({"is": "api", "method": "POST", "path": path, "body": dict(body or {})})

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """Change what the body names."""
        return self._way.ask({"is": "api", "method": "PATCH", "path": path, "body": dict(body)})

    def delete(self, path: str) -> Any:
        """Delete."""
        return self._way.ask({"is": "api", "method": "DELETE", "path": path})


class ExecutionContext:
    """What a command is given.

    `args` are its arguments by name, validated; `flags` the global flags; `context_state` the selections; `session` the
    session that it works in, if it wants one; `config` the settings under `plugins.NAME` of the caller; `cwd` the
    caller's folder, `data` the plugin's own, `environment` the variables that it was granted. `token` is always None:
    a plugin calls the kernel by `api`, and is never given a token.
    """

    token: None = None

    def __init__(self, told: Mapping[str, Any], way: Asks) -> None:
        self.args = Values(told.get("args", {}))
        self.flags = Values(told.get("flags", {}))
        self.context_state = Values(told.get("context", {}))
        self.session = Values(told["session"]) if told.get("session") else None
        self.config = Values(told.get("config", {}))
        self.request_id = str(told.get("requestId", ""))
        self.cwd = str(told.get("cwd", ""))
        self.data = str(told.get("data", ""))
        self.environment = dict(told.get("environment", {}))
        self.api = Api(way)
        self._way = way

    def inputs(self) -> Iterator[str]:
        """Yield what a session of a type of this plugin is sent, as it comes."""
        return self._way.inputs()

    def log(self, message: str, level: str = "info") -> None:
        """Say something on the caller's stderr."""
        self._way.tell({"is": "log", "level": level, "message": str(message)[:10_000]})


@dataclass(frozen=True)
class Outcome:
    """A result with a sentence for people, and what is to be selected or cleared in the caller's context.

    `select` maps project, roadmap or chat to `{"id": …, "name": …}`.
    """

    data: Mapping[str, Any]
    message: str | None = None
    select: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    clear: tuple[str, ...] = ()


@dataclass(frozen=True)
class Event:
    """One event of a stream; a plain mapping that is yielded is a `data` event."""

    payload: Mapping[str, Any]
    event: str = "data"
