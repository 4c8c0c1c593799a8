"""What a command that changes something says that it did."""

from collections.abc import Mapping, Sequence
from typing import Any

from nexus.registry.registry import Handler
from nexus.registry.specification import is_change_told
from nexus.schemas.command import Change, Outcome
from nexus.schemas.context import ContextChange


def change_of(
    handler: Handler, outcome: Outcome[Any], data: Mapping[str, Any], selected: Sequence[ContextChange]
) -> Change | None:
    """Return what was done: as the outcome says, else as the result shows, else what the command always does.

    None for a command that changes nothing, for a result that says it itself, and for a plugin's that does not say.
    """
    if not is_change_told(type(handler)) or "change" in data:
        return None
    if outcome.change is not None:
        return outcome.change
    only_selects = handler.change == "updated" and outcome.context_update is not None
    if data.get("repeated") is True or (only_selects and not selected):
        return "unchanged"
    return handler.change or _shown(data)


def _shown(data: Mapping[str, Any]) -> Change | None:
    if "deleted" in data:
        return "deleted" if data["deleted"] else "unchanged"
    if "changed" in data:
        return "updated" if data["changed"] else "unchanged"
    return None
