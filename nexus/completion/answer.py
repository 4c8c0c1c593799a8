"""An answer as its shell reads it: the kind of it on the first line, a candidate on each of the others."""

import re

from nexus.completion.complete import Candidate, Reply
from nexus.completion.words import Typed
from nexus.schemas.front import Shell

_UNSAFE = re.compile(r"([^\w@%+=:,./-])")
_BREAKS = "=:@"
"""Where readline ends a word besides blanks and quotes, as bash has it: only what is behind them is replaced."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST_ABOUT = 80


def written(reply: Reply, typed: Typed, shell: Shell) -> bytes:
    """Write an answer. Candidates that hold a control character are left out: they would be read as several."""
    candidates = [found for found in reply.candidates if not _CONTROL.search(found.value)]
    lines: list[str] = [reply.kind]
    if shell == "bash":
        done = max(typed.current.rfind(char) + 1 for char in _BREAKS) if not typed.quote else 0
        lines += [_for_bash(found.value[done:], typed.quote) for found in candidates]
    else:
        lines += [f"{found.value}\t{_about(found)}" if found.about else found.value for found in candidates]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def _for_bash(value: str, quote: str) -> str:
    return value if quote else _UNSAFE.sub(r"\\\1", value)


def _about(candidate: Candidate) -> str:
    text = " ".join(_CONTROL.sub(" ", candidate.about).split())
    return text if len(text) <= _LONGEST_ABOUT else text[: _LONGEST_ABOUT - 1] + "…"
