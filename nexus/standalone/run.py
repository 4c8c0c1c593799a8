"""`run_cli`: a table of commands as the program that this process is."""

import asyncio
import os
import sys
from pathlib import Path
from typing import NoReturn

from nexus.call import Call
from nexus.cli.run import run
from nexus.resident.oneshot import ProcessInput, ProcessOutput, ProcessSignals, guard_stdout
from nexus.schemas.errors import ReaderGone
from nexus.standalone.commands import Commands
from nexus.standalone.program import Program


def run_cli(
    commands: Commands, *, name: str | None = None, version: str = "0.0.0", description: str = "Commands."
) -> NoReturn:
    """Run the command in `sys.argv`, print one JSON envelope, and end the process with its exit status.

    `help`, `schema`, `version`, `--help`, `--output`, `--query` and the other flags of nexus are there by themselves.
    """
    program = name or Path(sys.argv[0]).stem.replace("_", "-")
    environment = dict(os.environ)  # noqa: TID251 -- a process of one caller
    cwd = str(Path.cwd())
    runtime = Program(
        commands, name=program, version=version, description=description, environment=environment, cwd=cwd
    )
    private = guard_stdout()
    try:
        status = asyncio.run(_run(runtime, environment, cwd, private))
    except ReaderGone as gone:
        status = gone.exit_status
    os._exit(status)


async def _run(runtime: Program, environment: dict[str, str], cwd: str, private: int) -> int:
    signals = ProcessSignals()
    signals.listen()
    stdin = ProcessInput()
    call = Call(
        argv=tuple(sys.argv[1:]),
        cwd=Path(cwd),
        environment=environment,
        stdin=stdin,
        stdout=ProcessOutput(private, is_terminal=os.isatty(private)),
        stderr=ProcessOutput(2, is_terminal=os.isatty(2), needed=False),
        signals=signals,
    )
    return await run(call, runtime)
