"""A session's stream as a command prints it: metadata first, the session's lines, one close last."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from nexus.schemas.errors import NexusError, ReportedError, SessionClosed
from nexus.schemas.event import EventName
from nexus.schemas.model import rfc3339
from nexus.sessions import lines
from nexus.sessions.client import Attachment, SessionClient
from nexus.sessions.core.position import Batch
from nexus.sessions.shaping import Shaper
from nexus.sessions.stream import STOP_STATUS, Lines, Printed, StopReason
from nexus.sessions.transport import Joined

OnStop = Callable[[StopReason], Awaitable[object]]
STOP_SECONDS = 5.0
"""How long what a stop sets off may take; nobody waits for it but a process that is about to end."""
GOODBYE_SECONDS = 0.1

_stopping: set["asyncio.Task[None]"] = set()


@dataclass(frozen=True, slots=True)
class Through:
    """A reader has seen what it came for: the command's exit status, and the exit code that its own close tells."""

    status: int
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class Follow:
    """What of a session is printed, and how.

    Without `follow` the stream ends at what is newest when it is joined. `limit` counts the session's lines. `throttle`
    is the least time between two outputs, in seconds: text is joined, other events are sampled. `printed` is how far an
    earlier process came with the same command. `on_stop` is set off when the reader is stopped by a signal: it
    interrupts the session, where the command is one that does. `pass_exit_code` makes the program's exit code the
    command's own. `until` is shown each line, and says where the reader is through behind it, None where it goes on.
    `keep` is shown each line, and says whether it is printed; the others are as if they were not there, and are not
    counted. It knows nothing of the lines before, so that a stream can be gone on with anywhere.
    """

    session_id: str
    epoch: int | None = None
    after: int | None = None
    tail: int | None = None
    follow: bool = True
    limit: int | None = None
    throttle: float | None = None
    format: Literal["json-raw", "json-compact"] = "json-raw"
    printed: Printed | None = None
    on_stop: OnStop | None = None
    pass_exit_code: bool = False
    until: Callable[[bytes], Through | None] | None = None
    keep: Callable[[bytes], bool] | None = None


