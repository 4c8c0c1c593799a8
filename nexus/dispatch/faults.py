"""Faults of ours: the traceback goes to a log file, the caller gets an error that names it."""

import traceback
from pathlib import Path

from nexus.output.fault_log import FILE, append_fault
from nexus.schemas.errors import ExecutionError


def execution_error(fault: BaseException, logs: Path, request_id: str, command: str) -> ExecutionError:
    """Write the fault to the log, one JSON object a line, and return it as an error with the request id."""
    reason = f"{type(fault).__name__}: {fault}"[:500]
    log = logs / FILE
    record = {
        "requestId": request_id,
        "command": command,
        "message": reason,
        "traceback": "".join(traceback.format_exception(fault)),
    }
    try:
        append_fault(log, record)
    except OSError as error:
        return ExecutionError(
            reason=reason, requestId=request_id, logError=error.strerror, hint="nexus debug kernel status"
        )
    return ExecutionError(reason=reason, requestId=request_id, log=str(log), hint=f"grep {request_id} '{log}'")
