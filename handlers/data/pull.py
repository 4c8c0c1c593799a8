"""Pulling a file: written under a name of its own, checked, and given its name only when it is whole."""

import asyncio
import fcntl
import hashlib
import os
import stat
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from nexus.handlers.data.transfer import CHUNK, Stopped, Transfer
from nexus.handlers.written import place, told_of
from nexus.schemas.command import Change, ExecutionContext
from nexus.schemas.data import Download, Stored
from nexus.schemas.errors import ChecksumMismatch, Conflict, TransferBroken, TransferBusy
from nexus.schemas.model import Model
from nexus.schemas.wire import ByteWire

SENT_AGAIN = 2
"""So often bytes are asked for from the beginning that turned out to be others."""


class Pulled(Model):
    """A file that is there whole, and what it is. `resumed` counts the bytes that were there from an earlier try."""

    id: str
    name: str
    path: str
    size: int
    sha256: str
    resumed: int = 0


class Partial:
    """The file beside the target that bytes are collected in; one command at a time has it.

    Its name holds the digest of what it is to be, so that bytes of other content are never gone on with.
    """

    def __init__(self, target: Path, sha256: str) -> None:
        """Open it, or make it. Raises `TransferBusy`, and what a place refuses that cannot be written to."""
        self.target = target
        self.path = target.with_name(f".{target.name[:100]}.{sha256[:16]}.part")
        self.position = 0
        self.digest = hashlib.sha256()
        with told_of(target):
            self.descriptor = _own(self.path)
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self.descriptor)
            raise TransferBusy(path=str(target)) from None

    def take_up(self, size: int, transfer: "Pull") -> None:
        """Digest what is there from an earlier try, and go on behind it. Blocks."""
        there = os.fstat(self.descriptor).st_size
        if there > size:
            self.begin_again()
            return
        while self.position < there:
            if transfer.stop.is_set():
                raise Stopped
            chunk = os.pread(self.descriptor, CHUNK, self.position)
            if not chunk:
                break
            self.digest.update(chunk)
            self.position += len(chunk)
            transfer.meter.move(0, self.position)

    def begin_again(self) -> None:
        """Forget what is there."""
        os.ftruncate(self.descriptor, 0)
        self.position = 0
        self.digest = hashlib.sha256()

    def append(self, chunks: list[bytes]) -> None:
        """Write behind what is there. Raises `OSError`; then the position is what it was."""
        for chunk in chunks:
            view, offset = memoryview(chunk), self.position
            while view:
                count = os.pwrite(self.descriptor, view, offset)
                view, offset = view[count:], offset + count
            self.digest.update(chunk)
            self.position = offset

    def settle(self, umask: int, *, overwrite: bool) -> None:
        """Make it durable and give it its name. Raises `Conflict` when that is taken and not to be overwritten."""
        with told_of(self.target):
            os.fchmod(self.descriptor, 0o666 & ~umask)
            os.fsync(self.descriptor)
            place(self.path, self.target, overwrite=overwrite)
            with suppress(FileNotFoundError):
                self.path.unlink()

    def remove(self) -> None:
        """Remove it."""
        with suppress(FileNotFoundError):
            self.path.unlink()

    def close(self) -> None:
        """Let another have it."""
        os.close(self.descriptor)


def _own(path: Path) -> int:
    """Open a file that nobody else has, made where there is none. Raises `OSError`.

    In a folder of many its name can be foretold: one that was laid ready may be somebody's own, or a second name of a
    file that is not to be written to.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1:
        return descriptor
    os.close(descriptor)
    path.unlink()
    return os.open(path, flags | os.O_EXCL, 0o600)


class Pull(Transfer[Pulled]):
    """One file on its way to the caller's disk. `at` is the path of the API that keeps its kind.

    `find` returns what is meant, `place` the file to write it to.
    """

    direction = "pull"

    def __init__(
        self,
        context: ExecutionContext[Any],
        at: str,
        find: Callable[[], Awaitable[Stored]],
        place: Callable[[Stored], Path],
        *,
        overwrite: bool,
    ) -> None:
        super().__init__(context, "")
        self._at = f"{at}/{{id}}/download"
        self._find = find
        self._place = place
        self._overwrite = overwrite
        self.change: Change = "created"
        self._item: Stored
        self._target: Path

    async def _run(self) -> Pulled:
        item = self._item = await self.ask(self._find)
        self.meter.label, self.meter.total = item.name, item.size
        self._target = self._place(item)
        partial = await asyncio.to_thread(self._opened)
        self.begin()
        try:
            await self.in_thread(partial.take_up, item.size, self)
            resumed = partial.position
            await self._checked(partial)
            await self.in_thread(partial.settle, self.context.umask, overwrite=self._overwrite)
        finally:
            self.stop.set()
            partial.close()
        return Pulled(
            id=item.id, name=item.name, path=str(self._target), size=item.size, sha256=item.sha256, resumed=resumed
        )

    def _opened(self) -> Partial:
        if os.path.lexists(self._target):
            self.change = "updated"
        if not self._overwrite and self.change == "updated":
            raise Conflict.because(
                f"{self._target} is there already.",
                field="destination",
                hint="Give --overwrite, or name another destination.",
            )
        return Partial(self._target, self._item.sha256)

    async def _checked(self, partial: Partial) -> None:
        """Fetch what is missing, from the beginning if it turns out to be wrong. Raises `ChecksumMismatch`."""
        for _ in range(SENT_AGAIN):
            await self._whole(partial)
            actual = partial.digest.hexdigest()
            if actual == self._item.sha256:
                return
            partial.begin_again()
            self.meter.restart()
        partial.remove()
        raise ChecksumMismatch(what="What was sent", actual=actual, expected=self._item.sha256)

    async def _whole(self, partial: Partial) -> None:
        item = self._item

        async def fetch() -> None:
            if partial.position == item.size:
                return
            # A new URL each time: it may have been its age that was wrong.
            download = await self.within(lambda: self.context.api.get(self._at, Download, at={"id": item.id}))
            if download.sha256 != item.sha256:
                raise Conflict.because(f"{item.name!r} got other bytes meanwhile.", hint="Pull it again.")
            wire = await self.wire()
            await self.in_thread(self._fetch, wire, download.url, partial)

        await self.patiently(fetch, moved=lambda: partial.position)

    def _fetch(self, wire: ByteWire, url: str, partial: Partial) -> None:
        size = self._item.size
        with wire.get(url, partial.position) as answer, told_of(self._target):
            if answer.size != size:
                raise TransferBroken.because(f"The server has {answer.size} bytes, and {size} were expected.")
            self.meter.state = "responding"
            batch: list[bytes] = []
            held = 0
            for chunk in answer.chunks():
                if self.stop.is_set():
                    raise Stopped
                batch.append(chunk)
                held += len(chunk)
                if held >= CHUNK:
                    partial.append(batch)
                    batch, held = [], 0
                    self.meter.move(0, partial.position)
            partial.append(batch)
            self.meter.move(0, partial.position)
