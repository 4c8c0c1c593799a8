"""What changed between two looks at the connections."""

from collections.abc import Iterable, Iterator, Mapping

from nexus.kernel.network.link import Link
from nexus.schemas.network import Change, NetworkEvent

Links = Mapping[str, Link]


def by_id(links: Iterable[Link]) -> dict[str, Link]:
    """Return connections by their ids, in the order in which they are told."""
    return {link.id: link for link in links}


def present(links: Links) -> Iterator[NetworkEvent]:
    """Tell of the connections that are there."""
    for link in links.values():
        yield _event("present", link)


def changes(before: Links, after: Links) -> Iterator[NetworkEvent]:
    """Tell of what closed, then of what changed how it stands or whose it is, then of what opened."""
    for identity, link in before.items():
        if identity not in after:
            yield _event("closed", link)
    for identity, link in after.items():
        earlier = before.get(identity)
        if earlier is None:
            yield _event("opened", link)
        elif earlier.standing != link.standing:
            yield _event("changed", link, earlier)


def _event(change: Change, link: Link, before: Link | None = None) -> NetworkEvent:
    return NetworkEvent(change=change, connection=link.model(), before=before.model() if before else None)
