"""What a command gives to the programs that it starts: its own environment, umask and limits."""

from typing import Any

from nexus.schemas.command import ExecutionContext
from nexus.schemas.session import CallerSurroundings

SENT_FAR = ("TERM", "COLORTERM", "LANG", "LANGUAGE", "TZ")
"""What a server's program needs to know of the caller; the rest is the server's own, as ssh has it."""


def surroundings_of(context: ExecutionContext[Any]) -> CallerSurroundings:
    """Return what a program of this command gets. A variable that is no text stays behind: the API carries text."""
    far = context.sessions is not None and context.sessions.server is not None
    environment = {
        name: value
        for name, value in context.environment.items()
        if _is_text(name + value) and (not far or name in SENT_FAR or name.startswith("LC_"))
    }
    if far:
        return CallerSurroundings(environment=environment)
    return CallerSurroundings(environment=environment, umask=context.umask, limits=context.limits)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
