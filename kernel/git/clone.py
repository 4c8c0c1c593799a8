"""Cloning: into a folder beside its final place, so that what appears there is whole."""

import asyncio
import shutil
from pathlib import Path

from nexus.kernel.git.address import Address, masked
from nexus.kernel.git.run import GitCommand, GitRun, run_git
from nexus.kernel.host import Environment
from nexus.schemas.errors import GitFailed

CLONE_SECONDS = 600.0
MOST_TOLD = 2000


async def clone(address: Address, into: Path, environment: Environment, *, seconds: float = CLONE_SECONDS) -> None:
    """Clone into a folder that does not exist; on any failure, cancelling included, nothing is left of it.

    Raises `GitFailed` with git's words, passwords masked.
    """
    command = GitCommand(
        ["clone", "--quiet", "--no-progress", "--", address.url, str(into)],
        cwd=into.parent,
        seconds=seconds,
        config=address.config,
    )
    try:
        _check(await run_git(command, environment), address)
    except BaseException:
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, into, ignore_errors=True))
        raise


def _check(run: GitRun, address: Address) -> None:
    if run.code != 0:
        told = masked(run.error).strip()[-MOST_TOLD:]
        raise GitFailed.because(
            f"git could not clone {masked(address.url)}: {told}",
            hint="Check the address, and that git may read it without asking: no password is asked for here.",
            git_exit_code=run.code,
        )
