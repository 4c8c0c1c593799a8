"""One held program: it starts, runs and ends in this order, and may start again under the same name.

Its exit is recorded after its last byte of output: when it has ended and nobody holds its terminal or pipes any more,
or `linger` seconds later.
"""

import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from nexus.kernel.holder import targets
from nexus.kernel.holder.input import Input
from nexus.kernel.holder.output import Output
from nexus.kernel.holder.pace import Pace
from nexus.kernel.holder.reactor import Callback, Reactor, Timer
from nexus.kernel.holder.refusal import Refused
from nexus.kernel.holder.spawn import Ends, start, window_size
from nexus.kernel.holder.spec import ProgramSpec
from nexus.kernel.holder.spool import Kind, SpoolWriter

REPAINT_PAUSE = 0.06
"""Long enough for a program to see a size, short enough for nobody else to see it."""

AGAIN = 0.25
"""A shell that is just about to read its terminal notes a signal, and goes on to wait for a key: it is told twice."""

LAST_WAIT = 1.0
"""How long output is read after KILL: who survived it has a session of its own, and may hold the terminal for ever."""

Told = Callable[[Refused | None], None]
Ladder = Sequence[tuple[int, float]]
"""Signals, and the seconds to wait before each."""


class Owner(Protocol):
    """Who holds the programs."""

    reactor: Reactor
    pace: Pace

    def printed(self, program: "Program") -> None:
        """The program's spool has grown."""

    def ended(self, program: "Program") -> None:
        """The program has ended, and its exit is in the spool."""


