"""The audit chain over the API: listed, verified, exported. What stands behind it is imported when it is asked for."""

from collections.abc import Sequence

from nexus.kernel.api.late import Behind, LateOperation
from nexus.kernel.api.operation import Operation
from nexus.kernel.audit.witness import Witness
from nexus.kernel.part import Part
from nexus.kernel.store.store import Store


class AuditPart(Part):
    """What was done, by whom."""

    def __init__(self, store: Store, witness: Witness) -> None:
        self._store = store
        self._chain = witness.chain

    def operations(self) -> Sequence[Operation]:
        """Return where the chain is asked for."""
        place, command = "/api/audit", "settings.audit"
        return (
            LateOperation("GET", place, f"{command}.list", "List what was done.", self._load),
            LateOperation(
                *("GET", f"{place}/verify", f"{command}.verify", "Say whether the chain is as it was written."),
                self._load,
            ),
            LateOperation("GET", f"{place}/export", f"{command}.export", "Read the chain as it is.", self._load),
        )

    def _load(self, operation_id: str) -> Behind:
        from nexus.kernel.audit_operations import AuditOperations

        return AuditOperations(self._store, self._chain).of(operation_id)
