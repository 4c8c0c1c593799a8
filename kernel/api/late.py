"""Operations whose models and handlers are imported when they are first asked for.

A kernel that runs one command pays for every part that it imports. A part which few commands need declares its places
and ids, and what stands behind them comes with the first request, or with OpenAPI.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields
from typing import Any

from pydantic import BaseModel

from nexus.kernel.api.operation import Also, ApiRequest, Method, Operation
from nexus.kernel.caller import Access


@dataclass(frozen=True, slots=True)
class Behind:
    """What an operation needs once it is asked for: see `Operation`."""

    handler: Callable[[ApiRequest[Any, Any]], Awaitable[BaseModel]]
    result: type[BaseModel]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None


BEHIND = frozenset(each.name for each in fields(Behind))


class LateOperation(Operation):
    """An operation that `load` completes, once."""

    __slots__ = ("_behind", "_load")
    _behind: Behind | None
    _load: Callable[[str], Behind]

    def __init__(  # noqa: PLR0913 -- the operation's own fields
        self,
        method: Method,
        path: str,
        operation_id: str,
        summary: str,
        load: Callable[[str], Behind],
        *,
        status: int = 200,
        body_required: bool = True,
        lasts: bool = False,
        access: Access = "granted",
        secret: bool = False,
        audited: bool = True,
        also: Also | None = None,
    ) -> None:
        given = {
            "method": method,
            "path": path,
            "operation_id": operation_id,
            "summary": summary,
            "status": status,
            "body_required": body_required,
            "lasts": lasts,
            "access": access,
            "secret": secret,
            "audited": audited,
            "also": also,
        }
        defaults = {each.name: each.default for each in fields(Operation) if each.name not in BEHIND}
        for name, value in {**defaults, **given, "_load": load, "_behind": None}.items():
            # The record is frozen, for everyone but who makes it.
            object.__setattr__(self, name, value)

    @property
    def behind(self) -> Behind:
        """What stands behind it; loaded when it is first asked for."""
        if self._behind is not None:
            return self._behind
        behind = self._load(self.operation_id)
        object.__setattr__(self, "_behind", behind)
        return behind

    @property
    def handler(self) -> Callable[[ApiRequest[Any, Any]], Awaitable[BaseModel]]:
        return self.behind.handler

    @property
    def result(self) -> type[BaseModel]:
        return self.behind.result

    @property
    def query(self) -> type[BaseModel] | None:
        return self.behind.query

    @property
    def body(self) -> type[BaseModel] | None:
        return self.behind.body
