"""From nothing to the right call: what an agent reads on its way to any command is little, and always leads on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nexus.registry.index import CommandIndex
from nexus.schemas.command import GroupSpec

if TYPE_CHECKING:
    from tests.handlers.conftest import Nexus

MOST_BYTES = 1500 * 4


async def asked(nexus: Nexus, line: str, seen: dict[str, tuple[int, dict[str, Any]]]) -> tuple[int, dict[str, Any]]:
    """Return the size of the whole answer and its data."""
    if line not in seen:
        answer = await nexus(line)
        written = json.dumps(answer.envelope, separators=(",", ":"), ensure_ascii=False).encode()
        seen[line] = len(written), answer.data
    return seen[line]


async def test_three_calls_and_fifteen_hundred_tokens_lead_to_any_command(nexus: Nexus) -> None:
    seen: dict[str, tuple[int, dict[str, Any]]] = {}
    for spec in CommandIndex.built_in().commands():
        namespace, *below = spec.path
        read, top = await asked(nexus, "help", seen)
        assert namespace in {child["name"] for child in top["children"]}
        if below:
            size, level = await asked(nexus, f"help {namespace}", seen)
            read += size
            named = {
                (child["name"], *rest) for child in level["children"] for rest in _names(child.get("children", []))
            }
            assert tuple(below) in named
        size, shown = await asked(nexus, f"help {' '.join(spec.path)}", seen)
        read += size
        assert read <= MOST_BYTES, f"{' '.join(spec.path)} takes {read} bytes"
        assert {option.flags[0] for option in spec.options if option.flags} <= _flags(shown)


def _names(children: list[str]) -> list[tuple[str, ...]]:
    return [(name,) for name in children] or [()]


def _flags(shown: dict[str, Any]) -> set[str]:
    return {word for option in shown.get("options", []) for word in option["flag"].replace(",", "").split()}


async def test_help_has_no_empty_field(nexus: Nexus) -> None:
    for path in ("", "agent", "agent project", "agent project create", "version"):
        shown = (await nexus(f"help {path}")).data
        options = shown.get("options", []) + shown.get("children", [])
        assert all(value not in (None, [], {}, "") for part in (shown, *options) for value in part.values())


async def test_next_leads_on_from_every_level(nexus: Nexus) -> None:
    index = CommandIndex.built_in()
    levels: list[tuple[str, ...]] = [()]
    while levels:
        path = levels.pop()
        node = index.node(path)
        assert isinstance(node, GroupSpec)
        levels += [(*path, child.name) for child in node.children if child.kind == "group"]
        following = (await nexus(f"help {' '.join(path)}")).data["next"]
        assert following.startswith("nexus help ")
        assert (await nexus(following)).status == 0
