"""The network as a part of the kernel: where it is asked, and nothing else of it before it is."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from nexus.kernel.api.late import Behind, LateOperation
from nexus.kernel.api.operation import Method, Operation
from nexus.kernel.part import Part, Surroundings
from nexus.kernel.sessions.driver import Driver

if TYPE_CHECKING:
    from nexus.kernel.network.view import NetworkView
    from nexus.kernel.sessions.output import SessionOutput

SESSION_TYPE = "network-stream"
SERVERS = "/api/network/servers"
CONNECTIONS = "/api/network/connections"
TOPOLOGY = "/api/network/topology"
ELEMENTS = "/api/network/elements"
OWN = "/api/debug/connections"

# Of two paths that both fit a request the first is taken: fixed ones stand before those with an id.
READS: tuple[tuple[str, str, str], ...] = (
    (SERVERS, "network.server.list", "List servers."),
    (f"{SERVERS}/{{id}}", "network.server.view", "View a server."),
    (f"{SERVERS}/{{id}}/status", "network.server.status", "Ask a server how it is."),
    (CONNECTIONS, "network.connection.list", "List the machine's connections."),
    (f"{CONNECTIONS}/{{id}}", "network.connection.view", "View a connection."),
    (TOPOLOGY, "network.topology.view", "View nodes and edges."),
    (ELEMENTS, "network.element.list", "List the elements."),
    (f"{ELEMENTS}/search", "network.element.search", "Find elements by a text."),
    (f"{ELEMENTS}/{{id}}", "network.element.view", "View an element."),
    (OWN, "debug.connection.list", "List the kernel's connections."),
    (f"{OWN}/status", "debug.connection.status", "Count the kernel's connections."),
    (f"{OWN}/{{id}}", "debug.connection.view", "View a connection of the kernel."),
)
REFRESHES: tuple[tuple[str, str, str], ...] = (
    (f"{SERVERS}/refresh", "network.server.refresh", "Ask every server."),
    (f"{TOPOLOGY}/refresh", "network.topology.refresh", "Ask every server, then view the topology."),
)
DOES: tuple[tuple[Method, str, str, str], ...] = (
    ("PATCH", f"{SERVERS}/{{id}}", "network.server.update", "Change a server."),
    ("DELETE", f"{SERVERS}/{{id}}", "network.server.remove", "Forget a server."),
)


class Network(Part):
    """Servers, connections, topology and elements."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.surroundings = surroundings
        surroundings.drivers.add(SESSION_TYPE, self._driver)

    def operations(self) -> Sequence[Operation]:
        """Return where the network is asked."""
        return (
            *(LateOperation("POST", *where, self._behind, lasts=True) for where in REFRESHES),
            *(LateOperation(method, path, name, summary, self._behind) for method, path, name, summary in DOES),
            LateOperation("POST", SERVERS, "network.server.add", "Add a server.", self._behind, status=201),
            LateOperation(
                *("POST", f"{SERVERS}/{{id}}/drain", "network.server.drain", "Place nothing new on a server."),
                self._behind,
                body_required=False,
            ),
            # To look is to ask servers that may take their time.
            *(LateOperation("GET", *where, self._behind, lasts=True) for where in READS),
        )

    @cached_property
    def view(self) -> "NetworkView":
        """What there is to see; made when somebody looks."""
        from nexus.kernel.network.health import HealthProbes
        from nexus.kernel.network.servers import Servers
        from nexus.kernel.network.view import NetworkView

        here = self.surroundings
        return NetworkView(Servers(here.store, HealthProbes(), here.host.started_at))

    async def close(self) -> None:
        """End what is being asked."""
        if "view" in vars(self):
            await self.view.servers.probes.close()

    def _driver(self, output: "SessionOutput") -> Driver:
        from nexus.kernel.network.monitor import ConnectionMonitor

        return ConnectionMonitor(output, self.view)

    def _behind(self, operation_id: str) -> Behind:
        return self._all_behind[operation_id]

    @cached_property
    def _all_behind(self) -> dict[str, Behind]:
        from nexus.kernel.network.connection_operations import ConnectionOperations
        from nexus.kernel.network.server_operations import ServerOperations
        from nexus.kernel.network.topology_operations import TopologyOperations

        parts = (ServerOperations(self.view.servers), ConnectionOperations(self.view), TopologyOperations(self.view))
        return {name: behind for part in parts for name, behind in part.behind().items()}
