"""One connection to the resident's socket: a launcher with a command, or somebody who speaks HTTP."""

import asyncio
import logging
import sys
from typing import Protocol, cast

from nexus.call import HAND_OVER, Call, Output
from nexus.launcher import frames
from nexus.launcher.exchange import PEER
from nexus.launcher.frames import FrameInvalid, FrameReader, frame, head
from nexus.resident.ends import FrameInput, FrameOutput, FrameSignals, FrameTerminal
from nexus.resident.prints import COMMAND
from nexus.resident.request import OtherProtocol, Request, read_request
from nexus.schemas.errors import ReaderGone
from nexus.schemas.stream import HANDED_OVER

HELLO_SECONDS = 10.0
"""How long a connection may take to say what it wants."""

TERMINATED_STATUS = 143
MOST_PRINTED = 1 << 19
"""Bytes. What a library prints while so many wait to be read is dropped: a print waits for nobody."""

_log = logging.getLogger(__name__)


class Refused(Exception):
    """The command is not run here; the text says why."""


class Draining(Exception):
    """The command is for this resident's successor."""


class House(Protocol):
    """What a connection needs of the resident."""

    instance: bytes
    owner: int

    def admit(self, request: Request) -> None:
        """Return when the command is to be run here. Raises `Refused`, `Draining`."""
        ...

    async def answer(self, call: Call) -> int:
        """Run the command; print everything through the call; return the exit status."""
        ...

    def entered(self, connection: "Connection") -> None: ...

    def left(self, connection: "Connection") -> None: ...

    def take_http(self, transport: asyncio.Transport, data: bytes) -> None:
        """Serve a connection whose first bytes are not a launcher's."""
        ...