class Program:
    """A program by the name its owner gave it. `running` is from the start until its exit is in the spool."""

    def __init__(self, name: str, spec: ProgramSpec, spool: SpoolWriter, owner: Owner) -> None:
        self.name = name
        self.spec = spec
        self.size = spec.terminal
        self.spool = spool
        self.generation = 0
        self.running = False
        self.watched = False
        self.output = Output(
            owner.reactor,
            owner.pace,
            spool,
            spec.spool_limit,
            printed=lambda: owner.printed(self),
            ended=self._output_ended,
        )
        self.input = Input(owner.reactor)
        self._owner = owner
        self._reactor = owner.reactor
        self._ends = Ends(-1, -1)
        self._status: tuple[int | None, int | None] | None = None
        self._reason = "exited"
        self._again = False
        self._active = 0.0
        self._timers: dict[str, Timer] = {}
        self._told: Told | None = None
        self._failure = b""

    # -- start -------------------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int | None:
        """The process id, while it is the program's."""
        return self._ends.pid if self.running else None

    def start(self, told: Told) -> None:
        """Start the program; `told` is called once, with None when it runs or with why it does not."""
        try:
            self._ends = start(self.spec, self.size)
        except OSError as error:
            told(Refused("spawn", os.strerror(error.errno or 0), stage="process", errno=error.errno))
            return
        self.running = True
        self.generation += 1
        self._status, self._reason, self._failure, self._told = None, "exited", b"", told
        self._active = time.monotonic()
        self._reactor.on_readable(self._ends.failure, self._starting)

    def _starting(self) -> None:
        """Read how the start went: end of file alone means that the program runs."""
        data = os.read(self._ends.failure, 64)
        self._failure += data
        if data:
            return
        self._reactor.forget(self._ends.failure)
        told, self._told = self._told, None
        if self._failure:
            stage, _, number = self._failure.decode().partition(":")
            targets.reap(self._ends.pid)
            self._ends.close()
            self.running = False
            refused = Refused("spawn", os.strerror(int(number)), stage=stage, errno=int(number))
        else:
            os.close(self._ends.failure)
            self._ends.failure = -1
            refused = None
            self._started()
        if told:
            told(refused)
        self.reap()

    def _started(self) -> None:
        ends = self._ends
        facts: dict[str, Any] = {"generation": self.generation, "pid": ends.pid}
        if self.size:
            facts |= {"columns": self.size[0], "rows": self.size[1]}
        self.output.tell(Kind.STARTED, facts)
        if self.size:
            self.output.listen(ends.master, Kind.STDOUT)
            self.input.open(ends.master)
        else:
            self.output.listen(ends.stdout, Kind.STDOUT)
            self.output.listen(ends.stderr, Kind.STDERR)
            if ends.stdin >= 0:
                self.input.open(ends.stdin)
        if self.spec.timeout is not None:
            self._later("timeout", self.spec.timeout, lambda: self.close("timeout"))
        if self.spec.idle is not None:
            self._later("idle", self.spec.idle, self._look_idle)

    # -- input and signals -------------------------------------------------------------------------------------------

    def write(self, data: bytes, writer: str, number: int) -> bool:
        """Take input once; see `Input.take`."""
        self._active = time.monotonic()
        if self.output.windowed:
            self._owner.pace.typed()
        return self.input.take(data, writer, number)

    def end_input(self) -> None:
        """No more input comes: a terminal gets its end-of-file character, a pipe is closed after what was written."""
        if self.size:
            self.input.add(b"\x04")
        elif self._ends.stdin >= 0:
            self.input.finish(self._close_stdin)

    def _close_stdin(self) -> None:
        self.input.close()
        self._reactor.forget(self._ends.stdin)
        os.close(self._ends.stdin)
        self._ends.stdin = -1

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal this size; the program is told."""
        if not self.size:
            raise Refused("not-a-terminal", "The program has no terminal.")
        self.size = (columns, rows)
        if self._ends.master >= 0:
            window_size(self._ends.master, columns, rows)
            self.output.tell(Kind.NOTICE, {"columns": columns, "rows": rows})

    def repaint(self, force: bool) -> None:
        """Make a full-screen program paint its screen anew, by a size that changes and changes back.

        Without `force` that is done to a job only: a shell would print its prompt twice.
        """
        if not self.size or self._ends.master < 0:
            return
        if not force and targets.foreground(self._ends.master) == self._ends.pid:
            return
        columns, rows = self.size
        window_size(self._ends.master, columns, rows - 1 if rows > 2 else rows + 1)
        self._later("repaint", REPAINT_PAUSE, self._size_back)

    def _size_back(self) -> None:
        if self.size and self._ends.master >= 0:
            window_size(self._ends.master, *self.size)

    def interrupt(self) -> None:
        """Interrupt the foreground job as its keyboard would; input that waits is dropped, as a terminal does."""
        self._must_run()
        self._active = time.monotonic()
        if not self.size:
            targets.send_group(self._ends.pid, signal.SIGINT)
            return
        key = targets.interrupt_key(self._ends.master)
        if key is None:
            self.input.add(b"\x03")
            return
        self.input.drop()
        try:
            os.write(self._ends.master, key)
        except OSError:
            targets.send_group(targets.foreground(self._ends.master), signal.SIGINT)

    def signal(self, number: int, everyone: bool = False) -> None:
        """Send a signal to the program, or to all of its session."""
        self._must_run()
        if everyone:
            targets.send_session(self._ends.pid, number)
        else:
            os.kill(self._ends.pid, number)  # ours until `_finish` reaps it

    def _must_run(self) -> None:
        if not self.running or self._ends.failure >= 0:
            raise Refused("ended", "The program does not run.")

    # -- end ---------------------------------------------------------------------------------------------------------

    def close(self, reason: str = "closed", ladder: Ladder | None = None) -> None:
        """End the program: one signal after the other until it and whoever holds its output are gone."""
        if not self.running:
            return
        self._again = False
        if self._status is None:
            self._reason = reason
        if ladder is None:
            grace = self.spec.grace
            gently = signal.SIGHUP if self.size and reason != "timeout" else signal.SIGTERM
            ladder = (
                (gently, 0.0),
                (gently, min(grace / 4, AGAIN)),
                (signal.SIGTERM, min(grace, 1.0)),
                (signal.SIGKILL, max(grace - 1.0, 0.0)),
            )
        self._climb(list(ladder))

    def restart(self, told: Told) -> None:
        """End the program if it runs, and start it again."""
        if self.running:
            self.close("restarted")
            self._again = True
            told(None)
        else:
            self.start(told)

    def _climb(self, ladder: list[tuple[int, float]]) -> None:
        if not ladder:
            self._later("linger", LAST_WAIT, self._finish)
            return
        (number, pause), *rest = ladder

        def send() -> None:
            self._send_step(number)
            self._climb(rest)

        self._later("ladder", pause, send)

    def _send_step(self, number: int) -> None:
        targets.send_group(self._ends.pid, number)
        if self.size:
            targets.send_group(targets.foreground(self._ends.master), number)
        if number == signal.SIGKILL or self._status is not None:
            targets.send_session(self._ends.pid, number)
        else:
            targets.send_group(self._ends.pid, signal.SIGCONT)  # a stopped program hears nothing but KILL

    def reap(self) -> None:
        """Look whether the program has ended. It stays a zombie until `_finish`, so that its pid is nobody else's."""
        if not self.running or self._status is not None or self._ends.failure >= 0:
            return
        self._status = targets.ended(self._ends.pid)
        if self._status is None:
            return
        if self._ends.slave >= 0:
            os.close(self._ends.slave)
            self._ends.slave = -1
        if self.output.open:
            self._later("linger", self.spec.linger, self._finish)
        else:
            self._finish()

    def _output_ended(self) -> None:
        if self._status is not None:
            self._finish()

    def _finish(self) -> None:
        """Record the exit and let go of everything."""
        if not self.running or self._status is None:
            return
        self.output.drain()
        if not self.running:
            return  # that was the end of the output, and everything is done
        if self.output.paused and self.output.open:
            self._later("linger", LAST_WAIT, self._finish)  # there is more to read, once it may be
            return
        self.output.drop()
        self.input.close()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        targets.reap(self._ends.pid)
        self._ends.close()
        self.running = False
        code, number = self._status
        self._record_exit(code, number, self._reason)
        if self._again:
            self._again = False
            self.start(self._restarted)
        else:
            self._owner.ended(self)

    def _restarted(self, refused: Refused | None) -> None:
        if refused:
            self._record_exit(127, None, "failed")
            self._owner.ended(self)

    def _record_exit(self, code: int | None, number: int | None, reason: str) -> None:
        facts = {"code": code, "signal": number, "reason": reason, "generation": self.generation}
        self.output.tell(Kind.EXIT, facts)

    # -- time --------------------------------------------------------------------------------------------------------

    def _later(self, name: str, seconds: float, call: Callback) -> None:
        if old := self._timers.get(name):
            old.cancel()
        self._timers[name] = self._reactor.after(seconds, call)

    def _look_idle(self) -> None:
        """End the program if nothing came or went for `idle` seconds, nobody watches, and no job is running."""
        idle = self.spec.idle or 0.0
        job = targets.foreground(self._ends.master)
        active = max(self._active, self.output.active)
        if self.watched or job not in (0, self._ends.pid):
            active = self._active = time.monotonic()
        quiet = time.monotonic() - active
        if quiet >= idle:
            self.close("idle")
        else:
            self._later("idle", idle - quiet, self._look_idle)

    def facts(self) -> dict[str, Any]:
        """Return what an owner that comes later needs to know of the program."""
        return {
            "name": self.name,
            "running": self.running,
            "pid": self.pid,
            "generation": self.generation,
            "terminal": self.size,
            "paused": sorted(self.output.paused),
            "start": self.spool.start,
            "end": self.spool.end,
            "label": self.spec.label,
        }
