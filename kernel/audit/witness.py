"""What is written to the audit chain of each request: who asked for what, from where, and how it ended."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from sqlalchemy import Connection

from nexus.kernel.audit.chain import Chain
from nexus.kernel.caller import Caller
from nexus.kernel.store.store import Store

Outcome = Literal["done", "denied"]


class Witness:
    """Writes every write and every denied request of this kernel down."""

    def __init__(self, store: Store, chain: Chain) -> None:
        self.store = store
        self.chain = chain

    def record(self, caller: Caller, operation_id: str, outcome: Outcome, **facts: Any) -> Callable[[Connection], None]:
        """Return what adds the record, to be called inside the transaction of the work itself."""
        told = told_of(caller, operation_id, outcome, facts)
        return lambda connection: _append(self.chain, connection, told)

    async def write(self, caller: Caller, operation_id: str, outcome: Outcome, **facts: Any) -> None:
        """Add a record in a transaction of its own."""
        await self.store.write(self.record(caller, operation_id, outcome, **facts))


def _append(chain: Chain, connection: Connection, told: Mapping[str, Any]) -> None:
    chain.append(connection, told)


def told_of(caller: Caller, operation_id: str, outcome: Outcome, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of one record."""
    return {
        "user": caller.name,
        "userId": caller.user_id,
        "by": caller.signed_in_by,
        "address": caller.address,
        "operation": operation_id,
        "outcome": outcome,
        **facts,
    }
