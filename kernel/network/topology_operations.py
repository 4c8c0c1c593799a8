"""The API of the topology and of its elements."""

import asyncio
import json

from nexus.kernel.api.late import Behind
from nexus.kernel.api.operation import ApiRequest
from nexus.kernel.network.topology import Sight, elements, topology
from nexus.kernel.network.view import NetworkView
from nexus.kernel.paging import cut
from nexus.schemas.errors import NotFound
from nexus.schemas.network import Element, ElementQuery, ElementSearch, Noted, Topology

SORTS = {
    "id": lambda element: element.id,
    "type": lambda element: element.type,
    "name": lambda element: element.name.casefold(),
    "status": lambda element: element.status,
}


class TopologyOperations:
    """What can be asked of the topology."""

    def __init__(self, view: NetworkView) -> None:
        self.seen = view

    def behind(self) -> dict[str, Behind]:
        """Return what stands behind each operation."""
        page = Noted[Element]
        return {
            "network.topology.view": Behind(self.view, Topology),
            "network.topology.refresh": Behind(self.refresh, Topology),
            "network.element.list": Behind(self.list, page, query=ElementQuery),
            "network.element.search": Behind(self.search, page, query=ElementSearch),
            "network.element.view": Behind(self.one, Element),
        }

    async def view(self, request: ApiRequest[None, None]) -> Topology:  # noqa: ARG002 -- nothing to ask for
        """Return the topology as it is."""
        return await asyncio.to_thread(topology, await self.seen.sight())

    async def refresh(self, request: ApiRequest[None, None]) -> Topology:  # noqa: ARG002 -- nothing to ask for
        """Return the topology with every server asked anew."""
        return await asyncio.to_thread(topology, await self.seen.sight(within=0))

    async def list(self, request: ApiRequest[ElementQuery, None]) -> Noted[Element]:
        """Return a page of elements."""
        return await asyncio.to_thread(_page, await self.seen.sight(), request.query, request.query.filter)

    async def search(self, request: ApiRequest[ElementSearch, None]) -> Noted[Element]:
        """Return a page of the elements that contain the text."""
        query = request.query
        return await asyncio.to_thread(_page, await self.seen.sight(), query, query.filter, query.text)

    async def one(self, request: ApiRequest[None, None]) -> Element:
        """Return one element. Raises `NotFound`."""
        identity = request.path["id"]
        found = await asyncio.to_thread(elements, await self.seen.sight())
        for element in found:
            if element.id == identity:
                return element
        raise NotFound(resource="element", reference=identity[:200], hint="nexus network element list")


def _page(sight: Sight, query: ElementQuery, *texts: str | None) -> Noted[Element]:
    wanted = [text.casefold() for text in texts if text]
    found = [
        element
        for element in elements(sight)
        if query.name in (None, element.name)
        and query.type in (None, element.type)
        and query.status in (None, element.status)
        and all(text in _text(element) for text in wanted)
    ]
    items, cursor = cut(found, query, sorts=SORTS, order="id", identity=lambda element: element.id)
    return Noted[Element](items=items, next_cursor=cursor, truncated=cursor is not None, notes=list(sight.notes))


def _text(element: Element) -> str:
    words = (element.id, element.name, *element.addresses, json.dumps(element.details, ensure_ascii=False))
    return "\n".join(words).casefold()
