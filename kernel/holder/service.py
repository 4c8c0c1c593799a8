"""The holder's service: it holds programs, and does what the one kernel that is connected asks of it."""

import contextlib
import os
import resource
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nexus.kernel.holder.connection import Connection
from nexus.kernel.holder.frames import PROTOCOLS, Head
from nexus.kernel.holder.pace import Pace
from nexus.kernel.holder.place import HolderPlace, peer_uid
from nexus.kernel.holder.program import Program
from nexus.kernel.holder.reactor import Reactor, Timer
from nexus.kernel.holder.refusal import Refused
from nexus.kernel.holder.spec import ProgramSpec
from nexus.kernel.holder.spool import SpoolWriter, remove_spool

SOCKET_CHECK = 5.0
"""How often the holder looks whether its socket is still where it is looked for: a logout may empty its folder."""

STOP_TIMEOUT = 15.0
"""A holder that is told to stop leaves after this, whatever a program or a full disk does."""

Answer = dict[str, Any] | None
LATER: Answer = {"later": True}
"""The answer comes with a callback."""


class Service:
    """All programs of one place. `run` returns when nothing was held and nothing asked for `idle` seconds."""

    def __init__(
        self, place: HolderPlace, reactor: Reactor, *, idle: float, limits: dict[int, tuple[int, int]]
    ) -> None:
        self.reactor = reactor
        self.pace = Pace()
        self._place = place
        self._idle = idle
        self._limits = limits
        self._programs: dict[str, Program] = {}
        self._bells: dict[str, int] = {}
        self._kernel: Connection | None = None
        self._arrivals: set[Connection] = set()
        self._listener: socket.socket | None = None
        self._leaving: Timer | None = None
        self._stopping = False
        self._done = False
        self._began = time.time()
        self._operations: dict[str, Callable[[Head, bytes], Answer]] = {
            name.removeprefix("_do_"): getattr(self, name) for name in dir(self) if name.startswith("_do_")
        }

    def listen(self) -> None:
        """Bind the socket. The caller holds the place's lock, so what is there is nobody's."""
        path = self._place.socket
        self._place.prepare()
        if os.path.lexists(path):
            os.unlink(path)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(8)
        listener.setblocking(False)
        if self._listener is not None:
            self.reactor.forget(self._listener.fileno())
            self._listener.close()
        self._listener = listener
        self._bound = os.stat(path).st_ino
        self.reactor.on_readable(listener.fileno(), self._accept)

    def run(self) -> None:
        """Serve until there is nothing to hold."""
        self.reactor.on_signal(signal.SIGCHLD, self._reap)
        for number in (signal.SIGTERM, signal.SIGINT):
            self.reactor.on_signal(number, lambda: self._stop("shutdown"))
        self._check_socket()
        self._look_idle()
        while not self._done:
            try:
                self.reactor.turn()
            except Exception:  # noqa: BLE001 -- a fault of ours with one program must not end all the others
                self._log(traceback.format_exc())
        if self._listener is not None:
            self._listener.close()
            with contextlib.suppress(OSError):
                os.unlink(self._place.socket)

    # -- connections -------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        if self._listener is None:
            return
        try:
            channel, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        if peer_uid(channel) != os.getuid():
            channel.close()
            return
        self._arrivals.add(Connection(self.reactor, channel, self._received, self._lost))

    def _lost(self, connection: Connection) -> None:
        self._arrivals.discard(connection)
        if connection is self._kernel:
            self._kernel = None
            self._alone()

    def _alone(self) -> None:
        """Nobody reads or watches any more: programs go on up to their quota."""
        self._bells.clear()
        for program in self._programs.values():
            program.watched = False
            program.output.window(None, 0)
        self._look_idle()

    def _received(self, connection: Connection, head: Head, body: bytes) -> None:
        answer: Head = {"re": head.get("n")}  # a request without a number wants no answer
        try:
            if connection.protocol == 0:
                answer |= self._greet(connection, head)
            elif connection is not self._kernel:
                answer["error"] = {"code": "superseded", "message": "Another kernel has connected since."}
            else:
                done = self._operation(head)(head, body)
                if done is LATER:
                    return
                answer |= done or {}
        except Refused as refused:
            answer["error"] = refused.to_wire()
        except (KeyError, TypeError, ValueError) as error:
            answer["error"] = {"code": "invalid", "message": f"{type(error).__name__}: {error}"}
        except OSError as error:
            answer["error"] = {"code": "system", "message": str(error), "errno": error.errno}
        if answer["re"] is not None:
            connection.send(answer)

    def _operation(self, head: Head) -> Callable[[Head, bytes], Answer]:
        operation = self._operations.get(str(head.get("op")))
        if operation is None:
            raise Refused("unknown-operation", f"This holder does not know {head.get('op')!r}.")
        return operation

    def _greet(self, connection: Connection, head: Head) -> Head:
        common = set(PROTOCOLS) & set(head.get("protocols", ()))
        if head.get("op") != "hello" or not common:
            raise Refused("version", "This holder speaks other protocols.", protocols=list(PROTOCOLS))
        connection.protocol = max(common)
        self._arrivals.discard(connection)
        if self._kernel is not None:
            # Whoever has the data folder's lock connects: the older one is a kernel that lost it.
            self._kernel.send({"op": "superseded"})
            self._kernel.close()
            self._alone()
        self._kernel = connection
        self._look_idle()  # what an ended program left is wanted again: stay
        return {"protocol": connection.protocol, "pid": os.getpid(), **self._do_programs({}, b"")}

    # -- operations --------------------------------------------------------------------------------------------------

    def _program(self, head: Head) -> Program:
        program = self._programs.get(str(head["name"]))
        if program is None:
            raise Refused("unknown", "The holder has no such program.", name=head["name"])
        return program

    def _told(self, head: Head, program: Program) -> Callable[[Refused | None], None]:
        connection = self._kernel

        def tell(refused: Refused | None) -> None:
            if refused is not None and program.generation == 1 and program.spool.end == 0:
                self._remove(program)
            if connection is not None:
                outcome = {"error": refused.to_wire()} if refused else program.facts()
                connection.send({"re": head.get("n"), **outcome})

        return tell

    def _do_spawn(self, head: Head, _body: bytes) -> Answer:
        name = str(head["name"])
        if known := self._programs.get(name):
            return known.facts()  # asked for again because the answer was lost
        if self._stopping:
            raise Refused("stopping", "The holder is stopping.")
        spec = ProgramSpec.from_wire(head["spec"])
        spec = replace(spec, limits=self._limits | dict(spec.limits))
        program = Program(name, spec, SpoolWriter(self._place.spool(name)), self)
        self._programs[name] = program
        program.start(self._told(head, program))
        self._look_idle()
        return LATER

    def _do_restart(self, head: Head, _body: bytes) -> Answer:
        program = self._program(head)
        program.restart(self._told(head, program))
        self._look_idle()
        return LATER

    def _do_write(self, head: Head, body: bytes) -> Answer:
        return {"applied": self._program(head).write(body, str(head["writer"]), int(head["number"]))}

    def _do_end_input(self, head: Head, _body: bytes) -> Answer:
        self._program(head).end_input()
        return None

    def _do_resize(self, head: Head, _body: bytes) -> Answer:
        self._program(head).resize(int(head["columns"]), int(head["rows"]))
        return None

    def _do_repaint(self, head: Head, _body: bytes) -> Answer:
        self._program(head).repaint(bool(head.get("force")))
        return None

    def _do_interrupt(self, head: Head, _body: bytes) -> Answer:
        self._program(head).interrupt()
        return None

    def _do_signal(self, head: Head, _body: bytes) -> Answer:
        self._program(head).signal(int(head["number"]), bool(head.get("everyone")))
        return None

    def _do_close(self, head: Head, _body: bytes) -> Answer:
        ladder = [(int(number), float(pause)) for number, pause in head["ladder"]] if head.get("ladder") else None
        self._program(head).close(str(head.get("reason", "closed")), ladder)
        return None

    def _do_attend(self, head: Head, _body: bytes) -> Answer:
        self._program(head).watched = bool(head["watched"])
        return None

    def _do_window(self, head: Head, _body: bytes) -> Answer:
        size = head.get("size")
        self._program(head).output.window(None if size is None else int(size), int(head.get("acknowledged", 0)))
        return None

    def _do_ring(self, head: Head, _body: bytes) -> Answer:
        """Confirm what was read, and ring once when there is more than `after`."""
        program = self._program(head)
        program.output.confirm(int(head.get("confirmed", 0)))
        after = int(head["after"])
        if program.spool.end > after:
            return {"end": program.spool.end}
        self._bells[program.name] = after
        return {"end": None}

    def _do_forget(self, head: Head, _body: bytes) -> Answer:
        name = str(head["name"])
        if program := self._programs.get(name):
            if program.running:
                raise Refused("running", "The program still runs.")
            self._remove(program)
        elif name in self._place.names():
            remove_spool(self._place.spool(name))
        return None

    def _do_programs(self, _head: Head, _body: bytes) -> dict[str, Any]:
        held = [program.facts() for program in self._programs.values()]
        left = [name for name in self._place.names() if name not in self._programs]
        return {"programs": held, "left": left}

    def _do_status(self, _head: Head, _body: bytes) -> Answer:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return {"pid": os.getpid(), "began": self._began, "peakMemory": peak, "programs": len(self._programs)}

    def _do_stop(self, _head: Head, _body: bytes) -> Answer:
        self._stop("shutdown")
        return None

    # -- programs ----------------------------------------------------------------------------------------------------

    def printed(self, program: Program) -> None:
        after = self._bells.get(program.name)
        if after is not None and self._kernel is not None and program.spool.end > after:
            del self._bells[program.name]
            self._kernel.send({"op": "printed", "name": program.name, "end": program.spool.end})

    def ended(self, program: Program) -> None:  # noqa: ARG002 -- the face of an owner
        self._look_idle()

    def _remove(self, program: Program) -> None:
        self._programs.pop(program.name, None)
        self._bells.pop(program.name, None)
        program.spool.remove()
        self._look_idle()

    def _reap(self) -> None:
        for program in list(self._programs.values()):
            program.reap()

    # -- end ---------------------------------------------------------------------------------------------------------

    def _stop(self, reason: str) -> None:
        self._stopping = True
        for program in self._programs.values():
            program.output.unbind()
            program.close(reason)
        self.reactor.after(STOP_TIMEOUT, self._leave)
        self._look_idle()

    def _look_idle(self) -> None:
        """Leave in a while if nothing is held."""
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        if not self._holds():
            self._leaving = self.reactor.after(0.0 if self._stopping else self._idle, self._leave)

    def _holds(self) -> bool:
        """Whether a program runs, or the connected kernel may want an ended one again."""
        wanted = self._kernel is not None and not self._stopping
        return any(wanted or program.running for program in self._programs.values())

    def _leave(self) -> None:
        self._done = True

    def _check_socket(self) -> None:
        self.reactor.after(SOCKET_CHECK, self._check_socket)
        try:
            bound = os.stat(self._place.socket).st_ino
        except OSError:
            bound = -1
        if bound != self._bound:
            self.listen()

    def _log(self, text: str) -> None:
        """Write to the log, which is bounded: a fault that repeats fills no disk."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        file = os.open(self._place.log, flags, 0o600)
        try:
            if os.fstat(file).st_size > 1024 * 1024:
                os.ftruncate(file, 0)
            os.write(file, f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}\n".encode(errors="replace"))
        finally:
            os.close(file)
