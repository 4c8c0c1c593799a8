"""Faults of plugins, and of ours."""

from nexus.schemas.errors.error import NexusError


class PluginError(NexusError):
    """A plugin failed."""

    type = "plugin"
    code = "PLUGIN_ERROR"
    hint = "nexus settings plugin list"


class PluginInvalid(PluginError):
    """A plugin's manifest cannot be used; `path` names it."""

    code = "PLUGIN_INVALID"


class PluginCrashed(PluginError):
    """A plugin's worker process ended before it answered, or sent what cannot be read."""

    code = "PLUGIN_CRASHED"


class InternalError(NexusError):
    """A fault of ours. `log` names the file that holds the traceback."""

    sentence = "Nexus failed inside: {reason}."
    hint = "nexus doctor"


class ExecutionError(InternalError):
    """A command's handler raised what it must not; the traceback is in the log that `log` names."""

    code = "EXECUTION_ERROR"
    sentence = "The command failed inside: {reason}."


class OutputInvalid(InternalError):
    """A command's answer does not fit its own result schema."""

    code = "OUTPUT_INVALID"
    sentence = "The command's answer does not fit its own result schema: {reason}."
