"""Named contexts, one file each: read whole, written whole, changed under a lock."""

import os
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError as ModelError

from nexus.context.known import content_of
from nexus.context.lock import locked
from nexus.schemas.context import CLEARED_BY, CONTEXT_KINDS, ContextChange, ContextKind, ContextState, ContextUpdate
from nexus.schemas.errors import NotFound, StorageFull, StorageReadOnly, ValidationError
from nexus.schemas.regular import expect_regular

DEFAULT_NAME = "default"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_MOST_BYTES = 64 * 1024


def checked_name(name: str) -> str:
    """Return the name of a context. Raises `ValidationError` for one that could not be a file's."""
    if not _NAME.fullmatch(name):
        raise ValidationError.because(
            "A context's name has letters, digits, '.', '_' and '-', and at most 64 of them.",
            field="context",
            hint="nexus settings context list",
        )
    return name


def changed_state(state: ContextState, update: ContextUpdate) -> tuple[ContextState, list[ContextChange]]:
    """Apply an update: what is selected clears what belonged to the selection before. Returns what changed too."""
    after: dict[ContextKind, object] = {kind: getattr(state, kind) for kind in CONTEXT_KINDS}
    for kind in update.clear:
        for cleared in (kind, *CLEARED_BY.get(kind, ())):
            after[cleared] = None
    for kind in CONTEXT_KINDS:
        if kind in update.select:
            before = getattr(state, kind)
            if before is None or before.id != update.select[kind].id:
                for cleared in CLEARED_BY.get(kind, ()):
                    after[cleared] = None
            after[kind] = update.select[kind]
    new = ContextState.model_validate({kind: value for kind, value in after.items() if value is not None})
    changes = [
        ContextChange(kind=kind, before=getattr(state, kind), after=getattr(new, kind))
        for kind in CONTEXT_KINDS
        if getattr(state, kind) != getattr(new, kind)
    ]
    return new, changes


def write_whole(path: Path, content: bytes) -> None:
    """Put a file in place at once: its readers see the old one or the new one. Raises `StorageReadOnly`/`Full`."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            expect_regular(path)
            temporary.replace(path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(error, path) from error


def _sync_folder(folder: Path) -> None:
    """Have the new name itself on the disk: a refresh token that a power cut takes back was used already."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def storage_error(error: OSError, path: Path) -> StorageFull | StorageReadOnly:
    """Say what the system says of a write, as an error of ours."""
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(path=str(path))
    return StorageReadOnly(path=str(path), reason=error.strerror)


class ContextFiles:
    """The named contexts in one folder. `name` is the context that this command works in.

    `warnings` collects what people must know: a file that was set aside. Nothing is created before the first write.
    """

    def __init__(self, folder: Path, name: str = DEFAULT_NAME) -> None:
        self.name = checked_name(name)
        self.warnings: list[str] = []
        self._folder = folder

    def _path(self, name: str) -> Path:
        return self._folder / f"{checked_name(name)}.json"

    def load(self) -> ContextState:
        """Return this command's selections; nothing selected where there is no file or a damaged one."""
        return self.load_named(self.name)

    def load_named(self, name: str) -> ContextState:
        """Return a context's selections. A damaged file is set aside under another name, and reported."""
        path = f"{self._folder}/{checked_name(name)}.json"
        try:
            content = content_of(path, _MOST_BYTES)
        except OSError as error:
            self.warnings.append(f"The context file {path} cannot be read ({error.strerror}): nothing is selected.")
            return ContextState()
        if content is None:
            return ContextState()
        try:
            return ContextState.model_validate_json(content)
        except ModelError:
            self._set_aside(self._path(name))
            return ContextState()

    def _set_aside(self, path: Path) -> None:
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        aside = path.with_name(f"{path.name}.corrupt-{moment}-{secrets.token_hex(2)}")
        try:
            path.rename(aside)
        except OSError as error:
            self.warnings.append(f"The context file {path} is damaged and cannot be moved ({error.strerror}).")
        else:
            self.warnings.append(
                f"The context file {path} was damaged: it is kept as {aside}, and nothing is selected."
            )

    def names(self) -> list[str]:
        """Return the names of all contexts that were ever written, and this command's."""
        found = {path.stem for path in self._folder.glob("*.json") if _NAME.fullmatch(path.stem)}
        return sorted(found | {self.name, DEFAULT_NAME})

    def remove(self, name: str) -> None:
        """Delete a context. Raises `NotFound`."""
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            raise NotFound(resource="context", reference=name, hint="nexus settings context list") from None
        except OSError as error:
            raise storage_error(error, self._path(name)) from error

    async def apply(self, update: ContextUpdate) -> list[ContextChange]:
        """Change this context on disk, read again under its lock, and return what changed."""
        path = self._path(self.name)
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            guard = locked(self._folder / f".{self.name}.lock")
            async with guard:
                state, changes = changed_state(self.load(), update)
                if changes:
                    write_whole(path, state.model_dump_json(exclude_none=True).encode() + b"\n")
        except OSError as error:
            raise storage_error(error, path) from error
        return changes
