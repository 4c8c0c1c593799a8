"""The endpoint of one path: reads and validates a request, runs its operation, writes the answer."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import pydantic
from sqlalchemy import Connection
from starlette.types import Message, Receive, Scope, Send

from nexus.kernel.api.failure import entry_of, error_body, http_status, refusal_headers, refused
from nexus.kernel.api.idempotency import AlreadyDone, Idempotency, IdempotencyKey, checked_key, fingerprint_of
from nexus.kernel.api.operation import ApiRequest, Operation
from nexus.kernel.audit.witness import Witness
from nexus.kernel.caller import OPERATION_KEY, Caller, caller_of, require
from nexus.kernel.store.store import Store
from nexus.schemas.envelope import ErrorEntry, new_request_id
from nexus.schemas.errors import AuthError, NotFound, PermissionDenied, ValidationError

MOST_BODY_BYTES = 16 * 1024 * 1024
MOST_ID_CHARACTERS = 200


class ClientGone(Exception):
    """The client left before its request was whole; nobody waits for an answer."""


@dataclass(slots=True)
class ApiState:
    """What all endpoints share. `requests` counts operations since the start."""

    store: Store
    idempotency: Idempotency
    witness: Witness
    requests: Counter[str] = field(default_factory=Counter)


class Endpoint:
    """One path's ASGI app; answers a method that it does not have with 405 and the ones that it has."""

    def __init__(self, operations: Mapping[str, Operation], state: ApiState) -> None:
        self.operations = dict(operations)
        self.state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        request_id = _request_id(headers)
        try:
            operation = self.operations.get("GET" if scope["method"] == "HEAD" else scope["method"])
            if operation is None:
                await self._refuse_method(scope, send, request_id)
                return
            self.state.requests[operation.operation_id] += 1
            scope[OPERATION_KEY] = operation.operation_id
            caller = caller_of(scope)
            await self._permit(operation, caller, scope, request_id)
            try:
                body = await self._answer(operation, caller, scope, receive, request_id, headers)
            except PermissionDenied as error:
                # Refused for what it asked of: a folder, a greater role. The owner is refused by the system alone.
                if operation.audited and caller.signed_in_by != "socket":
                    await self._denied(operation, caller, scope, request_id, error)
                raise
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001 -- whatever fails is told to the client and logged, none ends the server
            entry = entry_of(error, request_id, _text(headers, b"traceparent"))
            await respond(send, http_status(entry), error_body(entry), request_id, refusal_headers(entry))
            return
        await respond(send, operation.status, body, request_id)

    async def _permit(self, operation: Operation, caller: Caller, scope: Scope, request_id: str) -> None:
        """Return when the caller may ask for the operation. Who may not is written down."""
        ids: tuple[str, ...] = (operation.operation_id,)
        # Who is nobody is not told what there is.
        if operation.also is not None and caller.signed_in_by != "none":
            ids += await operation.also(scope.get("path_params", {}))
        try:
            require(caller, *ids, access=operation.access)
        except (AuthError, PermissionDenied) as error:
            await self._denied(operation, caller, scope, request_id, error)
            raise

    async def _denied(
        self, operation: Operation, caller: Caller, scope: Scope, request_id: str, error: AuthError | PermissionDenied
    ) -> None:
        facts = {"request": f"{scope['method']} {scope['path']}", "requestId": request_id, "code": error.code}
        await self.state.witness.write(caller, operation.operation_id, "denied", **facts)

    async def _answer(
        self,
        operation: Operation,
        caller: Caller,
        scope: Scope,
        receive: Receive,
        request_id: str,
        headers: Mapping[bytes, bytes],
    ) -> bytes:
        raw_body = await read_body(receive) if operation.body is not None else b""
        request = ApiRequest(
            path=scope.get("path_params", {}),
            query=_query(operation, scope),
            body=_body(operation, raw_body),
            request_id=request_id,
            traceparent=_text(headers, b"traceparent"),
            store=self.state.store,
            caller=caller,
        )
        if operation.method != "GET" and operation.audited:
            facts = {"request": f"{scope['method']} {scope['path']}", "requestId": request_id}
            request.witness = self.state.witness.record(caller, operation.operation_id, "done", **facts)
        key = _text(headers, b"idempotency-key")
        if key is None or operation.method == "GET" or operation.secret:
            result = await _run(operation, request, receive)
            await self._witnessed(request)
            return _serialized(result)
        fingerprint = fingerprint_of(scope["method"], scope["path"], scope.get("query_string", b""), raw_body)
        # Nobody is answered with what another was.
        own = f"{caller.user_id}:{checked_key(key)}" if caller.user_id else checked_key(key)
        idempotency_key = self.state.idempotency.key(own, fingerprint)
        return await self._once(request, idempotency_key, lambda: _run(operation, request, receive))

    async def _witnessed(self, request: ApiRequest[Any, Any]) -> None:
        """Write down a write whose work was none of the database's."""
        witness, request.witness = request.witness, None
        if witness is not None:
            await self.state.store.write(witness)

    async def _once(
        self,
        request: ApiRequest[Any, Any],
        key: IdempotencyKey,
        run: Callable[[], Awaitable[pydantic.BaseModel]],
    ) -> bytes:
        async with self.state.idempotency.turn(key.key):
            earlier = await key.earlier()
            if earlier is not None:
                return earlier
            request.answer = key
            try:
                result = await run()
            except AlreadyDone as done:
                return done.body
            if request.answer is not None:
                # The work was none of the database's (a file, the host): its answer is kept after it.
                witness, request.witness = request.witness, None
                await self.state.store.write(lambda connection: _kept(connection, key, result, witness))
            await self._witnessed(request)
            return _serialized(result)

    async def _refuse_method(self, scope: Scope, send: Send, request_id: str) -> None:
        allowed = sorted(self.operations)
        entry = NotFound(
            resource="operation", reference=f"{scope['method']} {scope['path']}", available=allowed
        ).entry()
        await respond(send, 405, error_body(entry), request_id, {"allow": ", ".join(allowed)})


