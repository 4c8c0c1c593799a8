"""The topology: what was seen, as nodes and the edges between them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from nexus.kernel.network.link import End, Link
from nexus.kernel.network.links import plain_address
from nexus.kernel.network.machine import Interface
from nexus.schemas.network import (
    LOCAL,
    ConnectionStatus,
    Edge,
    EdgeType,
    Element,
    Machine,
    Server,
    ServerState,
    Topology,
)

MOST_NODES = 1000
"""How many processes and hosts one picture has at the most; those with the most connections are kept."""
MOST_PORTS = 20

MACHINE = "machine"
STATE_OF: dict[ConnectionStatus, ServerState] = {
    "running": "online",
    "starting": "degraded",
    "error": "offline",
    "exited": "offline",
}
BETTER: dict[ServerState, int] = {"offline": 0, "degraded": 1, "online": 2}


@dataclass(frozen=True, slots=True)
class Sight:
    """All that was seen at one moment."""

    machine: Machine
    interfaces: tuple[Interface, ...]
    links: tuple[Link, ...]
    servers: tuple[Server, ...]
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Weighed:
    """A node or an edge while its connections are counted. Its state is the best of theirs."""

    count: int = 0
    state: ServerState = "offline"
    ports: set[int] = field(default_factory=set)
    name: str | None = None

    def add(self, link: Link, port: int | None = None) -> None:
        self.count += 1
        self.state = max(self.state, STATE_OF[link.status], key=BETTER.__getitem__)
        if port is not None and len(self.ports) < MOST_PORTS:
            self.ports.add(port)


class _Sockets:
    """The processes and hosts at the ends of the machine's sockets, and which of them are connected."""

    def __init__(self, sight: Sight) -> None:
        self.processes: dict[int, _Weighed] = {}
        self.hosts: dict[str, _Weighed] = {}
        self.edges: dict[tuple[str, str], _Weighed] = {}
        self.own = {plain_address(address) for each in sight.interfaces for address in each.addresses}
        self.listening = {
            (link.type, link.local[1]): link for link in sight.links if link.state == "LISTEN" and link.local
        }
        self.between = {_ends(link): link for link in sight.links if link.remote}
        for link in sight.links:
            if link.type in ("tcp", "udp"):
                self._add(link)

    def _add(self, link: Link) -> None:
        if link.pid is not None:
            process = self.processes.setdefault(link.pid, _Weighed(name=link.process))
            process.add(link, link.local[1] if link.local and link.remote is None else None)
        if link.remote is None or link.local is None:
            return
        here = f"process:{link.pid}" if link.pid is not None else MACHINE
        inbound = (link.type, link.local[1]) in self.listening
        address = plain_address(link.remote[0])
        if self._is_here(address):
            # Both ends are sockets of this machine: the edge is counted at the one that asked. What nobody owns any
            # more (TIME_WAIT) tells nothing of who asked whom.
            if not inbound and link.pid is not None:
                self._edge(here, self._owner(link), link, link.remote[1])
            return
        self.hosts.setdefault(address, _Weighed()).add(link, None if inbound else link.remote[1])
        there = f"host:{address}"
        source, target = (there, here) if inbound else (here, there)
        self._edge(source, target, link, link.local[1] if inbound else link.remote[1])

    def _is_here(self, address: str) -> bool:
        return address in self.own or address.startswith("127.") or address == "::1"

    def _owner(self, link: Link) -> str:
        """Return the node of the process at the other end of a connection within the machine."""
        other = self.between.get((link.type, link.remote, link.local))
        if other is None and link.remote is not None:
            other = self.listening.get((link.type, link.remote[1]))
        return f"process:{other.pid}" if other is not None and other.pid is not None else MACHINE

    def _edge(self, source: str, target: str, link: Link, port: int | None) -> None:
        if source != target:
            self.edges.setdefault((source, target), _Weighed()).add(link, port)


