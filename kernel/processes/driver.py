"""The driver of a started process: it runs on pipes in the holder, and each line that it prints is an event."""

import json
import os
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from nexus.kernel.holder.held import HeldDriver
from nexus.kernel.holder.holding import Holding
from nexus.kernel.holder.spec import ProgramSpec
from nexus.kernel.holder.spool import Kind, Record
from nexus.kernel.host import Environment
from nexus.kernel.logs.buffer import LineBuffer
from nexus.kernel.logs.parser import LogParser, log_payloads
from nexus.kernel.secrets.masking import Masker
from nexus.kernel.secrets.program import ProgramSecrets
from nexus.kernel.secrets.values import Secrets
from nexus.kernel.sessions.output import SessionOutput
from nexus.schemas.process import ProcessOptions

SOURCES = {Kind.STDOUT: "stdout", Kind.STDERR: "stderr"}


class _Channel:
    """stdout or stderr: the line that is not whole yet, and where in the spool it began."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.parser = LogParser()
        self.buffer = LineBuffer()
        self.mask: Masker | None = None
        self.begin = 0
        self.committed = 0

    def take(self, records: Sequence[Record]) -> list[str]:
        """Take what was printed next, and return a payload for each line that is whole now."""
        text = self.buffer.feed(b"".join([record.payload for record in records]))
        rest = self.buffer.pending
        for record in reversed(records):
            if rest <= len(record.payload):
                self.begin = record.end - rest
                break
            rest -= len(record.payload)
        # Else the line began before these records, and still is not whole.
        return self._written(text)

    def flush(self) -> list[str]:
        return self._written(self.buffer.flush())

    def _written(self, text: str) -> list[str]:
        if text and self.mask is not None:
            text = self.mask.text(text)
        return log_payloads(self.parser.facts(text), text, self.source) if text else []


class ProcessDriver(HeldDriver):
    """One started process. stdout and stderr have each their place in the log: a kernel that dies doubles no line."""

    def __init__(self, output: SessionOutput, holding: Holding, environment: Environment, secrets: Secrets) -> None:
        super().__init__(output, holding)
        self._options = ProcessOptions.model_validate(output.options)
        self._secrets = ProgramSecrets(secrets, output, self._options.secrets)
        self._environment = environment
        self._channels = {kind: _Channel(source) for kind, source in SOURCES.items()}
        self._heard = 0
        self.keep = self._options.grace_seconds

    async def specify(self) -> ProgramSpec:
        options, surroundings = self._options, self.output.surroundings
        environment = {
            **self._environment,
            **(surroundings.environment if surroundings else {}),
            **await self._secrets.give(),
        }
        self._mask_all()
        process_id = self.output.session.context.process_id
        await self.output.stay()
        await self.output.describe(source="process", command=list(options.argv), cwd=options.cwd)
        return ProgramSpec(
            argv=options.argv,
            cwd=options.cwd,
            environment={**environment, "PWD": options.cwd},
            umask=surroundings.umask if surroundings else 0o077,
            limits=surroundings.limits if surroundings else {},
            timeout=options.timeout_seconds,
            linger=options.grace_seconds,
            label=json.dumps({"process": process_id, "name": os.path.basename(options.argv[0])}),
        )

    async def restore(self) -> None:
        await self._secrets.take_up()
        self._mask_all()

    async def over(self) -> None:
        await self._secrets.let_go()

    def _mask_all(self) -> None:
        for channel in self._channels.values():
            channel.mask = self._secrets.mask

    def payloads(self, records: Sequence[Record]) -> list[str]:
        found: list[str] = []
        for kind, run in groupby(records, key=lambda record: record.kind):
            channel = self._channels[kind]
            if news := [cut for record in run if (cut := _behind(record, channel.committed)) is not None]:
                found += channel.take(news)
        return found

    def last_payloads(self) -> list[str]:
        return [payload for channel in self._channels.values() for payload in channel.flush()]

    def marks(self, end: int) -> list[tuple[str, int]]:
        return [
            *((self._mark(kind), self._place(kind, end)) for kind in SOURCES),
            (f"{self.source}/told", max(end, self._heard)),
        ]

    def go_on(self, positions: dict[str, int]) -> None:
        for kind, channel in self._channels.items():
            channel.committed = positions[self._mark(kind)]
        self._heard = positions[f"{self.source}/told"]

    def is_told(self, record: Record) -> bool:
        return record.end <= self._heard

    def started(self, facts: dict[str, Any]) -> str:
        return f"{self._options.argv[0]} runs as process {facts['pid']}."

    def _mark(self, kind: Kind) -> str:
        return f"{self.source}/{SOURCES[kind]}"

    def _place(self, kind: Kind, end: int) -> int:
        channel = self._channels[kind]
        return channel.begin if channel.buffer.pending else max(end, channel.committed)


def _behind(record: Record, position: int) -> Record | None:
    """What of a record is behind a position: all, the rest of its payload, or nothing."""
    if record.end <= position:
        return None
    begin = record.end - len(record.payload)
    if begin >= position:
        return record
    return Record(record.kind, record.time, record.payload[position - begin :], record.end)
