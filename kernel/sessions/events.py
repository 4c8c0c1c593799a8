"""`GET …/events`: a piece of a session's stream by polling, as the stored lines or as one JSON object."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pydantic
from starlette.datastructures import Headers, QueryParams
from starlette.types import Receive, Scope, Send

from nexus.kernel.api.failure import entry_of, error_body, http_status, refused
from nexus.kernel.sessions.attachment import fitting, place
from nexus.kernel.sessions.gate import SessionGate
from nexus.kernel.sessions.log import READ_BYTES, EventLog
from nexus.kernel.sessions.sessions import Sessions
from nexus.kernel.sessions.stream import Stream
from nexus.schemas.envelope import new_request_id
from nexus.schemas.protocol import AttachSession
from nexus.schemas.session import EventsQuery
from nexus.sessions.core.position import Batch

NDJSON = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Piece:
    """What one poll answers: whole lines from behind `after` to `last`."""

    session_id: str
    epoch: int
    after: int
    last: int
    oldest: int
    newest: int
    end: bool
    lines: bytes

    def headers(self) -> dict[str, str]:
        """The place of the lines, which a client reads without reading them."""
        return {
            "nexus-epoch": str(self.epoch),
            "nexus-after": str(self.after),
            "nexus-last": str(self.last),
            "nexus-oldest": str(self.oldest),
            "nexus-newest": str(self.newest),
            "nexus-end": "true" if self.end else "false",
        }

    def json(self) -> bytes:
        """The piece as one object; the lines are events already."""
        head = (
            f'{{"sessionId":"{self.session_id}","epoch":{self.epoch},"after":{self.after},"last":{self.last},'
            f'"newest":{self.newest},"end":{"true" if self.end else "false"},"events":['
        )
        return head.encode() + self.lines[:-1].replace(b"\n", b",") + b"]}"


class EventsEndpoint:
    """The ASGI app of the route; `{id}` in its path names the session."""

    def __init__(self, sessions: Sessions, gate: Callable[[Scope], SessionGate]) -> None:
        self._sessions = sessions
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 -- the ASGI signature
        headers = Headers(scope=scope)
        request_id = headers.get("x-request-id") or new_request_id()
        try:
            session_id = scope["path_params"]["id"]
            await self._gate(scope).permit_reading(session_id)
            piece = await poll(self._sessions, session_id, _query(scope))
        except Exception as error:  # noqa: BLE001 -- told to the client and logged, as every operation does
            entry = entry_of(error, request_id, headers.get("traceparent"))
            await _respond(send, http_status(entry), error_body(entry), {"x-request-id": request_id})
            return
        raw = NDJSON in headers.get("accept", "")
        more = {"content-type": NDJSON if raw else "application/json", "x-request-id": request_id}
        await _respond(send, 200, piece.lines if raw else piece.json(), more | piece.headers())


async def poll(sessions: Sessions, session_id: str, query: EventsQuery) -> Piece:
    """Read what is behind the reader's place; wait for the first of it. Raises SessionGap, SessionNotFound."""
    asked = AttachSession(id="poll", session_id=session_id, epoch=query.epoch, after=query.after, tail=query.tail)
    attachment = await sessions.attach(asked)
    try:
        stream = await sessions.log.stream(session_id, query.epoch)
        after = place(stream, asked)
        if query.wait and stream.landed <= after:
            await stream.wait(after, query.wait)
        return _piece(stream, after, await _lines(sessions.log, stream, after, query.limit))
    finally:
        await attachment.aclose()


async def _lines(log: EventLog, stream: Stream, after: int, limit: int | None) -> list[Batch]:
    batches = await log.read(stream, after, READ_BYTES)
    if batches:
        batches[0] = fitting(batches[0], READ_BYTES)
    if limit is None or not batches or batches[-1].last <= after + limit:
        return batches
    kept = [batch for batch in batches if batch.first <= after + limit]
    return [*kept[:-1], kept[-1].until(after + limit)]


def _piece(stream: Stream, after: int, batches: list[Batch]) -> Piece:
    last = batches[-1] if batches else None
    return Piece(
        session_id=stream.session_id,
        epoch=stream.epoch,
        after=after,
        last=last.last if last else after,
        oldest=stream.trimmed + 1,
        newest=stream.landed,
        # A reader that stands at the end already is told so again.
        end=last.end if last else stream.ended and after == stream.landed,
        lines=b"".join([batch.lines for batch in batches]),
    )


def _query(scope: Scope) -> EventsQuery:
    asked = dict(QueryParams(scope.get("query_string", b"")))
    if "since" in asked:
        # What the terminal's own route has always called it.
        asked["after"] = asked.pop("since")
    try:
        return EventsQuery.model_validate(asked)
    except pydantic.ValidationError as error:
        raise refused(error, EventsQuery, "query") from None


async def _respond(send: Send, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    sent = {"content-type": "application/json", **headers, "content-length": str(len(body))}
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(name.encode(), value.encode("latin-1", "replace")) for name, value in sent.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})
