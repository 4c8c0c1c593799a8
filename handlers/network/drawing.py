"""The topology as a picture: columns of boxes and curves between them, in SVG. The same topology, the same picture."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from unicodedata import east_asian_width

from nexus.handlers.network.dot import words_of
from nexus.schemas.model import rfc3339
from nexus.schemas.network import LOCAL, Edge, Element, ElementType, ServerState, Topology

WIDTH, HEIGHT = 210, 44
GAP_ACROSS, GAP_DOWN = 130, 16
MARGIN, TITLE = 24, 40
MOST_CELLS = 28
"""How wide a text in a box is at the most, in letters of the Latin alphabet."""

COLUMNS: dict[ElementType, int] = {"interface": 0, "machine": 1, "process": 2, "server": 3, "host": 3}
COLOURS: dict[ServerState, str] = {"online": "#2e7d32", "degraded": "#e08a00", "offline": "#8a8a8a"}
FILLS: dict[ElementType, str] = {
    "machine": "#e3f2fd",
    "interface": "#f3e5f5",
    "process": "#ffffff",
    "server": "#e8f5e9",
    "host": "#fff8e1",
}
SVG = "http://www.w3.org/2000/svg"
STYLE = (
    "text{font-family:sans-serif;fill:#222}.n{font-size:13px}.i{font-size:10px;fill:#666}.e{font-size:9px;fill:#555}"
)
# XML 1.0, 2.2: no other characters may stand in a document, not even escaped.
NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Box:
    """Where a node stands: its left upper corner, in pixels."""

    node: Element
    column: int
    x: int
    y: int

    @property
    def middle(self) -> int:
        return self.y + HEIGHT // 2


def picture(topology: Topology) -> str:
    """Return the picture as an SVG document."""
    boxes = laid_out(topology.nodes, topology.edges)
    width = max((box.x for box in boxes.values()), default=0) + WIDTH + MARGIN
    height = max((box.y for box in boxes.values()), default=0) + HEIGHT + MARGIN
    more = " (more than is shown)" if topology.truncated else ""
    title = f"Network, {rfc3339(topology.generated_at)}{more}"
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<svg xmlns="{SVG}" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">',
            f"<title>{text(title)}</title>",
            f"<style>{STYLE}</style>",
            f'<rect width="{width}" height="{height}" fill="#fafafa"/>',
            f'<text class="n" x="{MARGIN}" y="{MARGIN}">{text(title)}</text>',
            *(_edge(edge, boxes) for edge in topology.edges if {edge.source, edge.target} <= boxes.keys()),
            *(_node(box) for box in boxes.values()),
            "</svg>",
            "",
        ]
    )


def laid_out(nodes: Sequence[Element], edges: Sequence[Edge]) -> dict[str, Box]:
    """Give each node its place: columns by type, in each the nodes near to what they hang on in the one before."""
    columns: dict[int, list[Element]] = defaultdict(list)
    for node in sorted(nodes, key=lambda node: node.id):
        columns[_column(node)].append(node)
    neighbours: dict[str, list[str]] = defaultdict(list)
    for edge in edges:
        neighbours[edge.source].append(edge.target)
        neighbours[edge.target].append(edge.source)
    tallest = max((len(column) for column in columns.values()), default=0)
    boxes: dict[str, Box] = {}
    for place, number in enumerate(sorted(columns)):
        column = sorted(columns[number], key=lambda node: (_near(node, neighbours, boxes), node.id))
        top = TITLE + (tallest - len(column)) * (HEIGHT + GAP_DOWN) // 2
        for row, node in enumerate(column):
            across = MARGIN + place * (WIDTH + GAP_ACROSS)
            boxes[node.id] = Box(node, place, across, top + row * (HEIGHT + GAP_DOWN))
    return boxes


def text(words: str) -> str:
    """Return a text so that it stands in a document as itself."""
    return escape(NOT_IN_XML.sub("\ufffd", words))


def clipped(words: str) -> str:
    """Return as much of a text as a box is wide."""
    cells = 0
    for index, letter in enumerate(words):
        cells += 2 if east_asian_width(letter) in "WF" else 1
        if cells > MOST_CELLS:
            return words[: max(index - 1, 0)] + "…"
    return words


def _column(node: Element) -> int:
    return COLUMNS["process"] if node.id == f"server:{LOCAL}" else COLUMNS[node.type]


def _near(node: Element, neighbours: Mapping[str, list[str]], boxes: Mapping[str, Box]) -> float:
    """Return the mean height of what the node hangs on and has its place already; the bottom where there is nothing."""
    placed = [boxes[other].y for other in neighbours[node.id] if other in boxes]
    return sum(placed) / len(placed) if placed else float("inf")


def _node(box: Box) -> str:
    node = box.node
    told = "\n".join([f"{node.type} {node.name}: {node.status}", *node.addresses])
    return (
        f'<g><title>{text(told)}</title><rect x="{box.x}" y="{box.y}" width="{WIDTH}" height="{HEIGHT}" rx="6" '
        f'fill="{FILLS[node.type]}" stroke="{COLOURS[node.status]}" stroke-width="1.5"/>'
        f'<text class="n" x="{box.x + 10}" y="{box.y + 19}">{text(clipped(node.name))}</text>'
        f'<text class="i" x="{box.x + 10}" y="{box.y + 34}">{text(clipped(node.id))}</text></g>'
    )


def _edge(edge: Edge, boxes: Mapping[str, Box]) -> str:
    source, target = boxes[edge.source], boxes[edge.target]
    path = _curve(source, target)
    words = words_of(edge)
    told = f"{edge.source} {edge.type} {edge.target}: {edge.status} {words}".rstrip()
    dashes = ' stroke-dasharray="4 3"' if edge.status != "online" else ""
    label = ""
    if words:
        across = max((source.x + target.x + WIDTH) // 2, min(source.x, target.x) + WIDTH + 8)
        label = f'<text class="e" x="{across}" y="{(source.middle + target.middle) // 2 - 3}">{text(words)}</text>'
    return (
        f'<g><title>{text(told)}</title><path d="{path}" fill="none" stroke="{COLOURS[edge.status]}"{dashes}/>'
        f"{label}</g>"
    )


def _curve(source: Box, target: Box) -> str:
    """Return a path from box to box: across the gap between two columns, or out to the right within one."""
    if source.column == target.column:
        side = source.x + WIDTH
        return (
            f"M{side},{source.middle} C{side + 60},{source.middle} {side + 60},{target.middle} {side},{target.middle}"
        )
    left, right = (source, target) if source.column < target.column else (target, source)
    begin, end = left.x + WIDTH, right.x
    half = (end - begin) // 2
    return f"M{begin},{left.middle} C{begin + half},{left.middle} {end - half},{right.middle} {end},{right.middle}"
