"""Builds the index of the built-in commands: `python -m nexus.registry.build`.

The index is committed: a test holds it equal to the handlers, and the schema of the whole tree is compared through it.
"""

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import nexus.handlers
from nexus.registry.flags import GLOBAL_FLAGS
from nexus.registry.index import BUILT_IN_INDEX, write_index
from nexus.registry.registry import HandlerRegistry, RegistrationRefused
from nexus.registry.specification import is_change_told
from nexus.schemas.command import CommandHandler, CommandPath

_SESSION_ACTIONS = ("list", "view", "attach", "send", "interrupt", "resize", "restart", "close", "events")
_DATASET_ACTIONS = ("list", "view", "push", "pull", "update", "verify", "delete")
_ARTIFACT_ACTIONS = ("list", "view", "push", "download", "update", "verify", "delete")
_HABITS = {"ls": "list", "info": "view", "rm": "delete"}

ALIASES: dict[str, str] = {
    **{f"config {action}": f"settings config {action}" for action in ("view", "get", "set", "unset")},
    **{f"session {action}": f"session live {action}" for action in _SESSION_ACTIONS},
    "session get": "session live view",
    **{f"dataset {action}": f"data dataset {action}" for action in _DATASET_ACTIONS},
    **{f"dataset {habit}": f"data dataset {action}" for habit, action in _HABITS.items()},
    **{f"artifact {action}": f"data artifact {action}" for action in _ARTIFACT_ACTIONS},
    **{f"artifact {habit}": f"data artifact {action}" for habit, action in _HABITS.items()},
    **{f"data dataset {habit}": f"data dataset {action}" for habit, action in _HABITS.items()},
    **{f"data artifact {habit}": f"data artifact {action}" for habit, action in _HABITS.items()},
    "agent terminal session": "agent terminal open",
    "pipeline ls": "pipeline definition list",
    "pipeline definition ls": "pipeline definition list",
    "pipeline run": "pipeline run start",
    "pipeline status": "pipeline run status",
    "pipeline history": "pipeline run history",
    "pipeline run view": "pipeline run status",
    "pipeline run list": "pipeline run history",
    "pipeline run ls": "pipeline run history",
    "pipeline step ls": "pipeline step list",
    "login": "settings auth login",
    "logout": "settings auth logout",
}
"""Other names for canonical paths: the habits that people have."""

_SUMMARY_OF_ROOT = "One command line for everything you work on."


def handler_modules() -> Iterator[ModuleType]:
    """Import and yield every module below `nexus.handlers`."""
    for found in pkgutil.walk_packages(nexus.handlers.__path__, "nexus.handlers."):
        yield import_module(found.name)


def handlers_in(module: ModuleType) -> Iterator[type[CommandHandler[Any, Any]]]:
    """Yield the handler classes that a module defines, in the order of their definition."""
    for value in vars(module).values():
        is_own = inspect.isclass(value) and value.__module__ == module.__name__
        if is_own and issubclass(value, CommandHandler) and "path" in vars(value):
            yield value


def _first_line(module: ModuleType) -> str:
    return inspect.cleandoc(module.__doc__ or "").partition("\n")[0]


def _describe_groups(registry: HandlerRegistry, path: CommandPath, module: ModuleType) -> None:
    if len(path) < 2:
        return
    if len(path) == 2:
        registry.describe_group(path[:1], _first_line(module))
        return
    registry.describe_group(path[:2], _first_line(module))
    package = import_module(module.__name__.rpartition(".")[0])
    registry.describe_group(path[:1], _first_line(package))


def refuse_silent(handler: type[CommandHandler[Any, Any]]) -> None:
    """Raise `RegistrationRefused` for a command that changes something and does not say in its result what it did."""
    said = {"change", "changed", "deleted"} & handler.result.model_fields.keys()
    if is_change_told(handler) and handler.change is None and not said:
        raise RegistrationRefused(
            f"{' '.join(handler.path)} changes something and does not say what it did: "
            f"set change = 'created', 'updated' or 'deleted' on {handler.__name__}"
        )


def built_in_registry() -> HandlerRegistry:
    """Return a registry that holds every handler of this package."""
    registry = HandlerRegistry(GLOBAL_FLAGS)
    registry.describe_group((), _SUMMARY_OF_ROOT)
    for module in handler_modules():
        for handler in handlers_in(module):
            refuse_silent(handler)
            _describe_groups(registry, handler.path, module)
            if len(handler.path) == 3:
                registry.register(*handler.path, handler=handler)
            else:
                registry.register_path(handler.path, handler)
    for name, target in ALIASES.items():
        registry.alias(tuple(name.split()), tuple(target.split()))
    return registry


def build() -> None:
    """Write the index of the built-in commands beside this module."""
    write_index(built_in_registry().nodes(), BUILT_IN_INDEX)


if __name__ == "__main__":
    build()
