"""What was done on the server, by whom; and whether that is still told as it was written."""

import asyncio
from pathlib import Path
from typing import Literal

from pydantic import Field

from nexus.handlers.api_errors import READING
from nexus.handlers.listing import ListArguments, query_of
from nexus.handlers.places import absolute
from nexus.handlers.written import WRITING_FILES, write_whole
from nexus.schemas.audit import AuditExport, AuditRecord, AuditVerdict
from nexus.schemas.command import Arguments, CommandHandler, Effect, Example, ExecutionContext, NoArguments, Outcome
from nexus.schemas.errors import AuditBroken
from nexus.schemas.model import Model
from nexus.schemas.page import Page

PIECE = 5000


class ListAuditArguments(ListArguments):
    user: str | None = Field(default=None, max_length=100, description="Only what this user did.")
    operation: str | None = Field(default=None, max_length=200, description="Only this, as agent.project.create.")
    outcome: Literal["done", "denied"] | None = Field(default=None, description="Only what was done, or denied.")


class ListAudit(CommandHandler[ListAuditArguments, Page[AuditRecord]]):
    """List every write and every denied request, the newest first."""

    path = ("settings", "audit", "list")
    arguments = ListAuditArguments
    result = Page[AuditRecord]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READING
    examples = (Example(line="nexus settings audit list --outcome denied", shows="What was refused"),)

    async def execute(self, context: ExecutionContext[ListAuditArguments]) -> Page[AuditRecord]:
        return await context.api.get("/api/audit", Page[AuditRecord], query=query_of(context.args))


class VerifyAudit(CommandHandler[NoArguments, AuditVerdict]):
    """Follow the whole chain to its sealed head, and name the first record that was changed, moved, cut or added."""

    path = ("settings", "audit", "verify")
    result = AuditVerdict
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (*READING, AuditBroken)
    examples = (Example(line="nexus settings audit verify", shows="Whether the records are as they were written"),)

    async def execute(self, context: ExecutionContext[NoArguments]) -> Outcome[AuditVerdict]:
        verdict = await context.api.get("/api/audit/verify", AuditVerdict)
        if not verdict.intact:
            raise AuditBroken(seq=verdict.broken_at, fault=verdict.fault, records=verdict.records)
        return Outcome(verdict, message=f"All {verdict.records} records are as they were written.")


class ExportAuditArguments(Arguments):
    to: str = Field(min_length=1, max_length=4096, description="The file to write.")
    overwrite: bool = Field(default=False, description="Take the place of a file that is there.")


class AuditExported(Model):
    """Where the records are: one JSON object a line, each with its hash; the last line is the sealed head."""

    path: str
    records: int


class ExportAudit(CommandHandler[ExportAuditArguments, AuditExported]):
    """Write the whole chain to a file, as it is, for whoever keeps it elsewhere."""

    path = ("settings", "audit", "export")
    arguments = ExportAuditArguments
    result = AuditExported
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "created"
    errors = (*READING, *WRITING_FILES)
    examples = (Example(line="nexus settings audit export --to audit.ndjson", shows="A copy to keep elsewhere"),)

    async def execute(self, context: ExecutionContext[ExportAuditArguments]) -> Outcome[AuditExported]:
        given = context.args
        lines: list[str] = []
        while True:
            query = {"after": len(lines), "limit": PIECE}
            piece = await context.api.get("/api/audit/export", AuditExport, query=query)
            lines += [each.model_dump_json() for each in piece.records]
            if not piece.records:
                break
        records = len(lines)
        if piece.head is not None:
            lines.append(piece.head.model_dump_json())
        path = Path(absolute(given.to, context.cwd, context.environment))
        data = "".join(f"{line}\n" for line in lines).encode()
        change = await asyncio.to_thread(write_whole, path, data, umask=context.umask, overwrite=given.overwrite)
        return Outcome(AuditExported(path=str(path), records=records), change=change)
