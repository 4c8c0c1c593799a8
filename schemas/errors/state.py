"""Errors of what there is: nothing of that name, something in the way, nothing selected."""

from nexus.schemas.errors.error import NexusError


class NotFound(NexusError):
    """It does not exist; `resource` is its kind (project, roadmap), `reference` what was asked for."""

    type = "not_found"
    code = "RESOURCE_NOT_FOUND"
    exit_status = 4
    sentence = "There is no {resource} {reference!r}."
    hint = "nexus help"


class CommandNotFound(NotFound):
    """There is no such command; `suggestions` are the nearest, `available` are all of that level."""

    code = "COMMAND_NOT_FOUND"
    sentence = "There is no command '{given}'."


class Conflict(NexusError):
    """It clashes with what is there: a name that is taken, a file that is another by now."""

    type = "conflict"
    code = "RESOURCE_CONFLICT"
    exit_status = 6
    hint = "nexus doctor"


class VersionConflict(Conflict):
    """Two versions of Nexus claim one data folder, or the data are newer than the code."""

    code = "VERSION_CONFLICT"


class FolderOwned(Conflict):
    """Another kernel owns the data folder. `pid` and `socket` tell who, null where it has not said or has none."""

    code = "FOLDER_OWNED"
    retryable = True
    sentence = "The data folder {path} is in use by process {pid}."


class ContextMissing(NexusError):
    """Something must be selected first; `needs` says what: project, roadmap, chat, session, element."""

    type = "context"
    code = "CONTEXT_MISSING"
    exit_status = 7
    sentence = "This command needs a {needs}, and none is selected."
    hint = "nexus settings context view"


class ContextStale(ContextMissing):
    """What was selected does not exist any more."""

    code = "CONTEXT_STALE"
    sentence = "The selected {needs} {reference!r} does not exist any more."
