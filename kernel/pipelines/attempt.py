"""One attempt at a step: a program of the holder's, whose lines become events of the run's session, once each.

Lines and positions in the spool are committed together, so a kernel that dies goes on where the log ends. The spool is
kept until the attempt's end stands in the database.
"""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nexus.kernel.holder.held import SIGNAL_BASE, told
from nexus.kernel.holder.refusal import Refused
from nexus.kernel.holder.spec import ProgramSpec
from nexus.kernel.holder.spool import Kind, Record, SpoolDamaged
from nexus.kernel.logs.channels import Channels
from nexus.kernel.pipelines.means import Means, RunFacts
from nexus.kernel.pipelines.program import StepProgram
from nexus.kernel.secrets.program import ProgramSecrets
from nexus.kernel.sessions.output import SessionOutput
from nexus.schemas.errors import NexusError, ResourceUnavailable, SessionClosed
from nexus.sessions import lines

ROOM_SECONDS = 1.0
"""So often it is tried again where the node takes no more programs."""
LOOK_SECONDS = 0.1
DISCARD_SECONDS = 15.0
"""So long it is waited for the end of a program that nobody wants any more."""

log = logging.getLogger("nexus.kernel.pipelines")


@dataclass(frozen=True, slots=True)
class Exit:
    """How a program ended: `code` is its own, or 128 and its signal. `reason` is exited, timeout, cancelled or lost.

    `said` is its last line on stderr, where this process told it.
    """

    code: int | None
    reason: str
    signal: int | None = None
    said: str | None = None


