"""Nexus for agents that speak the Model Context Protocol."""

import errno
import shutil
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from nexus.handlers.builtins import clients
from nexus.handlers.builtins.clients import Change
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.errors import ExtraMissing, NotFound, ResourceUnavailable, StorageFull, StorageReadOnly
from nexus.schemas.front import McpOptions
from nexus.schemas.model import Model
from nexus.schemas.stream import OutputStream

ClientName = Literal["claude-code", "claude-desktop", "codex", "cursor", "gemini", "qwen", "vscode", "windsurf"]


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


class RegisterArguments(Arguments):
    client: list[ClientName] = Field(
        default_factory=list, max_length=20, description="Only these clients; without it all that are found."
    )
    name: str = Field(
        default="nexus",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="What the server is called there.",
        json_schema_extra={"short": "n"},
    )
    read_only: bool = Field(default=False, description="Register it to offer only what changes nothing.")


class Registration(Model):
    """One client's file, and what was done to it: kept is an entry of that name that says something else."""

    client: str
    path: str
    change: Change
    reason: str | None = None


class Registrations(Model):
    """What was done with each client that was found, and the command that they will start."""

    items: list[Registration]
    command: list[str]


class RegisterMcp(CommandHandler[RegisterArguments, Registrations]):
    """Register the MCP server with the agent clients of this machine.

    Each client's own file gets one entry; nothing else in it changes, and an entry of that name stays as it is.
    """

    path = ("mcp", "register")
    arguments = RegisterArguments
    result = Registrations
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    command_line_only = True
    errors = (NotFound, StorageReadOnly, StorageFull)
    examples = (
        Example(
            line="nexus mcp register --client cursor",
            shows="One client",
            needs=('mkdir -p "$HOME/.cursor"',),
        ),
    )

    def execute(self, context: ExecutionContext[RegisterArguments]) -> Outcome[Registrations]:  # type: ignore[override]
        given = context.args
        home = Path(context.environment.get("HOME") or "~").expanduser()
        there = [client for client in clients.found(home) if not given.client or client.name in given.client]
        if not there:
            raise NotFound(
                resource="agent client",
                reference=", ".join(given.client) or "any",
                available=list(clients.NAMES),
                hint="nexus help mcp serve",
            )
        program = shutil.which("nexus", path=context.environment.get("PATH")) or "nexus"
        args = ["mcp", "serve", *(["--read-only"] if given.read_only else [])]
        items = [self._registered(home, client, given.name, {"command": program, "args": args}) for client in there]
        done = [item.client for item in items if item.change == "created"]
        message = f"Registered with {', '.join(done)}." if done else "Nothing was changed."
        return Outcome(Registrations(items=items, command=[program, *args]), message=message)

    def _registered(self, home: Path, client: clients.Client, name: str, entry: dict[str, Any]) -> Registration:
        path = home / client.file
        try:
            change, reason = clients.register(path, client, name, entry)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFull(path=str(path)) from error
            raise StorageReadOnly(path=str(path), reason=error.strerror) from error
        return Registration(client=client.name, path=str(path), change=change, reason=reason)
