"""What a document, and a run of it, want of who asks, beside the operation itself."""

from nexus.kernel.caller import Caller, require, require_shell
from nexus.kernel.pipelines.plan import secrets_of
from nexus.kernel.sessions.gate import USE_SECRETS
from nexus.kernel.settings import StepSettings
from nexus.schemas.pipeline import PipelineDocument

READ_FILES = "agent.file.read"
PULL = "data.dataset.pull"


def require_document(caller: Caller, document: PipelineDocument, steps: StepSettings) -> None:
    """Return when the caller may have steps that do what the document says. Raises `PermissionDenied`.

    A step prints what it is given, so that whoever writes it reads that: secrets, and the files of a project. One that
    reaches others, or that no sandbox holds, does what its writer could do by a shell.
    """
    if secrets_of(document):
        require(caller, USE_SECRETS)
    if document.project is not None:
        require(caller, READ_FILES)
    if any(step.network for step in document.steps.values()):
        require_shell(caller, "the network")
    require_runs(caller, steps)


def require_runs(caller: Caller, steps: StepSettings, *, datasets: bool = False) -> None:
    """Return when the caller may have steps run, over `datasets` if there are any. Raises `PermissionDenied`."""
    if datasets:
        require(caller, PULL)
    if steps.sandbox == "none":
        require_shell(caller, "a program outside of a sandbox")
