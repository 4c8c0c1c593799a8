"""One run of git: no shell, no prompt, no hook, no pager, bounded in time and output, ended whole."""

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from nexus.kernel.host import Environment
from nexus.schemas.errors import GitFailed, TimeoutExceeded

MOST_ERROR_BYTES = 64 * 1024
KILL_AFTER_SECONDS = 2.0

SAFE = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.pager": "cat",
    # A folder that is laid out as a bare repository has a configuration too, and anybody may have put it there.
    "safe.bareRepository": "explicit",
    "core.askPass": "",
    "protocol.allow": "never",
    "protocol.https.allow": "always",
    "protocol.ssh.allow": "always",
    "protocol.git.allow": "always",
    "protocol.file.allow": "always",
}
"""Over every file of configuration: what a repository says of these is not heard."""


@dataclass(frozen=True, slots=True)
class GitCommand:
    """What git is to do. `config` adds to the configuration by the environment, where nobody else reads it."""

    arguments: Sequence[str]
    cwd: Path
    seconds: float
    most_bytes: int = 1024 * 1024
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GitRun:
    """How a run ended. `truncated` says that output was cut at its bound, and git stopped there."""

    code: int
    output: bytes
    error: str
    truncated: bool = False


async def run_git(command: GitCommand, environment: Environment) -> GitRun:
    """Run git. However it ends, cancelling included, nothing that it started is left.

    Raises `GitFailed` when there is no git, `TimeoutExceeded` when it takes too long.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            "git",
            *command.arguments,
            cwd=command.cwd,
            env=git_environment(environment, {**SAFE, **command.config}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError as missing:
        if missing.filename != "git":
            raise
        raise GitFailed.because("The program git was not found.", hint="Install git.") from None
    try:
        async with asyncio.timeout(command.seconds):
            (output, truncated), (error, _) = await asyncio.gather(
                _read(process.stdout, command.most_bytes, lambda: _signal(process, signal.SIGTERM)),
                _read(process.stderr, MOST_ERROR_BYTES, lambda: None),
            )
            code = await process.wait()
    except TimeoutError:
        raise TimeoutExceeded(seconds=command.seconds) from None
    finally:
        await _end(process)
    return GitRun(code, output, error.decode("utf-8", "replace"), truncated)


def git_environment(environment: Environment, config: Mapping[str, str]) -> dict[str, str]:
    """Return git's environment: the given one without what steers git, and `config` over every file."""
    kept = {name: value for name, value in environment.items() if not name.startswith(("GIT_", "SSH_ASKPASS"))}
    numbered = {f"GIT_CONFIG_KEY_{index}": key for index, key in enumerate(config)}
    numbered |= {f"GIT_CONFIG_VALUE_{index}": value for index, value in enumerate(config.values())}
    return {
        **kept,
        **numbered,
        "GIT_CONFIG_COUNT": str(len(config)),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "LC_ALL": "C.UTF-8",
    }


async def _read(
    stream: asyncio.StreamReader | None, most_bytes: int, when_full: Callable[[], None]
) -> tuple[bytes, bool]:
    """Read to the end and keep `most_bytes`; return them and whether there were more."""
    chunks: list[bytes] = []
    room = most_bytes
    truncated = False
    while stream is not None and (chunk := await stream.read(65536)):
        chunks.append(chunk[:room])
        if len(chunk) > room and not truncated:
            truncated = True
            when_full()
        room -= len(chunks[-1])
    return b"".join(chunks), truncated


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    # git starts programs of its own; they share the session that was made for it.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    _signal(process, signal.SIGTERM)
    try:
        async with asyncio.timeout(KILL_AFTER_SECONDS):
            await process.wait()
    except TimeoutError:
        _signal(process, signal.SIGKILL)
        await process.wait()