def _ends(link: Link) -> tuple[str, End | None, End | None]:
    return link.type, link.local, link.remote


def elements(sight: Sight) -> list[Element]:
    """Return every node."""
    return [*_fixed_nodes(sight), *_socket_nodes(_Sockets(sight))]


def topology(sight: Sight, *, most: int = MOST_NODES) -> Topology:
    """Return the nodes and edges, at most so many processes and hosts."""
    sockets = _Sockets(sight)
    ends = sorted(_socket_nodes(sockets), key=lambda node: (-int(node.details["connections"]), node.id))
    kept = sorted(ends[:most], key=lambda node: node.id)
    nodes = [*_fixed_nodes(sight), *kept]
    known = {node.id for node in nodes}
    edges = [*_fixed_edges(sight), *_socket_edges(sockets)]
    return Topology(
        nodes=nodes,
        edges=[edge for edge in edges if edge.source in known and edge.target in known],
        generated_at=datetime.now(UTC),
        truncated=len(ends) > most,
        notes=list(sight.notes),
    )


def _fixed_nodes(sight: Sight) -> Iterable[Element]:
    yield Element(
        id=MACHINE,
        type="machine",
        name=sight.machine.hostname,
        status="online",
        addresses=[address for each in sight.interfaces for address in each.addresses],
        details=sight.machine.model_dump(mode="json", by_alias=True, exclude={"hostname"}),
    )
    for each in sight.interfaces:
        yield Element(
            id=f"interface:{each.name}",
            type="interface",
            name=each.name,
            status="online" if each.up else "offline",
            addresses=list(each.addresses),
            details=each.details(),
        )
    for server in sight.servers:
        yield Element(
            id=f"server:{server.id}",
            type="server",
            name=server.name,
            status=server.status,
            addresses=[server.url] if server.url else [],
            details=server.model_dump(
                mode="json",
                by_alias=True,
                exclude_none=True,
                include={"type", "version", "latency_ms", "draining", "error"},
            ),
        )


def _socket_nodes(sockets: _Sockets) -> Iterable[Element]:
    for pid, process in sorted(sockets.processes.items()):
        yield Element(
            id=f"process:{pid}",
            type="process",
            name=process.name or str(pid),
            status="online",
            details={"pid": pid, "connections": process.count, "ports": sorted(process.ports)},
        )
    for address, host in sorted(sockets.hosts.items()):
        yield Element(
            id=f"host:{address}",
            type="host",
            name=address,
            status=host.state,
            addresses=[address],
            details={"connections": host.count, "ports": sorted(host.ports)},
        )


def _fixed_edges(sight: Sight) -> Iterable[Edge]:
    for each in sight.interfaces:
        state: ServerState = "online" if each.up else "offline"
        yield Edge(source=MACHINE, target=f"interface:{each.name}", type="interface", status=state)
    yield Edge(source=MACHINE, target=f"server:{LOCAL}", type="serves", status="online")
    for server in sight.servers:
        if server.id != LOCAL:
            label = f"{server.latency_ms:.1f} ms" if server.latency_ms is not None else None
            target = f"server:{server.id}"
            yield Edge(source=f"server:{LOCAL}", target=target, type="asks", status=server.status, label=label)


def _socket_edges(sockets: _Sockets) -> Iterable[Edge]:
    for pid, process in sorted(sockets.processes.items()):
        kind: EdgeType = "listens" if process.ports else "runs"
        yield Edge(
            source=MACHINE,
            target=f"process:{pid}",
            type=kind,
            status="online",
            count=process.count,
            label=_ports(process.ports),
        )
    for (source, target), edge in sorted(sockets.edges.items()):
        yield Edge(
            source=source, target=target, type="connects", status=edge.state, count=edge.count, label=_ports(edge.ports)
        )


def _ports(ports: set[int]) -> str | None:
    return ", ".join(f":{port}" for port in sorted(ports)[:3]) + (" …" if len(ports) > 3 else "") if ports else None
