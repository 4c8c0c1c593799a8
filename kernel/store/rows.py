"""Ids, moments, names and JSON as they stand in rows."""

import json
import secrets
import time
import unicodedata
from datetime import UTC, datetime
from typing import Any

from nexus.schemas.model import rfc3339


def new_id(prefix: str) -> str:
    """Return a fresh id: the prefix, `_`, and 32 hexadecimal digits of which the first 12 are the time in ms."""
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def now() -> str:
    """Return this moment as it is stored."""
    return rfc3339(datetime.now(UTC))


def name_key(name: str) -> str:
    """Return what names are compared by: two that read alike, letters' case aside, have one key."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def compact_json(value: Any) -> str:
    """Return a JSON value as it is stored: letters as they are, so that a filter finds them."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
