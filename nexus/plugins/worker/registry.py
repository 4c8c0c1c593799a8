"""A plugin's own registrations: the handlers and functions behind what its manifest declares."""

from collections.abc import Callable
from typing import Any

from nexus.plugins.worker.context import ExecutionContext

Function = Callable[..., Any]
Path = tuple[str, str, str]


class CommandHandler:
    """One command as a class. The manifest has its arguments and its result; this does the work."""

    def execute(self, context: ExecutionContext) -> Any:
        """Do the command's work; return its result, or yield the events of its stream. May be `async`."""
        raise NotImplementedError

    def validate(self, args: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments as `execute` is to have them. Raise `Invalid` for what the manifest cannot say."""
        return args

    def required_context(self) -> tuple[str, ...]:
        """Return the selections that it needs; the manifest has told them already."""
        return ()


Handler = CommandHandler | Function


class HandlerRegistry:
    """Handlers by path. `declared` are the paths of the manifest: nothing else can be registered."""

    def __init__(self, declared: set[Path]) -> None:
        self._declared = declared
        self._handlers: dict[Path, Handler] = {}

    def register(self, namespace: str, resource: str, action: str, handler: Handler) -> None:
        """Register a handler. Raises `ValueError` for a path that the manifest has not, or that is taken."""
        path = (namespace, resource, action)
        if path not in self._declared:
            raise ValueError(f"{' '.join(path)} is registered, and the manifest does not declare it")
        if path in self._handlers:
            raise ValueError(f"{' '.join(path)} is registered twice")
        self._handlers[path] = handler

    def get_handler(self, path: Path) -> Handler | None:
        """Return the handler of a path, or None."""
        return self._handlers.get(tuple(path))  # type: ignore[arg-type]  # a list from JSON is a path too

    def list_handlers(self, namespace: str | None = None) -> list[str]:
        """Return the registered paths, in order."""
        return [" ".join(path) for path in sorted(self._handlers) if namespace in (None, path[0])]


class NexusPlugin:
    """A plugin as an object: the manifest's `entry`. The manifest answers for it until one of its commands runs.

    Its functions are named by decorators; a subclass may register handlers itself in `initialize`.
    """

    name = ""
    version = ""

    def __init__(self) -> None:
        self._commands: dict[Path, Handler] = {}

    def command(self, path: str) -> Callable[[Function], Function]:
        """Name the function behind a command: `@plugin.command("weather city view")`."""

        def named(function: Function) -> Function:
            words = path.split()
            if len(words) != 3:
                raise ValueError(f"{path!r} is no NAMESPACE RESOURCE ACTION")
            self._commands[words[0], words[1], words[2]] = function
            return function

        return named

    def initialize(self, registry: HandlerRegistry, runtime: Any) -> None:  # noqa: ARG002 -- subclasses use it
        """Register what the decorators named. Called once in a worker, before its first command.

        `runtime` has `data`, the plugin's own folder, and `version`, that of nexus.
        """
        for path, handler in self._commands.items():
            registry.register(*path, handler)

    def get_namespaces(self) -> list[str]:
        """Return the namespaces of the registered commands."""
        return sorted({path[0] for path in self._commands})
