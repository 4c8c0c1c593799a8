"""Log records as stderr carries them: one JSON object a line."""

import json
from datetime import UTC, datetime

from nexus.schemas.model import rfc3339


def log_line(level: str, message: str, request_id: str) -> bytes:
    """Return one record, ended by a newline."""
    record = {"timestamp": rfc3339(datetime.now(UTC)), "level": level, "message": message, "requestId": request_id}
    return json.dumps(record).encode() + b"\n"
