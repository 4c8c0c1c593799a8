"""The one door through which commands are registered, and from which their handlers are taken."""

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from nexus.registry.index import CommandIndex
from nexus.registry.specification import specification_of
from nexus.schemas.command import (
    AliasSpec,
    ChildSpec,
    CommandHandler,
    CommandPath,
    CommandSpec,
    Effect,
    GroupSpec,
    Node,
)

Handler = CommandHandler[Any, Any]


class RegistrationRefused(ValueError):
    """A command, alias or flag claims what another has; both are named."""


class HandlerRegistry:
    """Commands registered by class, in this process: what the index is built from, and what plugins call.

    `global_flags` are the flags that no command may claim for itself.
    """

    def __init__(self, global_flags: Iterable[str] = ()) -> None:
        self._global_flags = frozenset(global_flags)
        self._handlers: dict[CommandPath, type[Handler]] = {}
        self._specs: dict[CommandPath, CommandSpec] = {}
        self._summaries: dict[CommandPath, str] = {}
        self._aliases: dict[CommandPath, CommandPath] = {}

    def register(self, namespace: str, resource: str, action: str, handler: type[Handler]) -> None:
        """Register a handler under its path. Raises `RegistrationRefused` on any clash."""
        self.register_path((namespace, resource, action), handler)

    def register_path(self, path: CommandPath, handler: type[Handler]) -> None:
        """Register a handler, a built-in of one word among them. Raises `RegistrationRefused` on any clash."""
        if path in self._handlers:
            raise RegistrationRefused(f"{' '.join(path)} is both {self._handlers[path]!r} and {handler!r}")
        if path != handler.path:
            raise RegistrationRefused(f"{handler!r} says it is {' '.join(handler.path)}, not {' '.join(path)}")
        spec = specification_of(handler)
        self._refuse_clashing_flags(spec)
        self._handlers[path] = handler
        self._specs[path] = spec

    def _refuse_clashing_flags(self, spec: CommandSpec) -> None:
        seen: set[str] = set()
        for option in spec.options:
            for flag in option.flags:
                if flag in self._global_flags:
                    raise RegistrationRefused(f"{' '.join(spec.path)} claims the global flag {flag}")
                if flag in seen:
                    raise RegistrationRefused(f"{' '.join(spec.path)} claims {flag} twice")
                seen.add(flag)

    def describe_group(self, path: CommandPath, summary: str) -> None:
        """Say what a namespace or a resource is for."""
        self._summaries.setdefault(path, summary)

    def alias(self, path: CommandPath, target: CommandPath) -> None:
        """Name one canonical path another way. Raises `RegistrationRefused` when the name is taken.

        A group's name may be that of a command in it, one that destroys nothing: what is none of its children is the
        command's arguments then.
        """
        if path in self._handlers or path in self._aliases:
            raise RegistrationRefused(f"the alias {' '.join(path)} is taken already")
        self._aliases[path] = target

    def get_handler(self, path: CommandPath) -> Handler | None:
        """Return a new handler of this path, or None."""
        handler = self._handlers.get(path)
        return handler() if handler else None

    def list_handlers(self, namespace: str | None = None) -> list[CommandSpec]:
        """Return what is registered, in order of the paths."""
        specs = sorted(self._specs.values(), key=lambda spec: spec.path)
        return [spec for spec in specs if namespace is None or spec.path[0] == namespace]

    def nodes(self) -> list[Node]:
        """Return the whole tree: commands, the groups above them, aliases. Raises `RegistrationRefused`."""
        children: dict[CommandPath, dict[str, ChildSpec]] = {(): {}}
        for path, spec in self._specs.items():
            children[path[:-1]] = children.get(path[:-1], {})
            children[path[:-1]][path[-1]] = ChildSpec(name=path[-1], kind="command", summary=spec.summary)
            for depth in range(len(path) - 1, 0, -1):
                group, above = path[:depth], path[: depth - 1]
                summary = self._summaries.get(group, "")
                children.setdefault(above, {})[group[-1]] = ChildSpec(name=group[-1], kind="group", summary=summary)
        nodes: list[Node] = [*self._specs.values(), *self._alias_nodes(children)]
        for path, named in children.items():
            if path in self._specs:
                raise RegistrationRefused(f"{' '.join(path)} is a command and a group")
            ordered = tuple(named[name] for name in sorted(named))
            alias = self._aliases.get(path, ())
            nodes.append(GroupSpec(path=path, summary=self._summaries.get(path, ""), children=ordered, alias=alias))
        return nodes

    def _alias_nodes(self, children: dict[CommandPath, dict[str, ChildSpec]]) -> list[AliasSpec]:
        of_aliases: set[CommandPath] = set()
        for path, target in self._aliases.items():
            if target not in self._specs:
                raise RegistrationRefused(f"the alias {' '.join(path)} names {' '.join(target)}, which is no command")
            destroys = Effect.DESTRUCTIVE in self._specs[target].effects
            if path in children and (target[:-1] != path or destroys):
                raise RegistrationRefused(f"the alias {' '.join(path)} would hide a group")
            # A level that only aliases stand in resolves and shows them, and stays out of the levels above it.
            for depth in range(1, len(path)):
                if path[:depth] not in children:
                    of_aliases.add(path[:depth])
                    self._summaries.setdefault(path[:depth], "Other names of commands.")
                    children[path[:depth]] = {}
            if path[:-1] in of_aliases:
                summary = self._specs[target].summary
                children[path[:-1]][path[-1]] = ChildSpec(name=path[-1], kind="command", summary=summary)
        alone = {path: target for path, target in self._aliases.items() if path not in children}
        return [AliasSpec(path=path, target=target) for path, target in alone.items()]


PLUGIN = "plugin"
"""What a handler's module is in the index where it is a plugin's: its name is the plugin's then."""


class IndexedHandlers:
    """Handlers by path over an index: nothing is imported before it is run. `of_plugin` gives those of plugins."""

    def __init__(self, index: CommandIndex, of_plugin: Callable[[CommandSpec], Handler] | None = None) -> None:
        self.index = index
        self._of_plugin = of_plugin
        self._handlers: dict[CommandPath, Handler] = {}

    def get_handler(self, path: CommandPath) -> Handler | None:
        """Import and return the handler of this path, or None. Raises `ImportError` when it cannot be imported."""
        if path not in self._handlers:
            node = self.index.node(path)
            if not isinstance(node, CommandSpec):
                return None
            module, _, name = node.handler.partition(":")
            if module == PLUGIN and self._of_plugin is not None:
                self._handlers[path] = self._of_plugin(node)
                return self._handlers[path]
            self._handlers[path] = getattr(import_module(module), name)()
        return self._handlers[path]

    def list_handlers(self, namespace: str | None = None) -> list[CommandSpec]:
        """Return what is registered, in order of the paths."""
        return self.index.commands((namespace,) if namespace else ())
