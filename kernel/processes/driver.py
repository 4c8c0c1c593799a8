"""The driver of a started process: it runs on pipes in the holder, and each line that it prints is an event."""

import json
import os
from collections.abc import Sequence
from typing import Any

from nexus.kernel.holder.held import HeldDriver
from nexus.kernel.holder.holding import Holding
from nexus.kernel.holder.spec import ProgramSpec
from nexus.kernel.holder.spool import Record
from nexus.kernel.host import Environment
from nexus.kernel.logs.channels import Channels
from nexus.kernel.secrets.program import ProgramSecrets
from nexus.kernel.secrets.values import Secrets
from nexus.kernel.sessions.output import SessionOutput
from nexus.schemas.process import ProcessOptions


class ProcessDriver(HeldDriver):
    """One started process. stdout and stderr have each their place in the log: a kernel that dies doubles no line."""

    def __init__(self, output: SessionOutput, holding: Holding, environment: Environment, secrets: Secrets) -> None:
        super().__init__(output, holding)
        self._options = ProcessOptions.model_validate(output.options)
        self._secrets = ProgramSecrets(secrets, output, self._options.secrets)
        self._environment = environment
        self._channels = Channels(self.source)
        self.keep = self._options.grace_seconds

    async def specify(self) -> ProgramSpec:
        options, surroundings = self._options, self.output.surroundings
        environment = {
            **self._environment,
            **(surroundings.environment if surroundings else {}),
            **await self._secrets.give(),
        }
        self._channels.mask(self._secrets.mask)
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
        self._channels.mask(self._secrets.mask)

    async def over(self) -> None:
        await self._secrets.let_go()

    def payloads(self, records: Sequence[Record]) -> list[str]:
        return self._channels.payloads(records)

    def last_payloads(self) -> list[str]:
        return self._channels.rest()

    def marks(self, end: int) -> list[tuple[str, int]]:
        return self._channels.marks(end)

    def go_on(self, positions: dict[str, int]) -> None:
        self._channels.go_on(positions)

    def is_told(self, record: Record) -> bool:
        return self._channels.is_told(record)

    def started(self, facts: dict[str, Any]) -> str:
        return f"{self._options.argv[0]} runs as process {facts['pid']}."
