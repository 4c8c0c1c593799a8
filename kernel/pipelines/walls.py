"""The sandbox of steps: which one this machine has, and the command that runs a step in it."""

import asyncio
import json
import os
import secrets
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from nexus.kernel.settings import SandboxKind, StepSettings
from nexus.kernel.store.failures import told_as_storage
from nexus.schemas.errors import ResourceUnavailable
from nexus.schemas.kernel import SandboxStatus

PROBE_SECONDS = 60.0
"""A probe takes a fifth of a second where nothing else runs."""
OPEN_FILES = 4096
_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_LEFT_OUT = "nexus settings config unset --key pipelines.sandbox"
_ALLOWED = "nexus settings config set --key pipelines.sandbox --value none"


@dataclass(frozen=True)
class Walls:
    """What a step runs and what it reaches: absolute paths, the same inside and outside of the sandbox.

    `read` and `write` must be there; `cwd` is in one of them. `tmp` is its own folder for what is gone with it.
    `memory_mib` bounds what each of its processes may have of its own.
    """

    argv: tuple[str, ...]
    cwd: Path
    read: tuple[Path, ...]
    write: tuple[Path, ...]
    network: bool
    memory_mib: int | None
    tmp: Path


@dataclass(frozen=True)
class Able:
    """What the probe found: each kind that works, why another does not, and the `env` that sets signals back."""

    works: tuple[SandboxKind, ...]
    reasons: dict[str, str]
    env: str | None = None


class Sandbox:
    """Makes the commands of steps. What this machine can is asked once, of the program that makes the walls."""

    def __init__(self, steps: StepSettings, data_folder: Path) -> None:
        self._steps = steps
        self._hidden = (*steps.hidden, data_folder)
        self._able: Able | None = None
        self._asking = asyncio.Lock()
        self.path = os.pathsep.join(dict.fromkeys((*_PATH, str(Path(sys.base_prefix).resolve() / "bin"))))
        """The PATH of steps; the Python that the kernel runs on is on it, last."""

    async def able(self) -> Able:
        """Return which kinds work here. A machine on which none does says why."""
        async with self._asking:
            if self._able is None:
                self._able = await self._probed()
            return self._able

    async def kind(self) -> SandboxKind:
        """Return the kind of sandbox that steps run in: the one that was set, or the best that works.

        Raises `ResourceUnavailable`.
        """
        if not self._steps.confinement:
            told = "This kernel runs no steps: who opened it did not say what makes their sandbox."
            raise ResourceUnavailable.because(told, hint="nexus debug kernel restart")
        wanted = self._steps.sandbox
        if wanted == "none":
            return wanted
        able = await self.able()
        if wanted is None and able.works:
            return able.works[0]
        if wanted is not None and wanted in able.works:
            return wanted
        missing = {wanted: able.reasons.get(wanted, "")} if wanted is not None else able.reasons
        told = "; ".join(f"{kind}: {reason}" for kind, reason in missing.items())
        # Once a later start asks again, somebody may have installed it.
        self._able = None
        raise ResourceUnavailable.because(
            f"No sandbox can be made for the steps of pipelines ({told}).", hint=_hint(able, wanted), reasons=missing
        )

    async def status(self) -> SandboxStatus:
        """Tell what `kind` returns, and why other kinds are none."""
        chosen = self._steps.sandbox is not None
        try:
            kind = await self.kind()
        except ResourceUnavailable as error:
            details = error.entry().details
            return SandboxStatus(kind=None, chosen=chosen, missing=details.get("reasons", {}), hint=details.get("hint"))
        if kind == "none":
            return SandboxStatus(kind=kind, chosen=chosen, missing={}, hint=_LEFT_OUT)
        able = await self.able()
        installs = not chosen and "bubblewrap" not in able.works and _hint(able, None) != _ALLOWED
        hint = _hint(able, None) if installs else None
        return SandboxStatus(kind=kind, chosen=chosen, missing=able.reasons, hint=hint)

    def command(self, walls: Walls, kind: SandboxKind, file: Path) -> tuple[str, ...]:
        """Write what the walls are into `file`, and return the command that runs the step behind them.

        Its status is the step's own, 128 and the number of the signal that ended it, 125 where the walls could not be
        made, 126 where the program cannot be run, 127 where it is not there. Raises storage errors.
        """
        told = {
            "kind": kind,
            "argv": walls.argv,
            "cwd": str(walls.cwd),
            "read": [*map(str, (*self._readable(), *walls.read))],
            "write": [*map(str, walls.write)],
            "tmp": str(walls.tmp),
            "hidden": [*map(str, self._hidden)],
            "network": walls.network,
            "memoryMib": walls.memory_mib,
            "files": OPEN_FILES,
            "env": self._able.env if self._able is not None else None,
        }
        with told_as_storage(file):
            _write(file, json.dumps(told).encode())
        return (*self._steps.confinement, str(file))

    def _readable(self) -> list[Path]:
        """Return what the settings let every step read; a folder that has gone since is nobody's failure."""
        return [folder for folder in self._steps.read if folder.exists()]

    async def _probed(self) -> Able:
        try:
            told = await _asked((*self._steps.confinement, "--probe"))
            kinds = [kind for kind in get_args(SandboxKind) if kind in told]
            return Able(
                tuple(kind for kind in kinds if told[kind]["works"] is True),
                {kind: str(told[kind]["reason"]) for kind in kinds if told[kind]["works"] is not True},
                told["env"] if isinstance(told["env"], str) else None,
            )
        except (OSError, TimeoutError, ValueError, KeyError, TypeError) as error:
            return Able((), {"probe": str(error) or type(error).__name__})


def _hint(able: Able, wanted: SandboxKind | None) -> str:
    if wanted is not None and able.works:
        return _LEFT_OUT
    if sys.platform == "linux" and "not installed" in able.reasons.get("bubblewrap", ""):
        return "sudo apt-get install bubblewrap"
    return _ALLOWED


async def _asked(words: Sequence[str]) -> dict[str, Any]:
    """Run the probe and read what it says. Raises `OSError`, `TimeoutError`, `ValueError`, `TypeError`."""
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.pathsep.join(_PATH), "LANG": "C.UTF-8"},
        cwd="/",
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            answer, said = await process.communicate()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        raise ValueError(last[:300] or f"it ended with {process.returncode}")
    told = json.loads(answer)
    if not isinstance(told, dict):
        raise TypeError("it told nothing")
    return told


def _write(file: Path, content: bytes) -> None:
    """Write the file for its owner alone, whole or not at all: what a step may do is read from it."""
    draft = file.with_name(f".{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with open(os.open(draft, flags, 0o600), "wb") as opened:
            opened.write(content)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
