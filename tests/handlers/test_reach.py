"""`--max-tokens` and the cursor to go on, over the whole path of a command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.handlers.conftest import Nexus


async def test_a_list_is_read_to_its_end_in_small_pieces(nexus: Nexus) -> None:
    names = [f"project {number:02}" for number in range(30)]
    await nexus.all(*(f"agent project create --name '{name}'" for name in names))
    seen: list[str] = []
    cursor: str | None = None
    pieces = 0
    while True:
        line = "agent project list --limit 20 --max-tokens 600"
        answer = await nexus(line if cursor is None else f"{line} --cursor '{cursor}'")
        assert len(json.dumps(answer.envelope, separators=(",", ":"))) <= 600 * 4
        seen += [item["name"] for item in answer.data["items"]]
        cursor = answer.data["nextCursor"]
        pieces += 1
        if cursor is None:
            break
    assert seen == names
    assert pieces > 3


async def test_any_answer_can_be_cut_and_resumed(nexus: Nexus) -> None:
    whole = (await nexus("schema agent")).data["commands"]
    first = (await nexus("schema agent --max-tokens 5000")).data
    rest: list[object] = []
    cursor = first["nextCursor"]
    while cursor is not None:
        part = (await nexus(f"schema agent --max-tokens 5000 --resume {cursor}")).data
        rest += part["commands"]
        cursor = part.get("nextCursor")
    assert [*first["commands"], *rest] == whole


async def test_bounds_and_cursors_that_cannot_be_are_refused(nexus: Nexus) -> None:
    for line in ("version --max-tokens 3", "version --max-tokens many", "version --resume xyz"):
        assert (await nexus(line)).error["code"] == "VALIDATION_ERROR"
    cursor = (await nexus("schema agent --max-tokens 5000")).data["nextCursor"]
    assert (await nexus(f"version --resume {cursor}")).error["details"]["field"] == "cursor"
