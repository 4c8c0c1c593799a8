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
    from nexus.standalone.commands import Commands, define_commands
    from nexus.standalone.mcp import register_mcp
    from nexus.standalone.run import run_cli

__all__ = [
    "Api",
    "CommandHandler",
    "Commands",
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
    "define_commands",
    "register_mcp",
    "run_cli",
]

_LATE = {
    "Commands": "nexus.standalone.commands",
    "Trial": "nexus.plugins.trial",
    "define_commands": "nexus.standalone.commands",
    "register_mcp": "nexus.standalone.mcp",
    "run_cli": "nexus.standalone.run",
}
"""What a plugin's commands do not need: imported when it is asked for."""


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'nexus.plugin' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LATE[name]), name)
