"""Canonical event lines: each event is written once, here, and copied as bytes ever after.

A line is what `Event` serializes to, without spaces, in UTF-8, ended by a newline; a test proves that for any text. The
frequent payloads are written from templates, because a model costs ten times as much as the line may.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from json.encoder import encode_basestring
from typing import Any, Literal

from nexus.schemas.errors import NexusError
from nexus.schemas.event import EventName

ContentType = Literal["raw", "ansi", "text"]
Level = Literal["trace", "debug", "info", "warning", "error", "critical"]
SessionState = Literal["connecting", "connected", "responding", "idle", "closed"]


def terminal_output(content: str, content_type: ContentType = "raw") -> str:
    """Write the payload of what a terminal printed."""
    return f'{{"type":"terminal-output","content":{encode_basestring(content)},"contentType":"{content_type}"}}'


def log(message: str, level: Level | None, source: str) -> str:
    """Write the payload of one line of a log; `level` is None where the line tells none."""
    told = f'"{level}"' if level is not None else "null"
    quoted = encode_basestring(message)
    return f'{{"type":"log","level":{told},"message":{quoted},"source":{encode_basestring(source)}}}'


def ai_token(content: str, message_id: str, *, final: bool = False) -> str:
    """Write the payload of a piece of a model's answer; `final` marks the last one of its message."""
    quoted, is_final = encode_basestring(content), "true" if final else "false"
    return f'{{"type":"ai-token","content":{quoted},"messageId":{encode_basestring(message_id)},"isFinal":{is_final}}}'


def status(state: SessionState, message: str) -> str:
    """Write the payload of a status event."""
    return f'{{"status":"{state}","message":{encode_basestring(message)}}}'


def close(reason: str, exit_code: int | None, last: int) -> str:
    """Write the payload of a close. `last` is the newest seq of the stream, that of the close itself in the log."""
    code = "null" if exit_code is None else str(exit_code)
    return f'{{"reason":{encode_basestring(reason)},"exitCode":{code},"lastSeq":{last}}}'


def interrupt(reason: str) -> str:
    """Write the payload of an interrupt."""
    return f'{{"reason":{encode_basestring(reason)}}}'


def failure(error: NexusError) -> str:
    """Write the payload of an error event: the same object as in an envelope."""
    return payload(error.entry().model_dump(mode="json", by_alias=True))


def payload(value: Mapping[str, Any]) -> str:
    """Write any other payload. Raises ValueError for a number that JSON does not have, TypeError for an object."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def utf8(text: str) -> bytes:
    """Encode text; a surrogate that stands alone, which no UTF-8 has, becomes U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def own_line(event: EventName, session_id: str, payload: str, moment: int) -> bytes:
    """Write a line that belongs to one reader alone: it has no number and is in no log."""
    session = encode_basestring(session_id)
    return utf8(f'{{"event":"{event}","timestamp":"{stamp(moment)}","sessionId":{session},"payload":{payload}}}\n')


def stamp(moment: int) -> str:
    """Write a moment, in nanoseconds since 1970, as RFC 3339 in UTC with microseconds."""
    seconds, rest = divmod(moment // 1000, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06d}Z"


def moment_of(written: str) -> int:
    """Read what `stamp` writes."""
    since = datetime.fromisoformat(written) - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds) * 1000


class LineWriter:
    """Numbers and writes the events of one session's epoch. `seq` and `moment` are those of the last line written."""

    def __init__(self, session_id: str, *, seq: int = 0, moment: int = 0) -> None:
        self.seq = seq
        self.moment = moment
        self._stamp = stamp(moment)
        self._session = encode_basestring(session_id)

    def write(self, event: EventName, payloads: Iterable[str], now: int) -> bytes:
        """Write a line for each payload, all of one moment; `now` is in nanoseconds. Time never goes back."""
        if now > self.moment:
            self.moment = now
            self._stamp = stamp(now)
        head = f'{{"event":"{event}","timestamp":"{self._stamp}","sessionId":{self._session},"seq":'
        first = self.seq + 1
        lines = [f'{head}{seq},"payload":{payload}}}\n' for seq, payload in enumerate(payloads, first)]
        self.seq += len(lines)
        return utf8("".join(lines))
