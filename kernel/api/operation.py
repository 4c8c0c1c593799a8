"""An operation of the API, declared once: routes and OpenAPI are made of it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel
from sqlalchemy import Connection

from nexus.kernel.caller import OWNER, Access, Caller
from nexus.kernel.store.store import Store

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Query = TypeVar("Query")
Body = TypeVar("Body")
Result = TypeVar("Result", bound=BaseModel)


Also = Callable[[Mapping[str, str]], Awaitable[tuple[str, ...]]]


def also(*operation_ids: str) -> Also:
    """Return what grants an operation beside its own id, whatever it is asked of."""

    async def ids(_path: Mapping[str, str]) -> tuple[str, ...]:
        return operation_ids

    return ids


class KeptAnswer(Protocol):
    """The place that a write's idempotency key has for its answer, inside the transaction that does the work."""

    def refuse_done(self, connection: Connection) -> None:
        """Raise when the key has its answer by now: the work was done by a request whose client left."""
        ...

    def keep(self, connection: Connection, result: BaseModel) -> None: ...


@dataclass(slots=True)
class ApiRequest(Generic[Query, Body]):
    """A request whose query and body were validated. `path` holds the values of the path's `{names}`.

    `answer` is set on writes that carry an idempotency key, and cleared when the answer was kept; `witness` on writes
    that the audit chain tells of, and cleared when it does.
    """

    path: Mapping[str, str]
    query: Query
    body: Body
    request_id: str
    traceparent: str | None
    store: Store
    answer: KeptAnswer | None = None
    caller: Caller = OWNER
    witness: Callable[[Connection], None] | None = None

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        """Run the one transaction whose result is the answer; the answer is kept in the same transaction.

        So a write that is sent again is either answered from what was kept, or was never done. The audit chain tells of
        it in that transaction too.
        """
        answer, self.answer = self.answer, None
        witness, self.witness = self.witness, None
        if answer is None and witness is None:
            return await self.store.write(work)

        def whole(connection: Connection) -> Result:
            if answer is not None:
                answer.refuse_done(connection)
            result = work(connection)
            if answer is not None:
                answer.keep(connection, result)
            if witness is not None:
                witness(connection)
            return result

        return await self.store.write(whole)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path. `operation_id` begins with the command's path, on which permission is granted.

    Where one command has several operations, a further word follows: `agent.roadmap.view.status`. `query` and `body`
    are None where the operation takes none. One that `lasts` (seconds, not milliseconds) is cancelled when its client
    leaves; the others end before that could be heard.

    `access` says who may ask for it. `also` returns, for the path's values, other ids that grant it as well. What a
    `secret` one answers is not kept for an idempotency key. Writes that are not `audited` tell of themselves.
    """

    method: Method
    path: str
    operation_id: str
    summary: str
    handler: Callable[[ApiRequest[Any, Any]], Awaitable[BaseModel]]
    result: type[BaseModel]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    status: int = 200
    body_required: bool = True
    lasts: bool = False
    access: Access = "granted"
    also: Also | None = None
    secret: bool = False
    audited: bool = True
