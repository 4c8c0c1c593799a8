"""The kernel's links to its servers, as connections; and which connections belong to an element."""

import os
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from nexus.kernel.network.link import End, Link
from nexus.kernel.network.machine import Interface
from nexus.schemas.errors import NotFound
from nexus.schemas.network import LOCAL, ConnectionStatus, Server, ServerState

STATUS_OF_SERVER: dict[ServerState, ConnectionStatus] = {"online": "running", "degraded": "running", "offline": "error"}
LOOPBACK = ("127.0.0.1", "::1")
MAPPED = "::ffff:"


def server_links(known: Iterable[tuple[Server, bool]]) -> list[Link]:
    """Return a link for every server, the kernel itself among them; one that was never asked is starting."""
    return [_server_link(server, asked=asked) for server, asked in known]


def _server_link(server: Server, *, asked: bool) -> Link:
    return Link(
        id=f"con_{server.id}",
        type="server",
        status=STATUS_OF_SERVER[server.status] if asked else "starting",
        state=server.status if asked else "unknown",
        remote=place_of(server),
        server_id=server.id,
        latency_ms=server.latency_ms,
        error=server.error if asked else None,
    )


def place_of(server: Server) -> End | None:
    """Return the host and the port of a server's URL."""
    if server.url is None:
        return None
    try:
        parts = urlsplit(server.url)
        port = parts.port
    except ValueError:
        return server.url, None
    return parts.hostname or server.url, port or (443 if parts.scheme == "https" else 80)


def belonging_to(element: str, servers: Iterable[Server], interfaces: Iterable[Interface]) -> Callable[[Link], bool]:
    """Return what says of a connection whether it belongs to the element with this id. Raises `NotFound`."""
    kind, _, name = element.partition(":")
    if element == "machine":
        return lambda link: True  # noqa: ARG005 -- every connection is the machine's
    if kind == "process" and name.isascii() and name.isdigit():
        pid = int(name)
        return lambda link: link.pid == pid
    if kind == "host" and name:
        return lambda link: link.remote is not None and plain_address(link.remote[0]) == name
    if kind == "interface":
        addresses = next((each.addresses for each in interfaces if each.name == name), None)
        if addresses is not None:
            plain = {plain_address(address) for address in addresses}
            return lambda link: link.local is not None and plain_address(link.local[0]) in plain
    if kind == "server":
        server = next((each for each in servers if each.id == name), None)
        if server is not None:
            return _of_server(server)
    raise NotFound(resource="element", reference=element, hint="nexus network element list")


def plain_address(address: str) -> str:
    """Return the address without a scope, and as IPv4 where that is what it maps: how one is told from another."""
    address = address.partition("%")[0]
    return address.removeprefix(MAPPED) if "." in address else address


def _of_server(server: Server) -> Callable[[Link], bool]:
    if server.id == LOCAL:
        own = os.getpid()
        return lambda link: link.pid == own
    place = place_of(server)
    hosts = LOOPBACK if place and place[0] == "localhost" else (place[0],) if place else ()

    def belongs(link: Link) -> bool:
        if link.server_id == server.id:
            return True
        if link.remote is None or place is None:
            return False
        return plain_address(link.remote[0]) in hosts and link.remote[1] == place[1]

    return belongs
