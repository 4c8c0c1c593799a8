"""`network topology`: what is connected with what, as nodes and edges, and as a picture."""

import asyncio
from pathlib import Path
from typing import Literal

from pydantic import Field

from nexus.handlers import places
from nexus.handlers.api_errors import READING
from nexus.handlers.network import dot, drawing
from nexus.handlers.written import WRITING_FILES, write_whole
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, NoArguments, Outcome
from nexus.schemas.errors import ValidationError
from nexus.schemas.model import Model
from nexus.schemas.network import Topology

Format = Literal["json", "dot", "svg"]
FORMATS: dict[str, Format] = {".json": "json", ".dot": "dot", ".gv": "dot", ".svg": "svg"}


class ViewTopology(CommandHandler[NoArguments, Topology]):
    """Show the topology: machine, interfaces, servers, processes and hosts, and the edges between them.

    An edge goes from who asked to who was asked; `count` connections make it up. A picture has at most a thousand
    processes and hosts, those with the most connections; `truncated` says that there are more.
    """

    path = ("network", "topology", "view")
    result = Topology
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READING
    examples = (
        Example(line="nexus network topology view", shows="Nodes and edges"),
        Example(line="nexus network topology view --query 'nodes[].id'", shows="The ids of the nodes"),
    )

    async def execute(self, context: ExecutionContext[NoArguments]) -> Topology:
        return await context.api.get("/api/network/topology", Topology)


class RefreshTopology(CommandHandler[NoArguments, Topology]):
    """Ask every server how it is, then show the topology."""

    path = ("network", "topology", "refresh")
    result = Topology
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READING
    examples = (Example(line="nexus network topology refresh", shows="Nodes and edges as they are now"),)

    async def execute(self, context: ExecutionContext[NoArguments]) -> Topology:
        return await context.api.post("/api/network/topology/refresh", Topology)


class ExportTopologyArguments(Arguments):
    to: str = Field(
        min_length=1,
        max_length=4096,
        description="The file to write; its ending says what: .json, .dot (or .gv), .svg. Relative to where you are.",
    )
    overwrite: bool = Field(default=False, description="Put it in the place of a file that is there.")


class TopologyExported(Model):
    """What was written where."""

    path: str
    format: Format
    size: int
    nodes: int
    edges: int
    truncated: bool


class ExportTopology(CommandHandler[ExportTopologyArguments, TopologyExported]):
    """Write the topology to a file: JSON, DOT for Graphviz, or a picture in SVG, by the file's ending.

    The file is written whole or not at all. The same topology gives the same picture.
    """

    path = ("network", "topology", "export")
    arguments = ExportTopologyArguments
    result = TopologyExported
    effects = frozenset({Effect.WRITE})
    change = "created"
    errors = (*READING, *WRITING_FILES)
    examples = (
        Example(line="nexus network topology export --to network.svg", shows="A picture"),
        Example(line="nexus network topology export --to network.dot", shows="A graph for Graphviz"),
        Example(
            line="nexus network topology export --to network.json --overwrite",
            shows="Nodes and edges, in place of the file of before",
            needs=("nexus network topology export --to network.json --overwrite",),
        ),
    )

    async def execute(self, context: ExecutionContext[ExportTopologyArguments]) -> Outcome[TopologyExported]:
        given = context.args
        path = Path(places.absolute(given.to, context.cwd, context.environment))
        written_as = FORMATS.get(path.suffix.lower())
        if written_as is None:
            raise ValidationError.because(
                f"{path.name!r} does not end as a format does.",
                field="to",
                expected=sorted(FORMATS),
                hint="nexus network topology export --to network.svg",
            )
        topology = await context.api.get("/api/network/topology", Topology)
        data = await asyncio.to_thread(written, topology, written_as)
        change = await asyncio.to_thread(write_whole, path, data, umask=context.umask, overwrite=given.overwrite)
        exported = TopologyExported(
            path=str(path),
            format=written_as,
            size=len(data),
            nodes=len(topology.nodes),
            edges=len(topology.edges),
            truncated=topology.truncated,
        )
        return Outcome(exported, message=f"Wrote {len(topology.nodes)} nodes to {path}.", change=change)


def written(topology: Topology, written_as: Format) -> bytes:
    """Return the topology in a format."""
    if written_as == "json":
        return topology.model_dump_json(by_alias=True, indent=2).encode() + b"\n"
    text = dot.graph(topology) if written_as == "dot" else drawing.picture(topology)
    return text.encode("utf-8", "replace")
