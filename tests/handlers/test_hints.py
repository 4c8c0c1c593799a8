"""Following the hint of a real error, as it is written, leads on; so does the general hint of every code."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nexus.cli.line import parse_line
from nexus.registry.index import CommandIndex
from nexus.registry.reference import error_classes
from nexus.schemas.command import CommandSpec, Effect
from tests.house.test_arrows import ROOT
from tests.house.test_hints import hints

if TYPE_CHECKING:
    from tests.handlers.conftest import Nexus

OWN = Path(__file__)

LINES: dict[str, tuple[str, ...]] = {
    "PARSE_ERROR": ("exec 'agent \"project'",),
    "UNKNOWN_OPTION": ("agent project list --filtr x",),
    "AMBIGUOUS_COMMAND": ("a",),
    "COMMAND_NOT_OFFERED": ("exec 'exec version'",),
    "INPUT_INVALID": ("agent project list --input /nowhere/at/all",),
    "VALIDATION_ERROR": ("agent project create",),
    "CONFIG_INVALID": ("agent project list --config {cwd}/broken.toml",),
    "CONFIRMATION_REQUIRED": ("agent project delete --name demo",),
    "QUERY_INVALID": ("version --query '[['",),
    "RESOURCE_NOT_FOUND": ("agent project view --name nobody",),
    "COMMAND_NOT_FOUND": ("agent projct list",),
    "RESOURCE_CONFLICT": ("agent project create --name demo",),
    "CONTEXT_MISSING": ("agent roadmap list",),
    "CONTEXT_STALE": (
        "agent project select --name demo",
        "agent project delete --name demo --yes --context other",
        "agent roadmap list",
    ),
    "SESSION_NOT_FOUND": ("session live view ses_0123456789abcdef0123456789abcdef",),
    "SESSION_CLOSED": (
        "agent terminal open --project demo",
        "session live close {session}",
        "session live send {session} x",
    ),
    "SESSION_TYPE_MISMATCH": ("agent terminal open --project demo", "ai message list --session-id {session}"),
    "PATH_OUTSIDE_ROOT": ("agent file read --path ../x --project demo",),
    "AUTHENTICATION_REQUIRED": ("agent project list --server http://127.0.0.1:9",),
    "BACKEND_UNAVAILABLE": ("agent project list --server http://127.0.0.1:9 --request-id with-a-token",),
    "AI_KEY_MISSING": ("ai session create --backend anthropic:model",),
    "AI_BACKEND_MISSING": ("ai session create",),
    "SCRIPT_INVALID": (
        "ai session create --backend script:{cwd}/broken.toml",
        "ai message send --message x --collect",
    ),
    "GIT_FAILED": ("agent project create --name cloned --git-url file:///nowhere/at/all",),
    "PROGRAM_FAILED": (
        "agent file write --path a.txt --content x --project demo",
        "agent file open --path a.txt --editor false --project demo",
    ),
    "STORAGE_READ_ONLY": ("settings config set --key output.format --value json --config /proc/nowhere/config.toml",),
}
"""Lines for each code that a home with a project can be brought to; the last one meets it."""

UNRAISED = {
    "AUDIT_BROKEN": "a chain that somebody changed",
    "EXTRA_MISSING": "every extra is installed where tests run",
    "FILE_CHANGED": "a file must change in the middle of being pushed",
    "RATE_LIMITED": "a server's",
    "REQUEST_SLOW": "a server's",
    "REGISTRATION_CLOSED": "a server's",
    "REQUEST_TOO_LARGE": "a server's",
    "SESSION_ERROR": "the class of the others",
    "SESSION_EXPIRED": "a session that failed",
    "TOKEN_EXPIRED": "a server's",
    "TRANSFER_BUSY": "two pulls of one file at once",
}
"""Codes that no test raises: of them the general hint is run, and the hints beside them in the code are."""


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
    (nexus.cwd / "broken.toml").write_text("[[")
    environment = {"NEXUS_TOKEN": "none"} if code == "BACKEND_UNAVAILABLE" else {}
    given = {"cwd": shlex.quote(str(nexus.cwd)), "session": ""}
    *before, last = LINES[code]
    for line in before:
        answer = await nexus(line.format(**given))
        assert answer.status == 0, answer.envelope
        given["session"] = answer.data.get("sessionId") or given["session"]
    failed = await nexus(last.format(**given), environment=environment)
    assert failed.error["code"] == code, failed.envelope
    hint = failed.error["details"]["hint"]
    if hint.startswith("nexus "):
        await follow(nexus, hint)
    else:
        assert failed.error["type"] in PROSE or code == "CONFIG_INVALID", f"{code}: {hint}"


def test_every_code_is_raised_by_some_test_or_named_as_one_that_none_raises() -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py") if path != OWN)
    words = set(re.findall(r"\w+", tests))
    for error in error_classes():
        if error.code not in LINES and not {error.code, error.__name__} & words:
            assert error.code in UNRAISED, f"no test raises {error.code}"


def _only_reads(spec: CommandSpec) -> bool:
    return Effect.READ in spec.effects and not spec.command_line_only


async def test_every_hint_in_the_code_leads_on(nexus: Nexus) -> None:
    """As it stands beside each error that is raised, values filled in: run, and what it meets followed."""
    index = CommandIndex.built_in()
    await nexus.all("agent project create --name demo --select")
    ran = 0
    for path, hint in sorted({(str(path), text) for path, text in hints() if text.startswith("nexus ")}):
        line = hint.replace("{command}", "agent project").replace("{plugin}", "demo")
        if "kernel/network/" in path:
            line = line.replace("nexus agent ", "nexus network ")
        _, parsed = parse_line(index, line)
        spec = parsed.node
        if not parsed.flags.help and isinstance(spec, CommandSpec) and not _only_reads(spec):
            # What would end the kernel, serve for ever or change the machine was read, and is not run.
            continue
        try:
            await follow(nexus, line)
        except AssertionError as fault:
            raise AssertionError(f"{path}: {hint}") from fault
        ran += 1
    assert ran > 50


async def test_the_general_hint_of_every_code_leads_on(nexus: Nexus) -> None:
    """What is said where the place of an error says nothing better; what no command helps is told in words."""
    data: dict[str, Any] = {"command": "agent project", "extra": "mcp", "variable": "X", "program": "x", "plugin": "x"}
    for error in error_classes():
        hint = (error.hint or "").format(**data)
        assert hint, error.__name__
        if hint.startswith("nexus "):
            answer = await nexus(hint)
            # A command about files or sessions may want a project first, and says so with a hint of its own.
            if answer.status != 0:
                await follow(nexus, answer.error["details"]["hint"])
        else:
            assert error.type in PROSE or error.code == "REQUEST_TOO_LARGE", f"{error.__name__}: {hint}"


PROSE = {"backend", "timeout", "interrupted", "auth", "permission"}
"""Types of errors that a person mends outside of nexus: a disk, a key, a package, a signal, a role."""


async def test_a_confirmations_hint_does_what_was_asked(nexus: Nexus) -> None:
    await nexus.all("agent project create --name 'a b'")
    refused = await nexus("agent project delete --name 'a b'")
    assert (await nexus(refused.error["details"]["hint"])).status == 0
    listed = (await nexus("agent project list")).data["items"]
    assert json.dumps(listed) == "[]"
