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


class AuditBroken(Conflict):
    """The audit chain is not as it was written; `seq` is the first record that is not, `fault` how."""

    code = "AUDIT_BROKEN"
    sentence = "The audit chain is broken at record {seq}: it was {fault}."
    hint = "nexus settings audit list"


class FolderOwned(Conflict):
    """Another kernel owns the data folder. `pid` and `socket` tell who, null where it has not said or has none."""

    code = "FOLDER_OWNED"
    retryable = True
    sentence = "The data folder {path} is in use by process {pid}."


class UploadExpired(Conflict):
    """An upload that was begun is not kept any more: its time is over, or its bytes were found damaged."""

    code = "UPLOAD_EXPIRED"
    retryable = True
    sentence = "The upload {upload_id} is not kept any more."
    hint = "nexus help data dataset push"


class UploadIncomplete(Conflict):
    """An upload was to be completed and parts of it are missing; `missing` names the first of them."""

    code = "UPLOAD_INCOMPLETE"
    retryable = True
    sentence = "{count} parts of the upload {upload_id} are missing."
    hint = "nexus help data dataset push"


class FileChanged(Conflict):
    """A file changed while it was read."""

    code = "FILE_CHANGED"
    retryable = True
    sentence = "{path} changed while it was read."
    hint = "nexus help data dataset push"


class TransferBusy(Conflict):
    """Another command moves the same bytes to the same place."""

    code = "TRANSFER_BUSY"
    retryable = True
    sentence = "Another command is writing to {path} now."
    hint = "nexus help data dataset pull"


class PluginConflict(Conflict):
    """A plugin claims what another or nexus has, or needs what is not there; both are named."""

    code = "PLUGIN_CONFLICT"
    hint = "nexus settings plugin list"


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
