"""The driver of sessions of type terminal: a shell or a command of a project in a terminal of its own."""

import codecs
import json
import os
import pwd
from collections.abc import Sequence

import pydantic

from nexus.kernel.api.failure import refused
from nexus.kernel.holder.held import HeldDriver
from nexus.kernel.holder.holding import Holding
from nexus.kernel.holder.spec import ProgramSpec
from nexus.kernel.holder.spool import Record
from nexus.kernel.host import Environment
from nexus.kernel.secrets.program import ProgramSecrets
from nexus.kernel.secrets.values import Secrets
from nexus.kernel.sessions.output import SessionOutput
from nexus.kernel.terminals.folder import ProjectFolders
from nexus.schemas.terminal import TerminalOptions, TerminalScreen
from nexus.sessions import lines
from nexus.sessions.screen import Screen

MOST_CHARACTERS = 64 * 1024
"""So much of the output is one event at the most."""

RESTORED_EVENTS = 64
"""So many of the newest events show what the screen was, to a kernel that was not there."""

NO_SHELLS = frozenset({"nologin", "false"})
"""What stands in the place of a shell where nobody may log in."""
PLAIN_SHELLS = ("/bin/bash", "/bin/sh")


class TerminalDriver(HeldDriver):
    """One terminal. Its output is decoded incrementally, so that no character is cut between two events."""

    def __init__(
        self,
        output: SessionOutput,
        holding: Holding,
        folders: ProjectFolders,
        environment: Environment,
        secrets: Secrets,
    ) -> None:
        super().__init__(output, holding)
        self.screen = Screen()
        self.shown = 0
        """The seq up to which `screen` has followed the output."""
        self._folders = folders
        self._environment = environment
        self._secrets = ProgramSecrets(secrets, output, output.options.get("secrets") or [])
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._unshown: list[str] = []
        self._size = (80, 24)

    async def specify(self) -> ProgramSpec:
        try:
            options = TerminalOptions.model_validate(self.output.options)
        except pydantic.ValidationError as error:
            raise refused(error, TerminalOptions, "options") from None
        surroundings = self.output.surroundings
        environment = {
            "TERM": "xterm-256color",
            **self._environment,
            **(surroundings.environment if surroundings else {}),
            **await self._secrets.give(),
        }
        for name in ("COLUMNS", "LINES"):  # the caller's own terminal's
            environment.pop(name, None)
        shell = options.shell or environment.get("SHELL") or login_shell()
        path, identity = await self._folders.folder(self.output.session.context.project_id or "", options.cwd)
        self.keep = options.grace_seconds
        self._size = (options.columns, options.rows)
        described = {"cwd": path, "shell": shell, "columns": options.columns, "rows": options.rows}
        self.output.session.metadata.update({**described, "alternateScreen": False})
        await self.output.describe(**({"command": options.command} if options.command else {}))
        return ProgramSpec(
            argv=(shell, "-c", options.command) if options.command else (shell,),
            cwd=path,
            environment={**environment, "PWD": path},
            terminal=self._size,
            umask=surroundings.umask if surroundings else 0o077,
            limits=surroundings.limits if surroundings else {},
            folder_identity=identity,
            timeout=options.timeout_seconds,
            idle=None if options.command else options.idle_seconds,
            linger=options.grace_seconds,
            label=json.dumps({"project": self.output.session.context.project_id, "name": os.path.basename(shell)}),
        )

    def payloads(self, records: Sequence[Record]) -> list[str]:
        data = b"".join([record.payload for record in records])
        if (mask := self._secrets.mask) is not None:
            data = mask.feed(data)
        return self._cut(self._decoder.decode(data))

    def last_payloads(self) -> list[str]:
        mask = self._secrets.mask
        rest = mask.flush() if mask is not None else b""
        return self._cut(self._decoder.decode(rest, final=True))

    def marks(self, end: int) -> list[tuple[str, int]]:
        # The bytes of a character that is not whole yet, or of what may be a secret, are read again by whoever goes on.
        mask = self._secrets.mask
        held = mask.pending if mask is not None else 0
        return [(self.source, end - held - len(self._decoder.getstate()[0]))]

    async def over(self) -> None:
        await self._secrets.let_go()

    async def resize(self, columns: int, rows: int) -> None:
        await super().resize(columns, rows)
        self._size = (columns, rows)
        await self.output.describe(columns=columns, rows=rows)

    async def show(self, columns: int, rows: int) -> TerminalScreen:
        """Return what another terminal of this size starts from, and have a full-screen program paint itself anew."""
        screen = TerminalScreen(
            content=self.screen.restored(),
            epoch=self.output.epoch,
            after=self.shown,
            columns=columns,
            rows=rows,
        )
        if (columns, rows) != self._size:
            await self.resize(columns, rows)
        else:
            holder = await self.holding.holder()
            await holder.repaint(self.name, force=self.screen.alternate)
        return screen

    async def restore(self) -> None:
        await self._secrets.take_up()
        session = self.output.session
        self._size = (session.metadata.get("columns", 80), session.metadata.get("rows", 24))
        if session.metadata.get("alternateScreen"):
            self.screen.feed("\x1b[?1049h")
        for line in await self.output.newest(RESTORED_EVENTS):
            event = json.loads(line)
            self.shown = event["seq"]
            if event["payload"].get("type") == "terminal-output":
                self.screen.feed(event["payload"]["content"])

    def _cut(self, text: str) -> list[str]:
        pieces = [text[start : start + MOST_CHARACTERS] for start in range(0, len(text), MOST_CHARACTERS)]
        self._unshown += pieces
        return [lines.terminal_output(piece, "ansi") for piece in pieces]

    async def appended(self, seq: int, position: int) -> None:
        await super().appended(seq, position)
        before = self.screen.alternate
        for piece in self._unshown:
            self.screen.feed(piece)
        self._unshown.clear()
        self.shown = seq
        if self.screen.alternate != before:
            await self.output.describe(alternateScreen=self.screen.alternate)


def login_shell() -> str:
    """The shell of this process's user."""
    return usable(pwd.getpwuid(os.getuid()).pw_shell)


def usable(shell: str) -> str:
    """Return an account's shell, or a plain one for an account that nobody logs in to: a server's own, for one."""
    if shell and os.path.basename(shell) not in NO_SHELLS:
        return shell
    return next((each for each in PLAIN_SHELLS if os.access(each, os.X_OK)), PLAIN_SHELLS[-1])
