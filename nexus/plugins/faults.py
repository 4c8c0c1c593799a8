"""What went wrong in a plugin, as an error that its command's caller is told."""

import re
from pathlib import Path
from typing import Any, get_args

from nexus.output.fault_log import write_fault
from nexus.plugins.worker.channel import Message
from nexus.schemas.envelope import ErrorEntry
from nexus.schemas.errors import ErrorType, NexusError, PluginError, PluginRightMissing, ReportedError

_CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
_EXIT_STATUS = {
    "parse": 2, "validation": 2, "auth": 3, "permission": 3, "not_found": 4, "backend": 5, "timeout": 5, "conflict": 6,
    "context": 7, "session": 8,
}  # fmt: skip
_LONGEST = 2000


def error_of(told: Message, plugin: str, logs: Path, request_id: str, command: str) -> NexusError:
    """Return what a worker's error message means; a traceback goes to the log of faults."""
    failure = told.get("failure")
    if isinstance(failure, dict):
        return failure_error(failure, plugin)
    message = str(told.get("message", "it said nothing"))[:_LONGEST]
    log = None
    if "trace" in told:
        record = {"requestId": request_id, "command": command, "plugin": plugin, "message": message}
        log = write_fault(logs, {**record, "traceback": str(told["trace"])})
    if told.get("right"):
        right = str(told["right"])[:_LONGEST]
        return PluginRightMissing.because(
            f"The plugin {plugin} has no right to {str(told.get('did'))[:_LONGEST]}: "
            f"its manifest must ask for {right!r}, and you must grant it.",
            plugin=plugin,
            right=right,
            hint=f"nexus settings plugin view --name {plugin}",
        )
    return PluginError.because(
        f"The plugin {plugin} failed: {message.rstrip('.')}.",
        plugin=plugin,
        requestId=request_id,
        **({"log": log, "hint": f"grep {request_id} '{log}'"} if log else {}),
    )


def failure_error(failure: dict[str, Any], plugin: str | None) -> NexusError:
    """Return the error that code of others wants to be told, as far as it is one; `plugin` is whose it is."""
    kind = failure.get("type")
    kind = kind if kind in get_args(ErrorType) and kind not in ("internal", "interrupted") else "plugin"
    code = str(failure.get("code"))
    given = failure.get("details")
    details = {
        **(given if isinstance(given, dict) else {}),
        "hint": str(failure.get("hint") or _hint(plugin))[:_LONGEST],
        "retryable": False,
        "exitCode": _EXIT_STATUS.get(str(kind), 1),
        **({"plugin": plugin} if plugin else {}),
    }
    entry = ErrorEntry.model_validate(
        {
            "type": kind,
            "code": code if _CODE.fullmatch(code) and len(code) <= 100 else PluginError.code,
            "message": str(failure.get("message"))[:_LONGEST],
            "details": details,
        }
    )
    return ReportedError(entry)


def _hint(plugin: str | None) -> str:
    return f"nexus settings plugin view --name {plugin}" if plugin else "nexus help"
