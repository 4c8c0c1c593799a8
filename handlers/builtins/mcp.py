"""`mcp`: nexus for agents that speak the Model Context Protocol."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext
from nexus.schemas.errors import ExtraMissing, NotFound, ResourceUnavailable
from nexus.schemas.front import McpOptions
from nexus.schemas.model import Model
from nexus.schemas.stream import OutputStream


class ServeArguments(Arguments):
    http: bool = Field(default=False, description="Serve streamable HTTP on a port, not stdin and stdout.")
    host: str = Field(default="127.0.0.1", max_length=255, description="The address to serve HTTP at.")
    port: int = Field(default=0, ge=0, le=65535, description="The port to serve HTTP at; 0 takes a free one.")
    read_only: bool = Field(default=False, description="Offer only what changes nothing.")
    namespaces: list[Annotated[str, StringConstraints(min_length=1, max_length=100)]] = Field(
        default_factory=list, max_length=100, description="Offer only these namespaces; 'nexus' is the built-ins."
    )


class Serving(Model):
    """Over HTTP: where it serves, and where the bearer token comes from. Over stdio the protocol alone is printed."""

    url: str
    token_file: str | None = None
    token_from: Literal["NEXUS_MCP_TOKEN"] | None = None


class ServeMcp(CommandHandler[ServeArguments, OutputStream]):
    """Serve every command to agents over the Model Context Protocol.

    One tool a namespace, with its commands as an enum, help and schema among them. Over stdio until the end of input;
    over HTTP until interrupted, for clients that send the bearer token of NEXUS_MCP_TOKEN or of the file that is told.
    Nothing that a person selected is used or changed: name the project in each call, or here by --project.
    """

    path = ("mcp", "serve")
    arguments = ServeArguments
    result = Serving
    effects = frozenset({Effect.WRITE})
    command_line_only = True
    errors = (ExtraMissing, NotFound, ResourceUnavailable)
    examples = (
        Example(line="nexus mcp serve </dev/null", shows="Over stdio, to the end of input"),
        Example(
            line="nexus mcp serve --namespaces agent,debug --read-only </dev/null", shows="Less, and nothing changes"
        ),
    )

    async def execute(self, context: ExecutionContext[ServeArguments]) -> OutputStream:
        given = context.args
        return await context.fronts.mcp(
            McpOptions(
                http=given.http,
                host=given.host,
                port=given.port,
                read_only=given.read_only,
                namespaces=tuple(given.namespaces),
            )
        )
