"""Faults of ours: the traceback goes to a log file, the caller gets an error that names it."""

import json
import traceback
from datetime import UTC, datetime
from pathlib import Path

from nexus.schemas.errors import ExecutionError
from nexus.schemas.model import rfc3339

_MOST_BYTES = 5 * 1024 * 1024


def execution_error(fault: BaseException, logs: Path, request_id: str, command: str) -> ExecutionError:
    """Write the fault to the log, one JSON object a line, and return it as an error with the request id."""
    reason = f"{type(fault).__name__}: {fault}"[:500]
    log = logs / "errors.log"
    record = {
        "timestamp": rfc3339(datetime.now(UTC)),
        "level": "error",
        "requestId": request_id,
        "command": command,
        "message": reason,
        "traceback": "".join(traceback.format_exception(fault)),
    }
    try:
        logs.mkdir(parents=True, exist_ok=True, mode=0o700)
        if log.exists() and log.stat().st_size > _MOST_BYTES:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as file:
            file.write(json.dumps(record).encode() + b"\n")
    except OSError as error:
        return ExecutionError(
            reason=reason, requestId=request_id, logError=error.strerror, hint="nexus debug kernel status"
        )
    return ExecutionError(reason=reason, requestId=request_id, log=str(log), hint=f"grep {request_id} '{log}'")
