"""The one import for plugins: `from nexus.plugin import NexusPlugin`. All of it works without the rest of nexus loaded.

A plugin is a folder with a `plugin.yml` and the code that it names; docs/how-to/plugins.md tells how to write one.
`define_commands`, `run_cli` and `register_mcp` make one file a command line and an MCP tool by itself.
"""

from typing import TYPE_CHECKING, Any

from nexus.plugins.worker.context import Api, Event, ExecutionContext, Outcome, Values
from nexus.plugins.worker.failures import Conflict, Invalid, NotFound, PluginFailure, RightMissing, Unavailable
from nexus.plugins.worker.registry import CommandHandler, HandlerRegistry, NexusPlugin

if TYPE_CHECKING:
    from nexus.plugins.trial import Trial

__all__ = [
    "Api",
    "CommandHandler",
    "Conflict",
    "Event",
    "ExecutionContext",
    "HandlerRegistry",
    "Invalid",
    "NexusPlugin",
    "NotFound",
    "Outcome",
    "PluginFailure",
    "RightMissing",
    "Trial",
    "Unavailable",
    "Values",
]

_LATE = {"Trial": "nexus.plugins.trial"}
"""What a plugin's commands do not need: imported when it is asked for."""


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'nexus.plugin' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LATE[name]), name)
