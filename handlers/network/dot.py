"""The topology in DOT, the language of Graphviz."""

from nexus.schemas.network import Edge, Element, ElementType, ServerState, Topology

SHAPES: dict[ElementType, str] = {
    "machine": "box3d",
    "interface": "cds",
    "server": "component",
    "process": "box",
    "host": "ellipse",
}
COLOURS: dict[ServerState, str] = {"online": "darkgreen", "degraded": "darkorange", "offline": "gray50"}


def graph(topology: Topology) -> str:
    """Return the topology as a directed graph."""
    lines = ["digraph nexus {", "  rankdir=LR;", '  node [fontname="sans-serif"];', '  edge [fontname="sans-serif"];']
    lines += [_node(node) for node in topology.nodes]
    lines += [_edge(edge) for edge in topology.edges]
    return "\n".join([*lines, "}", ""])


def quoted(text: str) -> str:
    """Return a text as a quoted string: nothing in it is read as more than itself."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(letter if letter.isprintable() else " " for letter in escaped) + '"'


def _node(node: Element) -> str:
    label = quoted(node.name) if node.name == node.id else f"{quoted(node.name)[:-1]}\\n{quoted(node.id)[1:]}"
    return f"  {quoted(node.id)} [label={label}, shape={SHAPES[node.type]}, color={COLOURS[node.status]}];"


def _edge(edge: Edge) -> str:
    label = quoted(words_of(edge))
    return f"  {quoted(edge.source)} -> {quoted(edge.target)} [label={label}, color={COLOURS[edge.status]}];"


def words_of(edge: Edge) -> str:
    """Return what stands at an edge: its label, and how many connections it is when it is more than one."""
    words = [edge.label, f"({edge.count})" if edge.count > 1 else None]
    return " ".join(word for word in words if word)
