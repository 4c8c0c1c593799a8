"""How a command names one thing: `--id`, or its name; and how a name becomes the thing."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from nexus.schemas.command import ApiClient, Arguments
from nexus.schemas.context import ContextKind, Selection
from nexus.schemas.errors import Conflict, NexusError, NotFound, SessionNotFound
from nexus.schemas.page import Page


class Identified(Protocol):
    """Whatever the API keeps under an id."""

    @property
    def id(self) -> str: ...


Item = TypeVar("Item", bound=Identified)

MOST_COMPARED = 200
"""How many names are looked through for the nearest ones when there is none of that name."""


class OneReference(Arguments):
    """`--id`, or the flag that `called` names; never both, never neither."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["id"]}, {"required": ["name"]}]})

    called: ClassVar[str] = "name"
    optional: ClassVar[bool] = False

    id: str | None = Field(default=None, min_length=1, max_length=200, description="Its id.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in ("id", self.called) if getattr(self, name) is not None]
        if len(given) > 1 or not (given or self.optional):
            how = "at most" if self.optional else "exactly"
            raise PydanticCustomError(
                "one_reference", "Give {how} one of --id and --{called}.", {"how": how, "called": self.called}
            )
        return self

    @property
    def reference(self) -> str | None:
        """The name that was given, if one was."""
        value: str | None = getattr(self, self.called)
        return value


class NameReference(OneReference):
    """`--id` or `--name`."""

    name: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Its exact name.",
        json_schema_extra={"short": "n"},
    )

    @property
    def text(self) -> str:
        """The id, or the name."""
        return self.id or self.name or ""


class TitleReference(OneReference):
    """`--id` or `--title`."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["id"]}, {"required": ["title"]}]})

    called: ClassVar[str] = "title"

    title: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Its exact title.",
        json_schema_extra={"short": "n", "aliases": ["name"]},
    )


@dataclass(frozen=True)
class Collection(Generic[Item]):
    """One kind of thing in the API: where its list and its items are, and what their name is called.

    `stands_in` is the kind above it and the field that names the item there; `within` gives the collection of one such
    owner, in which the items of others are not found.
    """

    resource: str
    listed_at: str
    found_at: str
    page: type[Page[Item]]
    item: type[Item]
    called: str = "name"
    namespace: str = "agent"
    query: Mapping[str, Any] = field(default_factory=dict)
    stands_in: tuple[ContextKind, str] | None = None
    owner: str | None = None
    noun: str | None = None
    """What people call one, where that is not the resource's name."""

    def within(self, owner: str) -> Self:
        """Return the items that stand in the thing with this id."""
        return replace(self, owner=owner)

    async def find(self, api: ApiClient, reference: OneReference) -> Item:
        """Return the thing that `--id` or its name means. Raises `NotFound` with the nearest names."""
        if reference.id is not None:
            return await self.by_id(api, reference.id)
        return await self.by_name(api, reference.reference or "")

    async def by_id(self, api: ApiClient, identity: str) -> Item:
        """Return the item with this id. Raises `NotFound` when it belongs to another owner."""
        item = await api.get(self.found_at, self.item, at={"id": identity})
        if self.owner is not None and self.stands_in and getattr(item, self.stands_in[1]) != self.owner:
            raise self._missing(identity, [])
        return item

    async def by_name(self, api: ApiClient, name: str) -> Item:
        """Return the one item with exactly this name."""
        asked = {**self.query, self.called: name, "limit": 2}
        found = (await api.get(self.listed_at, self.page, at=self._at(), query=asked)).items
        if len(found) > 1:
            raise Conflict.because(
                f"More than one {self.noun or self.resource} is called {name!r}.", hint="Name the one you mean by --id."
            )
        if not found:
            raise self._missing(name, await self._names(api))
        return found[0]

    async def by_id_or_name(self, api: ApiClient, reference: str) -> Item:
        """Return the item that the text means: an id before a name, so that no name can hide another's id."""
        try:
            return await self.by_id(api, reference)
        except NexusError as missing:
            if not is_absent(missing):
                raise
        return await self.by_name(api, reference)

    def selection(self, item: Item) -> Selection:
        """Return the item as the context keeps it."""
        return Selection(id=item.id, name=getattr(item, self.called))

    def _at(self) -> dict[str, str]:
        return {} if self.owner is None else {"id": self.owner}

    async def _names(self, api: ApiClient) -> list[str]:
        query = {**self.query, "limit": MOST_COMPARED}
        listed = await api.get(self.listed_at, self.page, at=self._at(), query=query)
        return [getattr(item, self.called) for item in listed.items]

    def _missing(self, reference: str, names: list[str]) -> NotFound:
        import difflib

        return NotFound(
            resource=self.noun or self.resource,
            reference=reference,
            suggestions=difflib.get_close_matches(reference[:200], names),
            hint=f"nexus {self.namespace} {self.resource} list",
        )


def is_absent(error: NexusError) -> bool:
    """Say whether an error tells that the thing which was asked for is not there."""
    entry = error.entry()
    return entry.type == "not_found" or entry.code == SessionNotFound.code