class SessionStream:
    """A `LineStream` of one session, over any transport."""

    hands_over = True

    def __init__(self, client: SessionClient, asked: Follow) -> None:
        self._client = client
        self._asked = asked
        self._attachment: Attachment | None = None
        self._stop: StopReason | None = None
        self._stopped = asyncio.Event()
        self._status = 0
        self._exit_code: int | None = None
        self._left = None if asked.limit is None else asked.limit - (asked.printed.lines if asked.printed else 0)
        self._until: int | None = None
        self._reached = 0
        self._last_line = b""

    @property
    def session_id(self) -> str:
        return self._asked.session_id

    @property
    def epoch(self) -> int:
        return self._attachment.joined.epoch if self._attachment is not None else self._asked.epoch or 0

    @property
    def exit_status(self) -> int:
        return self._status

    def stop(self, reason: StopReason) -> None:
        if self._stop is not None:
            return
        self._stop = reason
        self._status = STOP_STATUS[reason]
        self._stopped.set()
        if self._asked.on_stop is not None and reason != "handed-over":
            task = asyncio.create_task(_bounded(self._asked.on_stop(reason)))
            _stopping.add(task)
            task.add_done_callback(_stopping.discard)

    async def aclose(self) -> None:
        if _stopping:
            # What was set off goes on without us; a process that ends at once gives it a moment.
            await asyncio.wait(_stopping, timeout=GOODBYE_SECONDS)
        if self._attachment is not None:
            await self._attachment.aclose()

    async def __aiter__(self) -> AsyncIterator[Lines]:
        attachment = self._attachment = await self._join()
        joined = attachment.joined
        self._reached = joined.after
        if not self._asked.follow:
            self._until = joined.newest
        if self._asked.printed is None:
            yield Lines(_metadata(joined), joined.after)
        try:
            async for item in self._shaped(attachment):
                yield item
                await attachment.consumed(item.last)
        except NexusError as error:
            if self._asked.printed is not None and error.entry().code == SessionClosed.code:
                # The process before printed all of it, and died before it could say so.
                return
            self._status = _exit_status(error)
            yield Lines(self._own("error", lines.failure(error)) + self._close("error"), self._reached)
            return
        if self._stop == "handed-over":
            return
        if self._stop is not None:
            interrupted = self._own("interrupt", lines.interrupt(_told(self._stop)))
            yield Lines(interrupted + self._close("reader"), self._reached)
        elif not self._ended:
            yield Lines(self._close("reader"), self._reached)
        elif self._asked.pass_exit_code:
            self._status = _exit_code(self._last_line)

    async def _join(self) -> Attachment:
        asked, printed = self._asked, self._asked.printed
        if printed is not None:
            return await self._client.attach(asked.session_id, epoch=printed.epoch, after=printed.seq)
        return await self._client.attach(asked.session_id, epoch=asked.epoch, after=asked.after, tail=asked.tail)

    @property
    def _ended(self) -> bool:
        return b'"event":"close"' in self._last_line[:20]

    async def _shaped(self, attachment: Attachment) -> AsyncIterator[Lines]:
        """Yield the session's lines as they are printed, until the end, the limit, or the stop."""
        asked = self._asked
        batches = self._batches(attachment)
        if asked.throttle is None and asked.format == "json-raw":
            async for batch in batches:
                yield Lines(batch.lines, batch.last, batch.count if asked.keep is None else None)
            return
        shaper = Shaper(asked.session_id, samples=asked.throttle is not None)
        printed = time.monotonic() - (asked.throttle or 0)
        async for batch in batches:
            shaper.feed(batch)
            rest = (asked.throttle or 0) - (time.monotonic() - printed)
            if rest > 0 and not shaper.full and not batch.end:
                await self._gather(rest)
                if self._stop is None:
                    continue
            yield Lines(shaper.flush(), shaper.last)
            printed = time.monotonic()
        if not shaper.empty:
            yield Lines(shaper.flush(), shaper.last)

    async def _gather(self, seconds: float) -> None:
        """Let lines gather until the time of the next output, or the stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()

    async def _batches(self, attachment: Attachment) -> AsyncIterator[Batch]:
        """Yield batches, cut at the limit and at the place where the stream is to end."""
        stopped = asyncio.create_task(self._stopped.wait())
        pull: asyncio.Task[Batch | None] | None = None
        try:
            while not self._through:
                pull = pull or asyncio.create_task(attachment.receive())
                if not pull.done():
                    await asyncio.wait((pull, stopped), return_when=asyncio.FIRST_COMPLETED)
                if self._stop is not None:
                    return
                batch = pull.result()
                if batch is None:
                    return
                # The next is read while this one is printed.
                pull = asyncio.create_task(attachment.receive())
                limited = self._limited(batch)
                if limited.lines:
                    yield limited
                else:
                    await attachment.consumed(limited.last)
        finally:
            stopped.cancel()
            if pull is not None:
                # What was read ahead, or failed, is nobody's any more.
                pull.add_done_callback(lambda ahead: ahead.cancelled() or ahead.exception())
                pull.cancel()

    @property
    def _through(self) -> bool:
        reached = self._until is not None and self._reached >= self._until
        return self._stop is not None or reached or (self._left is not None and self._left <= 0)

    def _limited(self, batch: Batch) -> Batch:
        last = batch.last if self._until is None else min(batch.last, self._until)
        keep = self._asked.keep
        if keep is not None:
            last = self._until_enough(batch.until(last), keep)
        elif self._left is not None:
            last = min(last, batch.first - 1 + self._left)
            self._left -= last - batch.first + 1
        if self._asked.until is not None:
            last = self._until_through(batch.until(last), self._asked.until)
        cut = batch.until(last)
        self._reached = last
        self._last_line = cut.lines[cut.lines.rfind(b"\n", 0, -1) + 1 :]
        if keep is None:
            return cut
        return replace(cut, lines=b"".join(line for line in cut.lines.splitlines(keepends=True) if keep(line)))

    def _until_enough(self, batch: Batch, keep: Callable[[bytes], bool]) -> int:
        """Return the seq of the line with which as many are kept as are wanted, that of the last where it is not."""
        if self._left is None:
            return batch.last
        for seq, line in enumerate(batch.lines.splitlines(keepends=True), batch.first):
            self._left -= keep(line)
            if self._left <= 0:
                return seq
        return batch.last

    def _until_through(self, batch: Batch, through: Callable[[bytes], Through | None]) -> int:
        """Return the seq behind which the reader is through, that of the last line where it is not."""
        for seq, line in enumerate(batch.lines.splitlines(), batch.first):
            if (found := through(line)) is not None:
                self._status, self._exit_code, self._until = found.status, found.exit_code, seq
                return seq
        return batch.last

    def _own(self, event: EventName, payload: str) -> bytes:
        """Write a line of this reader's own. Its time is not before that of what was printed."""
        moment = time.time_ns()
        if self._last_line:
            moment = max(moment, lines.moment_of(json.loads(self._last_line)["timestamp"]))
        return lines.own_line(event, self.session_id, payload, moment)

    def _close(self, reason: str) -> bytes:
        return self._own("close", lines.close(reason, self._exit_code, self._reached))


def _metadata(joined: Joined) -> bytes:
    """Write the first line. It bears the session's own time: what follows may be written, and not yet told of."""
    told = {
        "session": joined.session.model_dump(mode="json", by_alias=True, exclude_none=True),
        "epoch": joined.epoch,
        "after": joined.after,
        "newest": joined.newest,
    }
    moment = lines.moment_of(rfc3339(joined.session.created_at))
    return lines.own_line("metadata", joined.session.session_id, lines.payload(told), moment)


def _told(reason: StopReason) -> str:
    """Return the reason as the ABI has it: whoever sent a signal requested the end."""
    return reason if reason in ("timeout", "error") else "user-requested"


def _exit_status(error: NexusError) -> int:
    return error.reported_exit_status if isinstance(error, ReportedError) else error.exit_status


def _exit_code(line: bytes) -> int:
    code = json.loads(line)["payload"].get("exitCode")
    return code if isinstance(code, int) else 0


async def _bounded(work: Awaitable[object]) -> None:
    with suppress(NexusError, TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await work