class Connection(asyncio.Protocol):
    """A launcher's command, from its hello to its exit status. When the launcher goes, the work is cancelled."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._reader = FrameReader(frames.LARGEST_HELLO)
        self._transport: asyncio.Transport | None = None
        self._overdue: asyncio.TimerHandle | None = None
        self._begun = False
        self._gone = False
        self._loop = asyncio.get_running_loop()
        self._writable = asyncio.Event()
        self._writable.set()
        self._outgoing: list[bytes | memoryview] = []
        self._held = 0
        self._signals = FrameSignals()
        self._stdin: FrameInput | None = None
        self._stdout: FrameOutput | None = None
        self._terminal: FrameTerminal | None = None
        self.work: asyncio.Task[None] | None = None

    # The loop's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._house.entered(self)
        peer = transport.get_extra_info("socket").getsockopt(*PEER)
        if int.from_bytes(peer[4:8], sys.byteorder) != self._house.owner:
            _log.warning("a process of another user was turned away")
            self._transport.abort()
            return
        self._overdue = asyncio.get_running_loop().call_later(HELLO_SECONDS, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        if not self._begun:
            self._begin(data)
            return
        self._take(data)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._gone = True
        self._cancel_overdue()
        self._writable.set()
        if self._stdin is not None:
            self._stdin.hang_up()
        if self.work is not None and not self.work.done():
            self.work.cancel()
        self._house.left(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def eof_received(self) -> bool:
        return False

    # The launcher's side.

    def _begin(self, data: bytes) -> None:
        self._begun = True
        if data[0] == frames.HELLO:
            self._take(data)
            return
        self._cancel_overdue()
        transport = self._open_transport()
        self._house.take_http(transport, data)
        self._house.left(self)

    def _take(self, data: bytes) -> None:
        try:
            for kind, payload in self._reader.feed(data):
                self._do(kind, payload)
        except (FrameInvalid, ValueError) as error:
            _log.warning("a launcher's frames cannot be read: %s", error)
            self._last(frames.REFUSED, f"The resident cannot read what it was sent: {error}.".encode())

    def _do(self, kind: int, payload: bytes) -> None:
        if kind == frames.HELLO and self.work is None:
            self._reader.largest = frames.LARGEST
            self._cancel_overdue()
            self._greet(payload)
        elif kind == frames.PING:
            self._put(frame(frames.PONG))
        elif kind == frames.SIGNAL:
            self._signals.feed(int(payload))
        elif kind == frames.WINDOW and self._terminal is not None:
            columns, rows = payload.split()
            self._terminal.feed(int(columns), int(rows))
        elif kind in (frames.STDIN_DATA, frames.STDIN_END) and self._stdin is not None:
            self._stdin.feed(payload)

    def _greet(self, payload: bytes) -> None:
        try:
            request = read_request(payload)
            self._house.admit(request)
        except (OtherProtocol, Draining):
            self._last(frames.DRAINING, self._house.instance)
        except Refused as refused:
            self._last(frames.REFUSED, str(refused).encode())
        else:
            self.work = asyncio.get_running_loop().create_task(self._answer(request))

    async def _answer(self, request: Request) -> None:
        COMMAND.set(self)
        stdin, stdout, stderr = request.terminals
        self._stdout = FrameOutput(self, frames.STDOUT, is_terminal=stdout)
        self._stdin = FrameInput(self, is_terminal=stdin)
        if stdin and stdout:
            self._terminal = FrameTerminal(self, request.columns, request.rows)
        call = Call(
            argv=request.argv,
            cwd=request.cwd,
            environment=request.environment,
            stdin=self._stdin,
            stdout=self._stdout,
            stderr=FrameOutput(self, frames.STDERR, is_terminal=stderr),
            signals=self._signals,
            umask=request.umask,
            limits=request.limits,
            columns=request.columns,
            rows=request.rows,
            again=request.again,
            printed=request.printed,
            terminal=self._terminal,
        )
        try:
            status = await self._house.answer(call)
        except ReaderGone as gone:
            status = gone.exit_status
        except Exception as fault:  # noqa: BLE001 -- the dispatcher raises nothing; a broken installation may
            status = await self._tell_fault(fault, call.stdout)
        if status == HANDED_OVER:
            # Without an exit the launcher takes the stream up with the next resident, behind the last mark.
            self._flush()
            self._open_transport().close()
        else:
            self._last(frames.EXIT, b"%d" % status)

    async def _tell_fault(self, fault: Exception, stdout: Output) -> int:
        from nexus.launcher.failure import INTERNAL_STATUS, internal

        _log.exception("a command was not answered")
        await stdout.write(internal(f"{type(fault).__name__}: {fault}"))
        return INTERNAL_STATUS

    @property
    def busy(self) -> bool:
        """Whether a command is under way here."""
        return self.work is not None and not self.work.done()

    def printed(self, data: bytes) -> None:
        """Pass on what code printed for this command; from any thread, at once, and not without bound."""
        self._loop.call_soon_threadsafe(self._take_print, data)

    def _take_print(self, data: bytes) -> None:
        if not self._gone and self._open_transport().get_write_buffer_size() < MOST_PRINTED:
            self._put(frame(frames.STDERR, data[:MOST_PRINTED]))

    def signal(self, number: int) -> None:
        """Send the command a signal, as its launcher would."""
        self._signals.feed(number)

    def hand_over(self) -> None:
        """Let the next resident go on with a command's stream, where its launcher has something to go on from."""
        if self._terminal is not None or (self._stdout is not None and self._stdout.marked):
            self._signals.feed(HAND_OVER)

    def give_up(self) -> None:
        """End a command that does not end by itself: its launcher is told so, and its work cancelled."""
        from nexus.launcher.failure import terminated

        if not self.busy:
            self._open_transport().abort()
            return
        if self._stdout is not None and not self._stdout.written:
            self._put(frame(frames.STDOUT, terminated()))
        self._last(frames.EXIT, b"%d" % TERMINATED_STATUS)
        if self.work is not None:
            self.work.cancel()

    # What goes out.

    async def send(self, kind: int, payload: bytes | memoryview) -> None:
        """Send one frame at the launcher's pace. Raises `ReaderGone`."""
        if not self._writable.is_set():
            await self._writable.wait()
        if self._gone:
            raise ReaderGone
        # The payload is copied once, when all that is held becomes one write.
        self._put(head(kind, len(payload)))
        self._put(payload)
        if self._held >= frames.CHUNK:
            # Now, so that a full line stops the next frame; and others' turn, for this one may never have to wait.
            self._flush()
            await asyncio.sleep(0)

    def _put(self, data: bytes | memoryview) -> None:
        """Hold a frame until the loop turns: an answer and its exit status then leave as one write."""
        if not self._outgoing:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outgoing.append(data)
        self._held += len(data)

    def _flush(self) -> None:
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        self._held = 0
        if data and not self._gone:
            self._open_transport().write(data)

    def _last(self, kind: int, payload: bytes) -> None:
        """Send the last frame and close when it has left."""
        self._outgoing.append(frame(kind, payload))
        self._flush()
        if not self._gone:
            self._open_transport().close()

    def _open_transport(self) -> asyncio.Transport:
        if self._transport is None:
            raise RuntimeError("the connection has not been made")
        return self._transport

    def _cancel_overdue(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None
