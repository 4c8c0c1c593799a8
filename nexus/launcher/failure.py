"""What the launcher says itself, when no resident can: the same envelope, without the models."""

import json
import posix
import time
from contextlib import suppress

from nexus.launcher.exchange import Unavailable
from nexus.launcher.process import LEAVING, write_all

SIGNALS = {130: ("INTERRUPTED", "Interrupted."), 143: ("TERMINATED", "Terminated.")}
BACKEND_STATUS = 5
CONFLICT_STATUS = 6
INTERNAL_STATUS = 1


def told_signal(number: int, *, printed: bool) -> int:
    """Print the envelope of a command that a signal ended, to stderr if stdout has begun; return its exit status."""
    status = LEAVING[number]
    code, sentence = SIGNALS.get(status, ("HUNG_UP", "The terminal went away."))
    if printed:
        tell(envelope("interrupted", code, sentence, status, ""))
        return status
    return told("interrupted", code, sentence, status)


def told_unavailable(unavailable: Unavailable) -> int:
    """Print the envelope of a command that no resident answered, and return its exit status."""
    if unavailable.code == "VERSION_CONFLICT":
        return told("conflict", unavailable.code, unavailable.reason, CONFLICT_STATUS, unavailable.hint)
    if unavailable.printed:
        # stdout has the beginning of an answer: an envelope behind it would make neither readable.
        tell(envelope("backend", unavailable.code, unavailable.reason, BACKEND_STATUS, ""))
        return BACKEND_STATUS
    hint = unavailable.hint or "NEXUS_RESIDENT=0 runs a command without the resident."
    return told("backend", unavailable.code, unavailable.reason, BACKEND_STATUS, hint)


def told_fault(fault: Exception, *, printed: bool) -> int:
    """Tell of a bug in the launcher: the envelope, on stderr if stdout has begun, and the traceback there too."""
    import traceback

    with suppress(OSError):
        write_all(2, log_line("error", "".join(traceback.format_exception(fault))))
    sentence = f"Nexus failed inside: {type(fault).__name__}: {fault}"
    if printed:
        tell(envelope("internal", "INTERNAL_ERROR", sentence, INTERNAL_STATUS, ""))
        return INTERNAL_STATUS
    return told("internal", "INTERNAL_ERROR", sentence, INTERNAL_STATUS, "nexus doctor")


def told_unwritable(reason: str) -> int:
    """Say on stderr that stdout takes no more, and return the exit status."""
    sentence = f"stdout cannot be written to: {reason}."
    tell(envelope("backend", "OUTPUT_FAILED", sentence, BACKEND_STATUS, "Give it a stdout that takes what it prints."))
    return BACKEND_STATUS


def tell(content: dict[str, object]) -> None:
    """Write an envelope to stderr; where nobody reads it, the exit status still says it."""
    with suppress(OSError):
        write_all(2, json.dumps(content).encode() + b"\n")


def told(kind: str, code: str, sentence: str, status: int, hint: str = "") -> int:
    """Print an error's envelope as every other is printed; return the exit status."""
    content = envelope(kind, code, sentence, status, hint)
    terminal = posix.isatty(1)
    separators = None if terminal else (",", ":")
    written = json.dumps(content, indent=2 if terminal else None, separators=separators, ensure_ascii=False)
    try:
        write_all(1, written.encode("utf-8", "replace") + b"\n")
    except BrokenPipeError:
        return 141
    except OSError as error:
        return told_unwritable(str(error.strerror))
    return status


def internal(reason: str) -> bytes:
    """Return the envelope of a fault that kept the dispatcher from answering."""
    content = envelope("internal", "INTERNAL_ERROR", f"Nexus failed inside: {reason}", INTERNAL_STATUS, "nexus doctor")
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def terminated() -> bytes:
    """Return the envelope of a command that was ended because its resident had to end."""
    content = envelope("interrupted", "TERMINATED", "Terminated.", 143, "")
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def envelope(kind: str, code: str, sentence: str, status: int, hint: str) -> dict[str, object]:
    """Return an error's envelope."""
    details: dict[str, object] = {"retryable": False, "exitCode": status}
    if hint:
        details = {"hint": hint, **details}
    return {
        "status": "error",
        "data": None,
        "message": sentence,
        "requestId": f"req_{posix.urandom(12).hex()}",
        "timestamp": now(),
        "errors": [{"type": kind, "code": code, "message": sentence, "details": details}],
    }


def log_line(level: str, message: str) -> bytes:
    """Return one log record as stderr carries it."""
    return json.dumps({"timestamp": now(), "level": level, "message": message}).encode() + b"\n"


def now() -> str:
    """Return the time as RFC 3339 in UTC with microseconds."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds // 1000:06d}Z"
