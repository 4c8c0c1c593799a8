"""The kernel's end of the holder: requests over its socket, output from the spools."""

import asyncio
import contextlib
import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from nexus.kernel.holder.frames import PROTOCOLS, FrameInvalid, FrameReader, Head, encode
from nexus.kernel.holder.place import HolderPlace, PlaceUnsafe, peer_uid
from nexus.kernel.holder.refusal import Refused
from nexus.kernel.holder.spec import ProgramSpec
from nexus.kernel.holder.spool import Record, SpoolReader
from nexus.kernel.holder.start import IDLE, HolderFailed, start_holder

ANSWER_TIMEOUT = 20.0
CONFIRM_BYTES = 1024 * 1024
READ_BYTES = 256 * 1024


class HolderLost(Exception):
    """The connection to the holder ended: it died, or another kernel took over."""


@dataclass(frozen=True, slots=True)
class Held:
    """A program as the holder has it. Positions are of its spool; `pid` is None once it has ended."""

    name: str
    running: bool
    pid: int | None
    generation: int
    terminal: tuple[int, int] | None
    paused: tuple[str, ...]
    start: int
    end: int
    label: str

    @classmethod
    def from_wire(cls, facts: Mapping[str, Any]) -> Self:
        size = facts["terminal"]
        return cls(
            name=facts["name"],
            running=facts["running"],
            pid=facts["pid"],
            generation=facts["generation"],
            terminal=(size[0], size[1]) if size else None,
            paused=tuple(facts["paused"]),
            start=facts["start"],
            end=facts["end"],
            label=facts["label"],
        )


class ProgramOutput:
    """What a program prints, read from its spool as it comes. The reader says in `confirmed` what it has safe."""

    def __init__(self, holder: "Holder", name: str, position: int) -> None:
        self.confirmed = 0
        """The position before which nothing is needed any more; its bytes may be deleted."""
        self._holder = holder
        self._name = name
        self._bell = holder.bell(name)
        self._spool = SpoolReader(holder.place.spool(name), position)
        self._told = 0

    async def read(self) -> list[Record]:
        """Return what was printed since, waiting for it. Raises `HolderLost` once nothing more can come."""
        while True:
            lost = self._holder.lost  # what was printed before is in the spool by now
            if records := self._spool.read(READ_BYTES):
                if self.confirmed - self._told >= CONFIRM_BYTES:
                    await self._ring()
                return records
            if lost is not None:
                raise HolderLost(lost)
            self._bell.clear()
            try:
                waits = await self._ring()
            except Refused as refused:  # it was held by an earlier holder, so nothing more comes
                raise HolderLost(str(refused)) from refused
            if waits:
                await self._bell.wait()

    def close(self) -> None:
        """Let go of the spool's file."""
        self._spool.close()

    async def _ring(self) -> bool:
        self._told = self.confirmed
        return await self._holder.ring(self._name, self._spool.position, self.confirmed)


