"""The user's editor: which one it is, whether it has a window of its own, and how it is started."""

import asyncio
import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nexus.schemas.command import ExecutionContext
from nexus.schemas.errors import ProgramFailed, TimeoutExceeded, ValidationError
from nexus.schemas.model import Model

GRACE_SECONDS = 1.0
"""An editor that ends within this time with an error is told as one that could not be started."""

START_SECONDS = 15.0
STARTER = Path(__file__).with_name("detached.py")

# fmt: off
IN_A_TERMINAL = frozenset((
    "amp", "ed", "ex", "helix", "hx", "jed", "jmacs", "joe", "kak", "less", "mcedit", "mg", "micro", "more", "nano",
    "ne", "nvi", "nvim", "pico", "rnano", "rvim", "se", "vi", "view", "vile", "vim", "vimdiff", "zile",
))
# fmt: on
WINDOWED_UNLESS_TOLD = {
    "emacs": frozenset({"-nw", "--no-window-system", "-batch", "--batch"}),
    "emacsclient": frozenset({"-nw", "-t", "-tty", "--tty"}),
}


class EditorStarted(Model):
    """What was started. `exit_code` is null while it runs on; it is not waited for."""

    editor: list[str]
    pid: int
    exit_code: int | None = None


def editor_of(context: ExecutionContext[Any], named: str | None) -> list[str]:
    """Return the editor's words: `--editor`, else VISUAL, else EDITOR, else what opens files on this desktop.

    Raises `ValidationError` when there is none, when its words cannot be read, and when its program is not found.
    """
    environment = context.environment
    line = named or environment.get("VISUAL") or environment.get("EDITOR") or _opener(environment)
    if line is None:
        raise ValidationError.because(
            "No editor is known: neither --editor nor VISUAL nor EDITOR says one.",
            field="editor",
            hint="Name one with a window of its own, as in --editor 'code --reuse-window'.",
        )
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise ValidationError.because(f"The editor {line[:200]!r} cannot be read: {error}.", field="editor") from None
    program = _found(words[0], context.cwd, environment) if words else None
    if program is None:
        raise ValidationError.because(
            f"The editor {line[:200]!r} is not found.", field="editor", hint="Name one that is on your PATH."
        )
    return [program, *words[1:]]


def _opener(environment: Mapping[str, str]) -> str | None:
    if sys.platform == "darwin":
        return "open"
    return "xdg-open" if environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY") else None


def _found(program: str, cwd: Path, environment: Mapping[str, str]) -> str | None:
    """Look a program up as the caller's shell would: with a slash from the caller's folder, else on their PATH."""
    if "/" in program:
        return shutil.which(str(cwd / program))
    places = environment.get("PATH", os.defpath).split(os.pathsep)
    return shutil.which(program, path=os.pathsep.join(str(cwd / place) for place in places))


def wants_terminal(words: list[str]) -> bool:
    """Say whether the editor draws in a terminal, by its name and its flags."""
    name = Path(words[0]).name
    if name in WINDOWED_UNLESS_TOLD:
        return bool(WINDOWED_UNLESS_TOLD[name] & set(words[1:]))
    return name.removesuffix(".basic").removesuffix(".tiny").removesuffix(".nox") in IN_A_TERMINAL


async def start(context: ExecutionContext[Any], words: list[str], file: Path) -> EditorStarted:
    """Start the editor on a file as nobody's child, with the caller's surroundings and no terminal.

    Raises `ValidationError` for one that needs a terminal: the process that runs commands has none to lend; and
    `ProgramFailed` for one that fails at once.
    """
    argv = [*words, str(file)]
    if wants_terminal(words):
        raise ValidationError.because(
            f"{Path(words[0]).name} draws in a terminal, and a command that answers in JSON has none to lend it.",
            field="editor",
            expected="an editor with a window of its own",
            absolutePath=str(file),
            hint=shlex.join(argv),
        )
    told = await _started(context, argv)
    if "error" in told:
        raise ProgramFailed.because(f"The editor cannot be started: {told['error']}.", editor=argv)
    if told["exitCode"] not in (None, 0):
        raise ProgramFailed.because(
            f"The editor ended at once with exit code {told['exitCode']}; one that draws in a terminal does so.",
            editor=argv,
            absolutePath=str(file),
            hint=shlex.join(argv),
        )
    return EditorStarted(editor=words, pid=told["pid"], exit_code=told["exitCode"])


async def _started(context: ExecutionContext[Any], argv: list[str]) -> dict[str, Any]:
    request = {
        "argv": argv,
        "cwd": str(context.cwd),
        "environment": dict(context.environment),
        "umask": context.umask,
        "limits": [(which, *limit) for which, limit in context.limits.items()],
        "graceSeconds": GRACE_SECONDS,
    }
    starter = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(STARTER)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            answer, _ = await starter.communicate(json.dumps(request).encode())
    except TimeoutError as error:
        raise TimeoutExceeded(seconds=START_SECONDS) from error
    finally:
        if starter.returncode is None:
            starter.kill()
            await starter.wait()
    try:
        told: dict[str, Any] = json.loads(answer)
    except ValueError:
        return {"error": f"its starter ended with exit code {starter.returncode}"}
    return told