class Attempt:
    """The attempt of this number. Either it is begun by `start`, or an earlier process of the kernel did and it is
    `known`; then `read` returns its end.
    """

    def __init__(self, means: Means, run: RunFacts, output: SessionOutput, step: str, number: int) -> None:
        self.program = StepProgram(means, run, step, number)
        self.name = self.program.name
        self.asked = False
        """Whether the holder was asked to start it."""
        self.work = means.folders.work(run.id, step, number)
        self._means = means
        self._output = output
        self._about = {"step": step, "attempt": number}
        self._channels = Channels(f"run/{run.id}/spool/{step}/{number}", self._about)
        names = self.program.definition.secrets
        self._secrets = ProgramSecrets(means.secrets, output, names, part=f"{step}/{number}", more=self._about)
        self._mask = run.mask
        self._channels.mask(self._mask)
        self._position = 0

    # -- beginning

    async def start(self, inputs: Mapping[str, Path]) -> None:
        """Start the program; `inputs` are the folders that the steps which it needs left.

        Raises what makes it impossible. Waits where the node takes no more programs.
        """
        spec = await self.program.specify(inputs, self._secrets, self._output.session.session_id)
        self._mask_given()
        waits = False
        while not (await self._placed(spec)):
            if not waits:
                waits = True
                told_of = {"status": "idle", "message": "The step waits: no more programs may run now.", **self._about}
                with suppress(SessionClosed):
                    await self._output.append([lines.payload(told_of)], event="status")
            await asyncio.sleep(ROOM_SECONDS)

    async def _placed(self, spec: ProgramSpec) -> bool:
        """Have the holder start it; False when there is no room for it now, or the holder died meanwhile."""
        from nexus.kernel.holder.client import HolderLost

        try:
            async with self._means.holding.room(self.name):
                holder = await self._means.holding.holder()
                self._means.holding.claim(self.name)
                self.asked = True
                await holder.spawn(self.name, spec)
        except ResourceUnavailable as full:
            if "capacity" not in full.data:
                raise
            return False
        except HolderLost:
            # It may have begun, which its end tells.
            self.asked = self.name in self._means.holding.place.names()
        except Refused as refused:
            self.asked = False
            raise told(refused, spec) from refused
        return self.asked

    async def known(self) -> bool:
        """Whether the holder was asked for it by an earlier process; take up what that one had, if so."""
        self._means.holding.claim(self.name)
        # Once it has answered us, it does nothing more that another asked it for.
        await self._means.holding.holder()
        if self.name not in self._means.holding.place.names():
            return False
        self.asked = True
        positions = {source: await self._output.position(source) for source, _ in self._channels.marks(0)}
        self._channels.go_on(positions)
        self._position = min(positions.values())
        await self._secrets.take_up()
        self._mask_given()
        return True

    def _mask_given(self) -> None:
        if (mask := self._secrets.mask) is not None:
            self._mask.follow(mask)

    # -- running

    async def read(self) -> Exit:
        """Tell what it prints, to its end. One that nobody holds any more is `lost`."""
        from nexus.kernel.holder.client import HolderLost

        while True:
            try:
                return await self._read()
            except (HolderLost, SpoolDamaged, FileNotFoundError) as error:
                if isinstance(error, HolderLost) and await self._is_held():
                    continue
                log.warning("%s is lost: %s", self.name, error)
                await self._flush(self._position)
                return Exit(None, "lost")

    async def _read(self) -> Exit:
        reader = (await self._means.holding.holder()).output(self.name, self._position)
        try:
            while True:
                records = await reader.read()
                if (ended := await self._take(records)) is not None:
                    return ended
                self._position = records[-1].end
                reader.confirmed = min(confirmed for _, confirmed in self._channels.marks(self._position))
        finally:
            reader.close()

    async def _is_held(self) -> bool:
        """Whether the connection alone was lost."""
        from nexus.kernel.holder.client import HolderLost

        with suppress(HolderLost, NexusError, TimeoutError):
            return any(held.name == self.name for held in await (await self._means.holding.holder()).programs())
        return False

    async def _take(self, records: Sequence[Record]) -> Exit | None:
        """Commit records as events; return the program's end if it is among them."""
        run: list[Record] = []
        for record in records:
            if record.kind in (Kind.STDOUT, Kind.STDERR):
                run.append(record)
                continue
            await self._append(run)
            run = []
            facts = json.loads(record.payload)
            if record.kind == Kind.EXIT:
                # The end itself is read again until the database has it.
                await self._flush(record.start)
                code = facts["code"] if facts["signal"] is None else SIGNAL_BASE + facts["signal"]
                return Exit(code, facts["reason"], facts["signal"], self._channels.said(Kind.STDERR))
            if record.kind == Kind.NOTICE and not self._channels.is_told(record):
                await self._tell(facts, record)
        await self._append(run)
        return None

    async def _append(self, run: Sequence[Record]) -> None:
        if run and (payloads := self._channels.payloads(run)):
            await self._said(payloads, "data", run[-1].end)

    async def _flush(self, position: int) -> None:
        if rest := self._channels.rest():
            await self._said(rest, "data", position)

    async def _tell(self, facts: dict[str, Any], record: Record) -> None:
        if "paused" in facts:
            told_of = f"The step is paused: {facts['limit']} bytes of its output wait to be stored."
            payload = {"status": "idle", "message": told_of, **self._about}
        elif "resumed" in facts:
            payload = {"status": "connected", "message": "The step goes on.", **self._about}
        else:
            return
        await self._said([lines.payload(payload)], "status", record.end)

    async def _said(self, payloads: Sequence[str], event: Any, position: int) -> None:
        # A session that was ended from elsewhere has no readers; the program is seen to its end all the same.
        with suppress(SessionClosed):
            await self._output.append(payloads, event=event, marks=self._channels.marks(position))

    # -- ending

    async def cancel(self) -> None:
        """End the program, by TERM and after a grace by KILL; `read` returns its end."""
        from nexus.kernel.holder.client import HolderLost

        with suppress(Refused, HolderLost):
            await (await self._means.holding.holder()).end(self.name, reason="cancelled")

    async def let_go(self) -> None:
        """Learn that the program has ended, or did not begin."""
        await self._secrets.let_go()

    def forget(self) -> None:
        """Learn that its end stands in the database: nothing of it is needed any more."""
        self._means.holding.release(self.name)


async def discard(means: Means, names: Sequence[str]) -> None:
    """End programs that nobody wants any more, and forget what they printed. Bounded in time; raises nothing of it."""
    from nexus.kernel.holder.client import HolderLost

    if not names:
        return
    with suppress(HolderLost, NexusError, TimeoutError):
        async with asyncio.timeout(DISCARD_SECONDS):
            holder = await means.holding.holder()
            for name in names:
                with suppress(Refused):
                    await holder.end(name, reason="cancelled")
            while running := [held.name for held in await holder.programs() if held.running and held.name in names]:
                log.debug("%s end", running)
                await asyncio.sleep(LOOK_SECONDS)
            for name in names:
                with suppress(Refused):
                    await holder.forget(name)
