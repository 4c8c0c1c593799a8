"""The topology by command, and what it is written as."""

from __future__ import annotations

import json
import os
import shlex
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.handlers.network.dot import graph, quoted
from nexus.handlers.network.drawing import HEIGHT, WIDTH, laid_out, picture
from nexus.handlers.network.topology import written
from nexus.handlers.written import write_whole
from nexus.schemas.network import Edge, Element, Topology

if TYPE_CHECKING:
    from tests.handlers.conftest import Nexus

SVG = "{http://www.w3.org/2000/svg}"
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def topology_of(*names: str) -> Topology:
    """Make a machine with a host a name, each connected."""
    nodes = [Element(id="machine", type="machine", name="here", status="online")]
    edges = []
    for number, name in enumerate(names):
        nodes.append(Element(id=f"host:{number}{name}", type="host", name=name, status="online", addresses=[name]))
        edges.append(
            Edge(source="machine", target=nodes[-1].id, type="connects", status="degraded", count=2, label=name)
        )
    return Topology(nodes=nodes, edges=edges, generated_at=MOMENT)


async def test_the_topology_is_viewed_and_refreshed(nexus: Nexus) -> None:
    for action in ("view", "refresh"):
        told = (await nexus(f"network topology {action}")).data
        assert {"machine", "server:local"} <= {node["id"] for node in told["nodes"]}


async def test_it_is_exported_in_the_format_that_the_ending_says(nexus: Nexus) -> None:
    for ending, begins in ((".json", b"{"), (".dot", b"digraph"), (".gv", b"digraph"), (".SVG", b"<?xml")):
        exported = (await nexus(f"network topology export --to 'a b{ending}'")).data
        path = nexus.cwd / f"a b{ending}"
        assert exported["path"] == str(path)
        assert path.read_bytes().startswith(begins)
        assert path.stat().st_size == exported["size"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, "the caller's umask is 077"
    assert json.loads((nexus.cwd / "a b.json").read_bytes())["nodes"][0]["id"] == "machine"
    ET.fromstring((nexus.cwd / "a b.SVG").read_bytes())
    assert sorted(os.listdir(nexus.cwd)) == ["a b.SVG", "a b.dot", "a b.gv", "a b.json"], "no draft is left"


async def test_a_file_that_is_there_stays_unless_it_is_to_be_overwritten(nexus: Nexus) -> None:
    (nexus.cwd / "n.dot").write_text("mine")
    refused = await nexus("network topology export --to n.dot")
    assert refused.error["code"] == "RESOURCE_CONFLICT"
    assert (nexus.cwd / "n.dot").read_text() == "mine"
    await nexus.all("network topology export --to n.dot --overwrite")
    assert (nexus.cwd / "n.dot").read_text().startswith("digraph")


@pytest.mark.parametrize("to", ["network.txt", "network", "none/network.svg", "f.svg/network.svg", "d.svg"])
async def test_a_place_that_cannot_be_is_refused(nexus: Nexus, to: str) -> None:
    (nexus.cwd / "f.svg").write_text("")
    (nexus.cwd / "d.svg").mkdir()
    refused = await nexus(f"network topology export --to {shlex.quote(to)} --overwrite")
    assert (refused.error["code"], refused.error["details"]["field"]) == ("VALIDATION_ERROR", "to")
    assert sorted(os.listdir(nexus.cwd)) == ["d.svg", "f.svg"]


def test_a_file_gets_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    write_whole(tmp_path / "f", b"x", umask=0o027, overwrite=False)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o640


@given(st.lists(st.text(st.characters(), max_size=60), max_size=4))
def test_a_picture_is_well_formed_whatever_things_are_called(names: list[str]) -> None:
    root = ET.fromstring(written(topology_of(*names), "svg"))
    assert root.tag == f"{SVG}svg"
    assert {each.tag for each in root.iter()} <= {
        f"{SVG}{tag}" for tag in ("svg", "title", "style", "rect", "text", "g", "path")
    }
    assert len(root.findall(f"{SVG}g/{SVG}rect")) == len(names) + 1
    assert len(root.findall(f"{SVG}g/{SVG}path")) == len(names)


def test_what_looks_like_markup_is_shown_as_text() -> None:
    name = "</text><script>alert('&\"')</script>"
    root = ET.fromstring(picture(topology_of(name)))
    titles = [title.text or "" for title in root.iter(f"{SVG}title")]
    assert any(name in title for title in titles)


@given(st.text(st.characters(), max_size=60))
def test_nothing_ends_a_quoted_name_of_dot_before_its_end(name: str) -> None:
    inside = quoted(name)[1:-1]
    assert '"' not in inside.replace("\\\\", "").replace('\\"', "")
    assert "\n" not in inside
    assert graph(topology_of(name)).endswith("}\n")


def test_the_same_topology_is_the_same_picture_in_whatever_order_it_comes() -> None:
    topology = topology_of("a", "b", "c")
    turned = topology.model_copy(update={"nodes": topology.nodes[::-1]})
    assert laid_out(topology.nodes, topology.edges) == laid_out(turned.nodes, turned.edges)
    assert picture(topology) == picture(topology)


def test_no_box_lies_on_another() -> None:
    topology = topology_of(*(str(number) for number in range(40)))
    boxes = list(laid_out(topology.nodes, topology.edges).values())
    for index, box in enumerate(boxes):
        for other in boxes[index + 1 :]:
            apart = abs(box.x - other.x) >= WIDTH or abs(box.y - other.y) >= HEIGHT
            assert apart, (box, other)