def _kept(
    connection: Connection,
    key: IdempotencyKey,
    result: pydantic.BaseModel,
    witness: Callable[[Connection], None] | None,
) -> None:
    key.keep(connection, result)
    if witness is not None:
        witness(connection)


async def _run(operation: Operation, request: ApiRequest[Any, Any], receive: Receive) -> pydantic.BaseModel:
    """Run the operation; one that lasts is cancelled, and `ClientGone` raised, when the client leaves."""
    if not operation.lasts:
        return await operation.handler(request)
    working = asyncio.ensure_future(operation.handler(request))
    leaving = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.wait((working, leaving))


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":  # noqa: ASYNC110 -- it waits in receive, not in sleep
        # A server that answers at once, again and again, must not keep the loop for itself.
        await asyncio.sleep(0)


async def read_body(receive: Receive) -> bytes:
    """Read a request's body whole. Raises `ValidationError` when it is over the bound, `ClientGone` when it is cut."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MOST_BODY_BYTES:
            raise ValidationError.because(f"A request's body has at most {MOST_BODY_BYTES} bytes.", field="body")
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


async def respond(send: Send, status: int, body: bytes, request_id: str, more: Mapping[str, str] | None = None) -> None:
    """Send one whole JSON answer."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id.encode("latin-1")),
        *((name.encode(), value.encode()) for name, value in (more or {}).items()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def respond_error(send: Send, status: int, entry: ErrorEntry, scope: Scope) -> None:
    """Answer a request that no endpoint took."""
    await respond(send, status, error_body(entry), _request_id(dict(scope["headers"])))


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


def _request_id(headers: Mapping[bytes, bytes]) -> str:
    given = _text(headers, b"x-request-id")
    if given and len(given) <= MOST_ID_CHARACTERS and given.isascii() and given.isprintable():
        return given
    return new_request_id()


def _query(operation: Operation, scope: Scope) -> pydantic.BaseModel | None:
    asked = scope.get("query_string", b"")
    pairs = parse_qsl(asked.decode("latin-1"), keep_blank_values=True) if asked else []
    params = dict(pairs)
    if operation.query is None:
        if params:
            raise ValidationError.because("This operation takes no query.", field=next(iter(params)))
        return None
    if len(params) != len(pairs):
        repeated = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValidationError.because(f"{repeated} was given more than once.", field=repeated)
    try:
        return operation.query.model_validate(params)
    except pydantic.ValidationError as error:
        raise refused(error, operation.query, "query") from None


def _body(operation: Operation, raw: bytes) -> pydantic.BaseModel | None:
    if operation.body is None:
        return None
    if not raw and not operation.body_required:
        return operation.body()
    try:
        return operation.body.model_validate_json(raw)
    except pydantic.ValidationError as error:
        raise refused(error, operation.body, "body") from None


def _serialized(result: pydantic.BaseModel) -> bytes:
    return result.__pydantic_serializer__.to_json(result, by_alias=True)
