"""The driver of a session whose program the holder holds: what it prints becomes events, once each, whoever dies.

Lines and the spool's position are committed together, so a kernel that dies goes on where the log ends. A subclass says
what to start, and how output becomes payloads.
"""

import asyncio
import contextlib
import json
import logging
from collections import deque
from collections.abc import Sequence
from typing import Any

from nexus.kernel.holder.holding import Holding
from nexus.kernel.holder.refusal import Refused
from nexus.kernel.holder.spec import ProgramSpec
from nexus.kernel.holder.spool import Kind, Record, SpoolDamaged
from nexus.kernel.sessions.driver import Audience, Driver, GivenInput
from nexus.kernel.sessions.output import SessionOutput
from nexus.schemas.errors import (
    NexusError,
    NotFound,
    PermissionDenied,
    ResourceUnavailable,
    SessionClosed,
    ValidationError,
)
from nexus.schemas.event import EventName
from nexus.sessions import lines

INTERACTIVE_WINDOW = 32 * 1024
"""So far a program may run ahead of a person who is its only reader: ^C is then felt at once."""

SIGNAL_BASE = 128

log = logging.getLogger("nexus.kernel.holder")


class HeldDriver(Driver):
    """Runs one program under the session's id. The holder knows what input it had, and outlives the kernel."""

    numbers_input = True
    busy = False

    def __init__(self, output: SessionOutput, holding: Holding) -> None:
        self.output = output
        self.holding = holding
        self.name = output.session.session_id
        self.source = f"spool/{self.name}/{output.epoch}"
        self.keep = 30.0
        """How many seconds an ended program is kept for a restart."""
        self._reading: asyncio.Task[None] | None = None
        self._readers = 0
        self._sole: int | None = None
        self._sent: deque[tuple[int, int]] = deque()

    # -- what a subclass says

    async def specify(self) -> ProgramSpec:
        """Return the program to start, and describe the session. Raises what makes it impossible."""
        raise NotImplementedError

    def payloads(self, records: Sequence[Record]) -> list[str]:
        """Turn STDOUT and STDERR records, which come in order, into payloads of data events."""
        raise NotImplementedError

    def marks(self, end: int) -> list[tuple[str, int]]:
        """Return what to commit with the payloads: each source with the position up to which it is in the log."""
        return [(self.source, end)]

    def last_payloads(self) -> list[str]:
        """Return payloads for what is left when no more comes."""
        return []

    def go_on(self, positions: dict[str, int]) -> None:
        """Take up the committed position of each source of `marks`, where there is more than one."""

    def is_told(self, record: Record) -> bool:  # noqa: ARG002 -- for who reads from before what was told
        """Whether an earlier kernel told this record, which is no output, already."""
        return False

    async def restore(self) -> None:
        """Take up the state that an earlier kernel had, from the session's log."""

    async def over(self) -> None:
        """Let go of what the program had: it has ended, or did not begin. More than once is safe."""

    def started(self, facts: dict[str, Any]) -> str:
        """Return the message of the status that tells that the program runs."""
        return f"The program runs as process {facts['pid']}."

    # -- the driver's face

    async def start(self) -> None:
        try:
            await self._start()
        except BaseException:
            await self.over()
            raise

    async def _start(self) -> None:
        spec = await self.specify()
        async with self.holding.room(self.name):
            position = await self._spawned(spec)
        self._read(position)

    async def _spawned(self, spec: ProgramSpec) -> int:
        """Start the program, or start it again; return the position in its spool from which to read."""
        holder = await self.holding.holder()
        self.holding.claim(self.name)
        known = {held.name: held for held in await holder.programs()}.get(self.name)
        try:
            if known is None:
                if self.output.epoch > 1:  # an earlier holder's spool is not this program's
                    await holder.forget(self.name)
                await holder.spawn(self.name, spec)
                position = 0
            else:
                position = known.end
                starting = lines.status("connecting", "The program starts again.")
                await self.output.append([starting], event="status", marks=self.marks(position))
                await holder.restart(self.name)
        except Refused as refused:
            self.holding.release(self.name)
            raise told(refused, spec) from refused
        return position

    async def resume(self) -> None:
        self.holding.claim(self.name)
        await self.holding.holder()
        positions = {source: await self.output.position(source) for source, _ in self.marks(0)}
        self.go_on(positions)
        position = min(positions.values())
        await self.restore()
        if self.name not in self.holding.place.names():
            await self._lose()
            await self.over()
            return
        self._read(position)

    async def send(self, given: GivenInput) -> bool:
        holder = await self.holding.holder()
        try:
            return await holder.write(self.name, given.data, writer=given.client, number=given.number)
        except Refused as refused:
            raise self._told(refused) from refused

    async def interrupt(self) -> None:
        holder = await self.holding.holder()
        try:
            await holder.interrupt(self.name)
        except Refused as refused:
            raise self._told(refused) from refused

    async def resize(self, columns: int, rows: int) -> None:
        holder = await self.holding.holder()
        try:
            await holder.resize(self.name, columns, rows)
        except Refused as refused:
            raise self._told(refused) from refused

    def audience(self, audience: Audience) -> None:
        holder = self.holding.connected
        if holder is None:
            return
        if bool(audience.readers) != bool(self._readers):
            holder.tell({"op": "attend", "name": self.name, "watched": bool(audience.readers)})
        self._readers = audience.readers
        before, self._sole = self._sole, audience.sole
        if audience.sole is not None:
            self._acknowledge(audience.sole)
        elif before is not None:
            holder.tell({"op": "window", "name": self.name, "size": None})

    def _acknowledge(self, seq: int) -> None:
        """Let the program run a window ahead of the position that the one reader is through with."""
        position = 0
        while self._sent and self._sent[0][0] <= seq:
            position = self._sent.popleft()[1]
        if holder := self.holding.connected:
            size = {"size": INTERACTIVE_WINDOW, "acknowledged": position}
            holder.tell({"op": "window", "name": self.name, **size})

    async def close(self, reason: str) -> None:
        from nexus.kernel.holder.client import HolderLost

        with contextlib.suppress(Refused, HolderLost):  # it has ended, which the reading tells
            await (await self.holding.holder()).end(self.name, reason=reason)
        if self._reading is not None:
            await asyncio.wait([self._reading])

    async def detach(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    # -- within

    def _told(self, refused: Refused) -> NexusError:
        if refused.code in ("ended", "unknown"):
            return SessionClosed(session_id=self.name)
        return ResourceUnavailable.because(str(refused), session_id=self.name, retry_after_ms=200)

    def _read(self, position: int) -> None:
        self._sent.append((0, position))
        self._reading = asyncio.create_task(self._read_to_end(position), name=f"held {self.name}")

    async def _read_to_end(self, position: int) -> None:
        from nexus.kernel.holder.client import HolderLost

        try:
            reader = (await self.holding.holder()).output(self.name, position)
            try:
                while not await self._take(records := await reader.read()):
                    reader.confirmed = min(confirmed for _, confirmed in self.marks(records[-1].end))
            finally:
                reader.close()
        except (HolderLost, SpoolDamaged, FileNotFoundError) as error:
            log.warning("session %s lost its program: %s", self.name, error)
            await self._lose()
        except SessionClosed:
            # It was ended from elsewhere, and nobody wants the rest.
            if holder := self.holding.connected:
                holder.tell({"op": "close", "name": self.name})
        except NexusError:
            log.exception("session %s cannot be written", self.name)
        await self.over()
        self.holding.release(self.name, after=self.keep)

    async def _take(self, records: list[Record]) -> bool:
        """Commit records as events. Return whether the program's end was among them."""
        run: list[Record] = []
        for record in records:
            if record.kind in (Kind.STDOUT, Kind.STDERR):
                run.append(record)
                continue
            await self._append(run)
            run = []
            facts = json.loads(record.payload)
            if record.kind == Kind.EXIT:
                await self._end(facts)
                return True
            if not self.is_told(record):
                await self._tell(record, facts)
        await self._append(run)
        return False

    async def _append(self, run: list[Record]) -> None:
        if run:
            payloads, end = self.payloads(run), run[-1].end
            if payloads:
                await self.appended(await self.output.append(payloads, marks=self.marks(end)), end)

    async def _tell(self, record: Record, facts: dict[str, Any]) -> None:
        """Tell what the holder says beside the output: that it runs, that it is paused, its terminal's size."""
        event: EventName
        marks = self.marks(record.end)
        if record.kind == Kind.STARTED:
            payload, event = lines.status("connected", self.started(facts)), "status"
        elif "paused" in facts:
            message = f"The program is paused: {facts['limit']} bytes of its output wait to be stored."
            payload, event = lines.status("idle", message), "status"
        elif "resumed" in facts:
            payload, event = lines.status("connected", "The program goes on."), "status"
        else:
            payload, event = lines.payload(facts), "metadata"
        last = await self.output.append([payload], event=event, marks=marks)
        await self.appended(last, record.end)

    async def appended(self, seq: int, position: int) -> None:
        """Learn that everything up to the spool's position is in the log, up to `seq`."""
        if self._sole is None:
            self._sent.clear()
        self._sent.append((seq, position))
        if self._sole is not None and self._sole >= seq:
            self._acknowledge(seq)  # its reader was faster than we learned that it is committed

    async def _end(self, facts: dict[str, Any]) -> None:
        if rest := self.last_payloads():
            await self.output.append(rest)
        code = facts["code"] if facts["signal"] is None else SIGNAL_BASE + facts["signal"]
        # Whoever hears of the end may end this process.
        await self.over()
        await self.output.end(facts["reason"], code)

    async def _lose(self) -> None:
        """Tell that nobody knows how the program ended."""
        error = ResourceUnavailable.because("What held the program has ended, and the program with it.")
        with contextlib.suppress(SessionClosed):
            if rest := self.last_payloads():
                await self.output.append(rest)
            await self.output.error(error)
            await self.over()
            await self.output.end("lost", None, "error")


def told(refused: Refused, spec: ProgramSpec) -> NexusError:
    """Return why a program did not start as an error that says what to do."""
    stage, reason = refused.data.get("stage"), str(refused)
    if refused.code != "spawn":
        return ResourceUnavailable.because(reason)
    if stage == "program":
        if refused.data.get("errno") == 2:
            return NotFound(resource="program", reference=spec.argv[0])
        return PermissionDenied.because(f"{spec.argv[0]} cannot be run: {reason}.", program=spec.argv[0])
    if stage == "folder":
        return ValidationError.because(f"{spec.cwd} cannot be entered: {reason}.", field="cwd")
    return ResourceUnavailable.because(f"No program can be started: {reason}.", hint="Close some, then try again.")
