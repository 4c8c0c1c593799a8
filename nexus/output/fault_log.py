"""The log of faults: one JSON object a line, bounded, kept in the state folder."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nexus.schemas.model import rfc3339

FILE = "errors.log"
_MOST_BYTES = 5 * 1024 * 1024


def write_fault(logs: Path, record: Mapping[str, Any]) -> str:
    """Append a record and return the log's path. Where the disk refuses, the path is returned all the same."""
    log = logs / FILE
    try:
        append_fault(log, record)
    except OSError:
        return str(log)
    return str(log)


def append_fault(log: Path, record: Mapping[str, Any]) -> None:
    """Append a record; a log that has grown large is set aside first. Raises `OSError`."""
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if log.exists() and log.stat().st_size > _MOST_BYTES:
        log.replace(log.with_suffix(".log.1"))
    whole = {"timestamp": rfc3339(datetime.now(UTC)), "level": "error", **record}
    with log.open("ab") as file:
        file.write(json.dumps(whole).encode() + b"\n")
