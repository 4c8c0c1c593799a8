"""What the commands of data sets and artifacts have in common: their arguments, what they name, how they move."""

import asyncio
import os
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field

from nexus.handlers.api_errors import READING, WRITING
from nexus.handlers.data.events import TransferStream
from nexus.handlers.data.pull import Pull
from nexus.handlers.data.push import LocalFile, Push
from nexus.handlers.data.transfer import Transfer, watched
from nexus.handlers.places import absolute
from nexus.handlers.references import Collection
from nexus.schemas.command import Arguments, ExecutionContext
from nexus.schemas.data import Artifact, Dataset, Description, NewUpload, Stored, Verification
from nexus.schemas.errors import (
    BackendError,
    ChecksumMismatch,
    Conflict,
    FileChanged,
    NexusError,
    NotFound,
    StorageCorrupt,
    StorageFull,
    StorageReadOnly,
    TransferBroken,
    TransferBusy,
    UploadExpired,
    UploadIncomplete,
    UrlExpired,
    UrlRefused,
    ValidationError,
)
from nexus.schemas.page import Page
from nexus.schemas.project import Name
from nexus.schemas.stream import OutputStream

DATASETS_AT = "/api/data/datasets"
ARTIFACTS_AT = "/api/data/artifacts"

DATASETS = Collection("dataset", DATASETS_AT, f"{DATASETS_AT}/{{id}}", Page[Dataset], Dataset, namespace="data")
ARTIFACTS = Collection("artifact", ARTIFACTS_AT, f"{ARTIFACTS_AT}/{{id}}", Page[Artifact], Artifact, namespace="data")

TRANSFER_ERRORS = (BackendError, TransferBroken, ChecksumMismatch, UrlRefused, UrlExpired, NotFound, Conflict)
PUSH_ERRORS: tuple[type[NexusError], ...] = (
    *(*WRITING, *TRANSFER_ERRORS),
    *(FileChanged, UploadExpired, UploadIncomplete),
)
PULL_ERRORS: tuple[type[NexusError], ...] = (*READING, *TRANSFER_ERRORS, TransferBusy, StorageFull, StorageReadOnly)
VERIFY_ERRORS: tuple[type[NexusError], ...] = (*READING, NotFound, ChecksumMismatch, StorageCorrupt)
TRANSFER_EVENTS = ("metadata", "status", "data", "error", "interrupt", "close")

MADE = ("printf 'a,b\\n1,2\\n' > numbers.csv",)
"""What the examples stand on."""

Item = TypeVar("Item", bound=Stored)


class ItemReference(Arguments):
    item: str = Field(
        min_length=1,
        max_length=200,
        description="Its id, or its exact name.",
        json_schema_extra={"positional": True, "metavar": "ID"},
    )


class FollowArguments(Arguments):
    follow: bool = Field(default=False, description="Print what happens as events, the last of them the close.")
    collect: bool = Field(default=False, description="Print one envelope all the same.")


class PushArguments(FollowArguments):
    path: str = Field(
        min_length=1, max_length=4096, description="The file to push.", json_schema_extra={"positional": True}
    )
    name: Name | None = Field(
        default=None, description="What to call it; else as the file is called.", json_schema_extra={"short": "n"}
    )
    description: Description | None = Field(default=None, description="What it is.")


class PullArguments(ItemReference, FollowArguments):
    destination: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="The file to write, or a folder to write it in; else the pushed file's name, here.",
        json_schema_extra={"positional": True},
    )
    overwrite: bool = Field(default=False, description="Take the place of a file that is there already.")


class VerifyArguments(ItemReference):
    file: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="A file to compare with what was pushed, in place of what is kept.",
        json_schema_extra={"positional": True},
    )


async def found(context: ExecutionContext[Any], kind: Collection[Item], reference: str) -> Item:
    """Return the item that an id or a name means; of several with the name, the newest. Raises `NotFound`."""
    if kind is ARTIFACTS:
        return await _newest(context, kind, reference)
    return await kind.by_id_or_name(context.api, reference)


async def _newest(context: ExecutionContext[Any], kind: Collection[Item], reference: str) -> Item:
    query = {"name": reference, "limit": 1, "sort": "-createdAt"}
    if not reference.startswith("art_"):
        listed = await context.api.get(kind.listed_at, kind.page, query=query)
        if listed.items:
            return listed.items[0]
    return await kind.by_id_or_name(context.api, reference)


async def moved(context: ExecutionContext[Any], transfer: Transfer[Any]) -> Any:
    """Return the stream of a transfer where events are asked for, else what became of it."""
    if context.args.follow and not context.args.collect:
        stream: OutputStream = TransferStream(transfer)
        return stream
    return await watched(transfer)


def pushed(
    context: ExecutionContext[Any], at: str, result: type[Item], new: type[NewUpload], **more: Any
) -> Push[Item]:
    """Return the transfer that the arguments of a push ask for. Raises `NotFound`, `ValidationError`."""
    args: PushArguments = context.args
    path = Path(absolute(args.path, context.cwd, context.environment))
    file = LocalFile(path)
    name = args.name or path.name
    try:
        body = new.model_validate(
            {
                **more,
                "name": name,
                "filename": path.name,
                "size": file.size,
                "description": args.description,
                "resume_key": file.resume_key(at, name),
            }
        )
    except ValueError as error:
        file.close()
        raise ValidationError.because(
            f"{path.name!r} cannot be a name.", field="name", hint="Give another one with --name."
        ) from error
    return Push(context, at, result, file, body)


def pulled(context: ExecutionContext[Any], at: str, kind: Collection[Any]) -> Pull:
    """Return the transfer that the arguments of a pull ask for."""
    args: PullArguments = context.args
    return Pull(
        *(context, at, lambda: found(context, kind, args.item)),
        lambda item: target_of(context, args.destination, item),
        overwrite=args.overwrite,
    )


def target_of(context: ExecutionContext[Any], destination: str | None, item: Stored) -> Path:
    """Return the file to write. Raises `ValidationError` when the pushed file's name is none here."""
    path = Path(absolute(destination or ".", context.cwd, context.environment))
    if not path.is_dir():
        if destination is not None and destination.endswith(os.sep):
            raise ValidationError.because(f"There is no folder {path}.", field="destination")
        return path
    # What the server calls it must not lead elsewhere.
    if item.filename in (".", "..") or "/" in item.filename or "\0" in item.filename:
        raise ValidationError.because(
            f"{item.filename!r} cannot be a file's name here.", field="destination", hint="Name a file to write."
        )
    return path / item.filename


async def verified(context: ExecutionContext[Any], at: str, item: Stored) -> Verification:
    """Return that the bytes are right: those that are kept, or those of the file that is named."""
    args: VerifyArguments = context.args
    if args.file is None:
        return await context.api.post(f"{at}/{{id}}/verify", Verification, at={"id": item.id})
    file = LocalFile(Path(absolute(args.file, context.cwd, context.environment)))
    try:
        actual = await asyncio.to_thread(file.digest)
    finally:
        file.close()
    if actual != item.sha256:
        raise ChecksumMismatch(
            what=str(file.path), actual=actual, expected=item.sha256, hint="It is another file, or was changed."
        )
    return Verification(id=item.id, name=item.name, sha256=actual, size=file.size, path=str(file.path))
