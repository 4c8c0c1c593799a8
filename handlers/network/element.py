"""`network element`: machine, interfaces, servers, processes and hosts; one of them can be selected."""

from pydantic import Field

from nexus.handlers.api_errors import READING
from nexus.handlers.collections import ELEMENTS as SELECTABLE_ELEMENTS
from nexus.handlers.listing import ListArguments, query_of
from nexus.handlers.network.connection import ListConnectionsArguments, connection_query
from nexus.handlers.references import Collection, NameReference
from nexus.schemas.command import CommandHandler, Effect, Example, ExecutionContext, Outcome
from nexus.schemas.context import ContextUpdate
from nexus.schemas.errors import Conflict, NotFound, StorageReadOnly
from nexus.schemas.network import Connection, Element, ElementType, Noted, ServerState
from nexus.schemas.page import Page

SELECT_MACHINE = "nexus network element select --id machine"

ELEMENTS = Collection(
    resource="element",
    namespace="network",
    listed_at=SELECTABLE_ELEMENTS.listed_at,
    found_at=SELECTABLE_ELEMENTS.found_at,
    page=Page[Element],
    item=Element,
)


class ListElementsArguments(ListArguments):
    filter_type: ElementType | None = Field(default=None, description="Only elements of this type.")
    filter_status: ServerState | None = Field(default=None, description="Only elements that are so.")


class ListElements(CommandHandler[ListElementsArguments, Noted[Element]]):
    """List the elements of the network: the machine, its interfaces, servers, processes with connections, hosts.

    An id is the type and what tells the element from its like: `interface:eth0`, `process:4711`, `host:192.0.2.7`.
    """

    path = ("network", "element", "list")
    arguments = ListElementsArguments
    result = Noted[Element]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READING
    examples = (
        Example(line="nexus network element list", shows="All elements"),
        Example(
            line="nexus network element list --filter-type interface --fields name,status,addresses",
            shows="The machine's interfaces and their addresses",
        ),
    )

    async def execute(self, context: ExecutionContext[ListElementsArguments]) -> Noted[Element]:
        return await context.api.get("/api/network/elements", Noted[Element], query=_query(context.args))


class SearchElementsArguments(ListElementsArguments):
    text: str = Field(
        min_length=1,
        max_length=1000,
        description="What to look for, in whatever case: in ids, names, addresses and details.",
        json_schema_extra={"positional": True},
    )


class SearchElements(CommandHandler[SearchElementsArguments, Noted[Element]]):
    """Find the elements that contain a text in their id, name, addresses or details."""

    path = ("network", "element", "search")
    arguments = SearchElementsArguments
    result = Noted[Element]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = READING
    examples = (
        Example(line="nexus network element search 127.0.0.1", shows="What has an address, or is connected to it"),
    )

    async def execute(self, context: ExecutionContext[SearchElementsArguments]) -> Noted[Element]:
        return await context.api.get("/api/network/elements/search", Noted[Element], query=_query(context.args))


class ElementReference(NameReference):
    """Which element."""


class ViewElement(CommandHandler[ElementReference, Element]):
    """Show one element with its addresses and details."""

    path = ("network", "element", "view")
    arguments = ElementReference
    result = Element
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    errors = (*READING, NotFound, Conflict)
    examples = (Example(line="nexus network element view --id machine", shows="The kernel's machine"),)

    async def execute(self, context: ExecutionContext[ElementReference]) -> Element:
        return await ELEMENTS.find(context.api, context.args)


class SelectElement(CommandHandler[ElementReference, Element]):
    """Select an element for the commands that follow."""

    path = ("network", "element", "select")
    arguments = ElementReference
    result = Element
    effects = frozenset({Effect.WRITE, Effect.IDEMPOTENT})
    change = "updated"
    errors = (*READING, NotFound, Conflict, StorageReadOnly)
    examples = (Example(line=SELECT_MACHINE, shows="Look at the kernel's machine"),)

    async def execute(self, context: ExecutionContext[ElementReference]) -> Outcome[Element]:
        element = await ELEMENTS.find(context.api, context.args)
        update = ContextUpdate(select={"element": ELEMENTS.selection(element)})
        return Outcome(element, message=f"Selected the element {element.id!r}.", context_update=update)


class ListConnectionsOfElement(CommandHandler[ListConnectionsArguments, Noted[Connection]]):
    """List the connections of the selected element.

    Of a process those that it owns, of a host those to it, of an interface those at its addresses, of a server those to
    its place; of the machine all. NEXUS_ELEMENT names an element without selecting it.
    """

    path = ("network", "element", "connections")
    arguments = ListConnectionsArguments
    result = Noted[Connection]
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    context = ("element",)
    errors = (*READING, NotFound)
    examples = (
        Example(
            line="nexus network element connections --filter-type tcp",
            shows="What the selected element is connected with",
            needs=(SELECT_MACHINE,),
        ),
    )

    async def execute(self, context: ExecutionContext[ListConnectionsArguments]) -> Noted[Connection]:
        query = connection_query(context.args, element=context.selected("element"))
        return await context.api.get("/api/network/connections", Noted[Connection], query=query)


def _query(arguments: ListElementsArguments) -> dict[str, object]:
    query = query_of(arguments)
    asked = {"type": query.pop("filterType", None), "status": query.pop("filterStatus", None)}
    return {**query, **asked}
