"""Processes by what they are called: an id for what the kernel started, PID or PID@START for any other."""

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from nexus.kernel.holder.holding import Holding
from nexus.kernel.holder.refusal import Refused
from nexus.schemas.errors import Conflict, NotFound
from nexus.schemas.process import ProcessDetails, ProcessInfo, ProcessKind, Signalled

if TYPE_CHECKING:
    import psutil

    from nexus.kernel.holder.client import Held

Answer = TypeVar("Answer", bound=ProcessInfo)


class Named:
    """A program of the holder's, and what its label says of it."""

    def __init__(self, held: "Held") -> None:
        label = json.loads(held.label or "{}")
        self.held = held
        self.kind: ProcessKind = "started" if "process" in label else "terminal"
        self.id: str = label.get("process") or held.name
        self.name: str = label.get("name", "")
        self.session_id: str = label.get("session") or held.name
        self.step: str | None = self.name if "session" in label else None
        """A run's step is known by its name: what runs it is the program that makes its walls."""

    def ended(self) -> ProcessInfo:
        """Describe it without its process."""
        return ProcessInfo(
            id=self.id, kind=self.kind, pid=None, name=self.name, state="exited", session_id=self.session_id
        )


class KnownProcesses:
    """Finds, describes and signals processes. What the system is asked is asked in a thread."""

    def __init__(self, holding: Holding) -> None:
        self._holding = holding

    async def started(self) -> list[ProcessInfo]:
        """Describe what the kernel started and the holder has, terminals among it."""
        return [await self._described(named) for named in await self._held()]

    async def others(self) -> list[ProcessInfo]:
        """Describe this user's processes that were not started here."""
        from nexus.kernel.processes import table

        ours = {named.held.pid for named in await self._held()}
        return [process for process in await asyncio.to_thread(lambda: list(table.listed())) if process.pid not in ours]

    async def view(self, reference: str) -> ProcessInfo:
        """Describe a process. Raises `NotFound`."""
        from nexus.kernel.processes import table

        named = await self._named(reference)
        if named is not None:
            return await self._described(named)
        return await asyncio.to_thread(lambda: table.described(table.found(reference)))

    async def inspect(self, reference: str) -> ProcessDetails:
        """Describe a process with all that can be known of it. Raises `NotFound`."""
        from nexus.kernel.processes import table

        named = await self._named(reference)
        if named is None:
            return await asyncio.to_thread(lambda: table.inspected(table.found(reference)))
        if named.held.pid is None:
            return ProcessDetails(**named.ended().model_dump(by_alias=False))
        return await self._of(named, table.inspected)

    async def process(self, reference: str) -> "psutil.Process":
        """Return the running process that is meant. Raises `NotFound`."""
        from nexus.kernel.processes import table

        named = await self._named(reference)
        if named is None:
            return await asyncio.to_thread(table.found, reference)
        if named.held.pid is None:
            raise NotFound(resource="running process", reference=reference, hint="nexus debug process list")
        return await asyncio.to_thread(table.found, str(named.held.pid))

    async def kill(self, reference: str, signal: str, *, everyone: bool) -> Signalled:
        """Send a signal. Raises `NotFound`, `PermissionDenied`, `Conflict` for what has ended, `ValidationError`."""
        from nexus.kernel.processes import table

        number = table.signal_number(signal)
        before = await self.view(reference)
        named = await self._named(reference)
        if named is None:
            process = await asyncio.to_thread(table.found, before.id)
            await asyncio.to_thread(table.send, process, number)
        else:
            try:
                await (await self._holding.holder()).signal(named.held.name, number, everyone=everyone)
            except Refused as refused:
                raise Conflict.because(f"The process {reference} has ended.", id=named.id) from refused
        return Signalled(signal=table.signal_name(number), process=before)

    async def output_file(self, reference: str) -> str | None:
        """Return the file that a process writes its output to, None when it is none."""
        from nexus.kernel.processes import table

        process = await self.process(reference)
        return await asyncio.to_thread(table.output_file, process)

    async def _held(self) -> list[Named]:
        if self._holding.connected is None and not self._holding.place.names():
            return []
        return [Named(held) for held in await (await self._holding.holder()).programs()]

    async def _named(self, reference: str) -> Named | None:
        """Return what the kernel started under this id, or as this pid; None when it is none of them."""
        for named in await self._held():
            if reference in (named.id, named.held.name) or reference == str(named.held.pid):
                return named
        if reference.startswith(("prc_", "ses_", "run_")):
            raise NotFound(resource="process", reference=reference, hint="nexus debug process list")
        return None

    async def _described(self, named: Named) -> ProcessInfo:
        from nexus.kernel.processes import table

        if named.held.pid is None:
            return named.ended()
        try:
            process = await self._of(named, table.described)
        except NotFound:
            return named.ended()
        if named.held.paused:
            process.state = "paused"
        return process

    async def _of(self, named: Named, look: Callable[..., Answer]) -> Answer:
        from nexus.kernel.processes import table

        pid = str(named.held.pid)
        facts = {"kind": named.kind, "known_as": named.id, "session_id": named.session_id}
        answer = await asyncio.to_thread(lambda: look(table.found(pid), **facts))
        if named.step is not None:
            answer.name = named.step
        return answer
