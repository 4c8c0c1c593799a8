"""The routes that bytes go by: whoever has a signed URL is let in by it alone, and nothing else is asked."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar
from urllib.parse import quote

from starlette.datastructures import Headers, QueryParams
from starlette.types import Message, Receive, Scope, Send

from nexus.kernel.api.endpoint import respond_error
from nexus.kernel.api.failure import entry_of, http_status
from nexus.kernel.data.digest import CHUNK, finished
from nexus.kernel.data.draft import PartWriter, Superseded
from nexus.kernel.data.local import BYTES_AT, PARTS_AT, LocalBlobs, digest_of
from nexus.kernel.data.ranges import Span, Unsatisfiable, span_of
from nexus.kernel.data.store import Draft
from nexus.kernel.store.failures import told_as_storage
from nexus.schemas.envelope import new_request_id
from nexus.schemas.errors import NotFound, TimeoutExceeded, TransferBusy, ValidationError

STALL_SECONDS = 60.0
"""A client that sends nothing, or takes nothing, for so long has gone."""

Result = TypeVar("Result")


class Gone(Exception):
    """The client left, and nobody waits for an answer."""


class ByteRoute:
    """An ASGI app for the bytes of the local store. `draft_of` finds an upload by its id."""

    def __init__(self, blobs: Callable[[], LocalBlobs], draft_of: Callable[[str], Awaitable[Draft]]) -> None:
        self._blobs = blobs
        self._draft_of = draft_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._answer(scope, receive, sending)
        except Gone:
            return
        except Exception as error:  # noqa: BLE001 -- whatever fails is told to the client and logged
            entry = entry_of(error, new_request_id())
            if not started:
                await respond_error(send, http_status(entry), entry, scope)
            # An answer that has begun can only be cut, which its length tells.

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        # What is signed is the path as this app knows it, wherever it is mounted.
        path = path.removeprefix(scope.get("root_path", ""))
        blobs = self._blobs()
        blobs.signer.check(method, path, dict(QueryParams(scope.get("query_string", b""))))
        if method == "PUT" and path.startswith(f"{PARTS_AT}/"):
            upload_id, _, number = path.removeprefix(f"{PARTS_AT}/").partition("/")
            await self._put(blobs, await self._draft_of(upload_id), int(number), scope, receive)
            await _respond(send, 200, (("content-length", "0"), ("etag", f'"{number}"')))
        elif method in ("GET", "HEAD") and path.startswith(f"{BYTES_AT}/"):
            await self._get(blobs, path.removeprefix(f"{BYTES_AT}/"), scope, send)
        else:
            raise NotFound(resource="operation", reference=f"{method} {path}")

    async def _put(self, blobs: LocalBlobs, draft: Draft, number: int, scope: Scope, receive: Receive) -> None:
        span = draft.parts.span(number)
        length = Headers(scope=scope).get("content-length")
        if length != str(span.size):
            raise ValidationError.because(
                f"Part {number} has {span.size} bytes, and content-length says {length}.", field="content-length"
            )
        writer = await blobs.file(draft).writer(number)
        if writer is None:
            # It has arrived before, and its answer got lost.
            return
        try:
            with told_as_storage(blobs.folder):
                await _written(writer, receive)
                await writer.done()
        except Superseded:
            raise TransferBusy(path=f"part {number} of {draft.upload_id}") from None
        except ValueError as error:
            raise ValidationError.because(f"Part {number} has {span.size} bytes: {error}.", field="body") from None
        finally:
            blobs.file(draft).leave(writer)

    async def _get(self, blobs: LocalBlobs, place: str, scope: Scope, send: Send) -> None:
        descriptor = blobs.open(place)
        try:
            size = os.fstat(descriptor).st_size
            status, told, span = _asked(scope, size, _about(scope, f'"{digest_of(place)}"'))
            await _start(send, status, told)
            if scope["method"] == "HEAD" or not span.size:
                await send({"type": "http.response.body", "body": b""})
                return
            await _stream(send, blobs, descriptor, span)
        finally:
            os.close(descriptor)


def _about(scope: Scope, etag: str) -> list[tuple[str, str]]:
    filename = QueryParams(scope.get("query_string", b"")).get("filename", "data")
    return [
        ("content-type", "application/octet-stream"),
        ("content-disposition", f"attachment; filename*=UTF-8''{quote(filename, safe='')}"),
        ("accept-ranges", "bytes"),
        ("etag", etag),
        ("cache-control", "private, no-store"),
        ("x-content-type-options", "nosniff"),
    ]


def _asked(scope: Scope, size: int, told: list[tuple[str, str]]) -> tuple[int, list[tuple[str, str]], Span]:
    """Return the status, the headers and the bytes of the answer."""
    headers, etag = Headers(scope=scope), dict(told)["etag"]
    # A range of other content than the client has the beginning of is of no use to it.
    wanted = headers.get("range") if headers.get("if-range", etag) == etag else None
    try:
        span = span_of(wanted, size)
    except Unsatisfiable:
        return 416, [*told, ("content-range", f"bytes */{size}"), ("content-length", "0")], Span(0, 0)
    if span is None:
        return 200, [*told, ("content-length", str(size))], Span(0, size)
    range_told = ("content-range", f"bytes {span.first}-{span.end - 1}/{size}")
    return 206, [*told, range_told, ("content-length", str(span.size))], span


async def _written(writer: PartWriter, receive: Receive) -> None:
    """Write a part as it comes: while one batch is written the next is received, and never more than that."""
    writing: asyncio.Task[None] | None = None
    batch: list[bytes] = []
    size, more = 0, True
    try:
        while more:
            message = await _in_time(receive())
            if message["type"] == "http.disconnect":
                raise Gone
            more = message.get("more_body", False)
            if chunk := message.get("body", b""):
                batch.append(chunk)
                size += len(chunk)
            if batch and (size >= CHUNK or not more):
                if writing is not None:
                    await writing
                writing = asyncio.create_task(writer.write(batch))
                batch, size = [], 0
        if writing is not None:
            await writing
            writing = None
    finally:
        if writing is not None:
            await asyncio.wait((writing,))
            # What failed before it is told; this is retrieved so that nobody is warned of it.
            if not writing.cancelled():
                writing.exception()


async def _stream(send: Send, blobs: LocalBlobs, descriptor: int, span: Span) -> None:
    position = span.first
    while position < span.end:
        with told_as_storage(blobs.folder):
            wanted = min(CHUNK, span.end - position)
            chunk = await finished(asyncio.to_thread(os.pread, descriptor, wanted, position))
        if not chunk:
            # A file that became shorter: the answer is cut, which its length tells.
            raise Gone
        position += len(chunk)
        await _in_time(send({"type": "http.response.body", "body": chunk, "more_body": position < span.end}))


async def _in_time(work: Awaitable[Result]) -> Result:
    try:
        async with asyncio.timeout(STALL_SECONDS):
            return await work
    except TimeoutError:
        raise TimeoutExceeded(seconds=STALL_SECONDS) from None


async def _start(send: Send, status: int, headers: Iterable[tuple[str, str]]) -> None:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def _respond(send: Send, status: int, headers: Iterable[tuple[str, str]]) -> None:
    await _start(send, status, headers)
    await send({"type": "http.response.body", "body": b""})
