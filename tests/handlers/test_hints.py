"""Following the hint of a real error, as it is written, leads on; so does the general hint of every code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from nexus.registry.reference import error_classes

if TYPE_CHECKING:
    from tests.handlers.conftest import Nexus

LINES: dict[str, str] = {
    "PARSE_ERROR": "exec 'agent \"project'",
    "UNKNOWN_OPTION": "agent project list --filtr x",
    "AMBIGUOUS_COMMAND": "a",
    "COMMAND_NOT_OFFERED": "exec 'exec version'",
    "INPUT_INVALID": "agent project list --input /nowhere/at/all",
    "VALIDATION_ERROR": "agent project create",
    "CONFIRMATION_REQUIRED": "agent project delete --name demo",
    "QUERY_INVALID": "version --query '[['",
    "RESOURCE_NOT_FOUND": "agent project view --name nobody",
    "COMMAND_NOT_FOUND": "agent projct list",
    "RESOURCE_CONFLICT": "agent project create --name demo",
    "CONTEXT_MISSING": "agent roadmap list",
    "SESSION_NOT_FOUND": "session live view ses_0123456789abcdef0123456789abcdef",
    "PATH_OUTSIDE_ROOT": "agent file read --path ../x --project demo",
    "AUTHENTICATION_REQUIRED": "agent project list --server http://127.0.0.1:9",
    "BACKEND_UNAVAILABLE": "agent project list --server http://127.0.0.1:9 --request-id with-a-token",
}
"""A line for each code that a fresh home can be brought to."""


async def follow(nexus: Nexus, hint: str) -> None:
    """Run a hint, and those of the errors it meets, until one succeeds; none leads back to where it was."""
    seen: set[str] = set()
    for _ in range(4):
        assert hint not in seen, f"the hint leads in a circle: {hint}"
        seen.add(hint)
        answer = await nexus(hint)
        if answer.status == 0:
            return
        hint = answer.error["details"]["hint"]
        assert hint.startswith("nexus "), f"{answer.error['code']} ends the way with {hint!r}"
    raise AssertionError("four hints led nowhere")


@pytest.mark.parametrize("code", LINES)
async def test_the_hint_of_a_real_error_leads_on(nexus: Nexus, code: str) -> None:
    await nexus.all("agent project create --name demo")
    environment = {"NEXUS_TOKEN": "none"} if code == "BACKEND_UNAVAILABLE" else {}
    failed = await nexus(LINES[code], environment=environment)
    assert failed.error["code"] == code, failed.envelope
    hint = failed.error["details"]["hint"]
    if not hint.startswith("nexus "):
        assert code == "AUTHENTICATION_REQUIRED", f"{code}: {hint}"
        return
    await follow(nexus, hint)


async def test_the_general_hint_of_every_code_leads_on(nexus: Nexus) -> None:
    """What is said where the place of an error says nothing better; what no command helps is told in words."""
    data: dict[str, Any] = {"command": "agent project", "extra": "mcp", "variable": "X", "program": "x"}
    for error in error_classes():
        hint = (error.hint or "").format(**data)
        assert hint, error.__name__
        if hint.startswith("nexus "):
            answer = await nexus(hint)
            # A command about files or sessions may want a project first, and says so with a hint of its own.
            if answer.status != 0:
                await follow(nexus, answer.error["details"]["hint"])
        else:
            assert error.type in PROSE, f"{error.__name__}: {hint}"


PROSE = {"backend", "timeout", "interrupted", "auth"}
"""Types of errors that a person mends outside of nexus: a disk, a key, a package, a signal."""


async def test_a_confirmations_hint_does_what_was_asked(nexus: Nexus) -> None:
    await nexus.all("agent project create --name 'a b'")
    refused = await nexus("agent project delete --name 'a b'")
    assert (await nexus(refused.error["details"]["hint"])).status == 0
    listed = (await nexus("agent project list")).data["items"]
    assert json.dumps(listed) == "[]"
