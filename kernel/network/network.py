"""The network as a part of the kernel."""

from collections.abc import Sequence

from nexus.kernel.api.operation import Operation
from nexus.kernel.network.connection_operations import ConnectionOperations
from nexus.kernel.network.health import HealthProbes
from nexus.kernel.network.server_operations import ServerOperations
from nexus.kernel.network.servers import Servers
from nexus.kernel.network.topology_operations import TopologyOperations
from nexus.kernel.network.view import NetworkView
from nexus.kernel.part import Part, Surroundings


class Network(Part):
    """Servers, connections, topology and elements."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.probes = HealthProbes()
        self.servers = Servers(surroundings.store, self.probes, surroundings.host.started_at)
        self.view = NetworkView(self.servers)

    def operations(self) -> Sequence[Operation]:
        """Return the operations of all of them."""
        parts = (ServerOperations(self.servers), ConnectionOperations(self.view), TopologyOperations(self.view))
        return [operation for part in parts for operation in part.operations()]

    async def close(self) -> None:
        """End what is being asked."""
        await self.probes.close()