class Holder:
    """A connection to the holder of one place. Requests raise `Refused`, `HolderLost` and `TimeoutError`.

    The newest connection is the one that counts: the holder ends the one before it.
    """

    def __init__(self, place: HolderPlace, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.place = place
        self.pid = 0
        self.protocol = 0
        self.found: list[Held] = []
        """The programs that it held when we came."""
        self.left: list[str] = []
        """The spools of programs that an earlier holder held, and that are no more."""
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Head]] = {}
        self._bells: dict[str, asyncio.Event] = {}
        self._lost: str | None = None
        self._listening = asyncio.create_task(self._listen(), name="holder")

    @classmethod
    async def open(cls, place: HolderPlace, *, idle: float = IDLE) -> Self:
        """Connect to the place's holder; start it where there is none.

        Raises `HolderFailed`, `PlaceUnsafe`, and `Refused` with code `version`.
        """
        for _ in range(3):
            with contextlib.suppress(HolderLost, ConnectionError, FileNotFoundError):
                return await cls.connect(place)
            await start_holder(place, idle=idle)
        raise HolderFailed("it ends as soon as it has started")

    @classmethod
    async def connect(cls, place: HolderPlace) -> Self:
        """Connect to a holder that runs. Raises `ConnectionError` or `FileNotFoundError` where none does."""
        reader, writer = await asyncio.wait_for(asyncio.open_unix_connection(place.socket), ANSWER_TIMEOUT)
        if peer_uid(writer.get_extra_info("socket")) != os.getuid():
            writer.close()
            raise PlaceUnsafe(f"{place.socket} is another user's")
        holder = cls(place, reader, writer)
        try:
            answer = await holder._ask({"op": "hello", "protocols": list(PROTOCOLS)})
        except BaseException:
            await holder.close()
            raise
        holder.pid, holder.protocol = answer["pid"], answer["protocol"]
        holder.found, holder.left = [Held.from_wire(facts) for facts in answer["programs"]], answer["left"]
        return holder

    @property
    def lost(self) -> str | None:
        """Why the connection has ended, None while it has not."""
        return self._lost

    async def until_lost(self) -> str:
        """Wait until the connection has ended, and return why."""
        await asyncio.wait([self._listening])
        return self._lost or ""

    async def close(self) -> None:
        """End the connection. The programs go on."""
        self._listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listening
        self._end("we closed it")
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    # -- programs ----------------------------------------------------------------------------------------------------

    async def programs(self) -> list[Held]:
        """The programs that it holds, those that have ended and are not forgotten among them."""
        return [Held.from_wire(facts) for facts in (await self._ask({"op": "programs"}))["programs"]]

    async def spawn(self, name: str, spec: ProgramSpec) -> Held:
        """Start a program. A name that is held already is answered with that program, and nothing is started.

        Raises `Refused` with code `spawn` and data `stage` (folder, program, limits, process) and `errno`.
        """
        return Held.from_wire(await self._ask({"op": "spawn", "name": name, "spec": spec.to_wire()}))

    async def write(self, name: str, data: bytes, *, writer: str, number: int) -> bool:
        """Write input once: False when `writer` has used this number, or a later one, before."""
        answer = await self._ask({"op": "write", "name": name, "writer": writer, "number": number}, data)
        return bool(answer["applied"])

    async def end_input(self, name: str) -> None:
        """Close the program's stdin; in a terminal, press ^D."""
        await self._ask({"op": "end_input", "name": name})

    async def resize(self, name: str, columns: int, rows: int) -> None:
        await self._ask({"op": "resize", "name": name, "columns": columns, "rows": rows})

    async def repaint(self, name: str, *, force: bool) -> None:
        """Make a full-screen program paint its screen anew; without `force` only a job that is not the shell itself."""
        await self._ask({"op": "repaint", "name": name, "force": force})

    async def interrupt(self, name: str) -> None:
        """Interrupt the foreground job, as ^C does."""
        await self._ask({"op": "interrupt", "name": name})

    async def signal(self, name: str, number: int, *, everyone: bool = False) -> None:
        """Signal the program, or `everyone` in its session."""
        await self._ask({"op": "signal", "name": name, "number": number, "everyone": everyone})

    async def restart(self, name: str) -> None:
        """End the program if it runs, and start it again: its output goes on in the same spool."""
        await self._ask({"op": "restart", "name": name})

    async def end(
        self, name: str, *, reason: str = "closed", ladder: Sequence[tuple[int, float]] | None = None
    ) -> None:
        """End the program: HUP (TERM on pipes), TERM, KILL, or the signals of `ladder`, each after its pause."""
        await self._ask({"op": "close", "name": name, "reason": reason, "ladder": ladder})

    async def forget(self, name: str) -> None:
        """Delete an ended program's spool."""
        await self._ask({"op": "forget", "name": name})

    async def attend(self, name: str, watched: bool) -> None:
        """Say whether somebody watches: a watched program is never idle."""
        await self._ask({"op": "attend", "name": name, "watched": watched})

    async def window(self, name: str, size: int | None, acknowledged: int = 0) -> None:
        """Let the program run at most `size` bytes ahead of the position that its one reader acknowledged."""
        await self._ask({"op": "window", "name": name, "size": size, "acknowledged": acknowledged})

    async def status(self) -> Head:
        return await self._ask({"op": "status"})

    async def stop(self) -> None:
        """End all programs, and the holder."""
        await self._ask({"op": "stop"})

    def output(self, name: str, position: int = 0) -> "ProgramOutput":
        """Return what reads the program's output from `position` on."""
        return ProgramOutput(self, name, position)

    def tell(self, head: Head) -> None:
        """Send a request that nobody waits for the answer of. A connection that has ended takes none."""
        if self._lost is None:
            self._writer.write(encode(head))

    async def ring(self, name: str, after: int, confirmed: int) -> bool:
        """Confirm what was read; True when the bell will ring for what comes behind `after`, False when it is there."""
        with contextlib.suppress(HolderLost):
            answer = await self._ask({"op": "ring", "name": name, "after": after, "confirmed": confirmed})
            return answer["end"] is None
        return False

    def bell(self, name: str) -> asyncio.Event:
        """What is set when the program printed more, and when the connection has ended."""
        return self._bells.setdefault(name, asyncio.Event())

    # -- wire --------------------------------------------------------------------------------------------------------

    async def _ask(self, head: Head, body: bytes = b"") -> Head:
        if self._lost is not None:
            raise HolderLost(self._lost)
        number = next(self._numbers)
        answer: asyncio.Future[Head] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            self._writer.write(encode({**head, "n": number}, body))
            async with asyncio.timeout(ANSWER_TIMEOUT):
                await self._writer.drain()
                told = await answer
        except ConnectionError as error:
            self._end(str(error))
            raise HolderLost(str(error)) from error
        finally:
            self._answers.pop(number, None)
        if refusal := told.get("error"):
            raise Refused(refusal.pop("code"), refusal.pop("message"), **refusal)
        return told

    async def _listen(self) -> None:
        frames = FrameReader()
        reason = "the holder ended"
        try:
            while data := await self._reader.read(256 * 1024):
                for head, _ in frames.feed(data):
                    if head.get("op") == "superseded":
                        reason = "another kernel took over"
                    self._received(head)
        except (OSError, FrameInvalid) as error:
            reason = str(error)
        finally:
            self._end(reason)

    def _received(self, head: Head) -> None:
        if (answer := self._answers.get(head.get("re", 0))) is not None and not answer.done():
            answer.set_result(head)
        elif head.get("op") == "printed" and (bell := self._bells.get(head["name"])):
            bell.set()

    def _end(self, reason: str) -> None:
        if self._lost is None:
            self._lost = reason
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(HolderLost(self._lost))
        for bell in self._bells.values():
            bell.set()
