"""The rows of projects, roadmaps and chats: found, counted, and told apart by name."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Connection, Row, func, select

from nexus.kernel.store.rows import name_key
from nexus.kernel.store.schema import chats, messages, projects, roadmaps
from nexus.schemas.errors import Conflict, NotFound, ValidationError


def project_row(connection: Connection, project_id: str) -> Row[Any]:
    """Return a project's row. Raises `NotFound`."""
    row = connection.execute(select(projects).where(projects.c.id == project_id)).one_or_none()
    if row is None:
        raise NotFound(resource="project", reference=project_id, hint="nexus agent project list")
    return row


def belongings(connection: Connection, project_id: str) -> dict[str, int]:
    """Count what belongs to a project, by kind."""
    of_project = roadmaps.c.project_id == project_id
    with_chats = roadmaps.join(chats)
    counts = {
        "roadmaps": select(func.count()).select_from(roadmaps).where(of_project),
        "chats": select(func.count()).select_from(with_chats).where(of_project),
        "messages": select(func.count()).select_from(with_chats.join(messages)).where(of_project),
    }
    return {kind: connection.execute(query).scalar_one() for kind, query in counts.items()}


def refuse_taken(connection: Connection, name: str, *, but: str | None = None) -> None:
    """Raise `Conflict` when a project other than `but` has the name, letters' case aside."""
    query = select(projects.c.id, projects.c.name).where(projects.c.name_key == name_key(name))
    row = connection.execute(query).one_or_none()
    if row is not None and row.id != but:
        raise Conflict.because(
            f"There is already a project {row.name!r}.", field="name", id=row.id, hint="nexus agent project list"
        )


def changed_values(changes: BaseModel, never_null: Sequence[str]) -> dict[str, Any]:
    """Return the fields that were given. Raises `ValidationError` for a null where there is always a value."""
    values = changes.model_dump(exclude_unset=True, by_alias=False)
    for name in never_null:
        if name in values and values[name] is None:
            raise ValidationError.because(f"{name} cannot be null: leave it out to keep it.", field=name)
    return values
