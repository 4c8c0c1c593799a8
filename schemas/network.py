"""The machines and links that nexus knows: servers, connections, and the elements and edges of their topology."""

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from nexus.schemas.model import Model, StrictModel, Timestamp
from nexus.schemas.page import Item, Page, PageQuery
from nexus.schemas.project import Name

LOCAL = "local"
"""The id, and the name, of the server that is the kernel itself."""

ServerType = Literal["worker", "manager", "ai"]
ServerState = Literal["online", "offline", "degraded"]


def _with_a_port_that_can_be(url: str) -> str:
    try:
        parts = urlsplit(url)
        if parts.hostname and parts.port != 0:
            return url
    except ValueError:
        pass
    raise ValueError("the URL has no host, or a port that cannot be")


ServerUrl = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=2048, pattern=r"^https?://[^\s/?#@\\]+(/[^\s?#\\]*)?$"),
    AfterValidator(_with_a_port_that_can_be),
]
"""Where a server is. No user and password (they would be told with the URL), no query, no fragment."""
HealthPath = Annotated[str, StringConstraints(max_length=500, pattern=r"^/[^\s?#\\]*$")]


class Noted(Page[Item]):
    """A page of what was seen on the machine; `notes` tell what could not be seen, and why."""

    notes: list[str] = Field(default_factory=list)


class Server(Model):
    """A server and how it answered last. `error` says why it is not online; `latency_ms` is of one request.

    The kernel that answers is the server `local`: it has no `url`. Nothing new is placed on a server that drains.
    """

    id: str
    name: str
    type: ServerType
    url: str | None = None
    health_path: str | None = None
    status: ServerState
    version: str | None = None
    latency_ms: float | None = None
    http_status: int | None = None
    error: str | None = None
    checked_at: Timestamp
    draining: bool = False
    draining_since: Timestamp | None = None
    created_at: Timestamp | None = None
    updated_at: Timestamp | None = None


class ServerQuery(PageQuery):
    """`name` asks for the one server with this exact name."""

    name: str | None = None
    type: ServerType | None = None
    status: ServerState | None = None


class NewServer(StrictModel):
    """`health_path` is where it tells its health: 2xx, and `{"status": "ok"}` where the answer is JSON."""

    name: Name
    url: ServerUrl
    type: ServerType = "worker"
    health_path: HealthPath = "/health"


class ServerChanges(StrictModel):
    """What is left out stays as it is."""

    name: Name | None = None
    url: ServerUrl | None = None
    type: ServerType | None = None
    health_path: HealthPath | None = None


class DrainRequest(StrictModel):
    """False ends the draining: the server takes new work again."""

    draining: bool = True


class Latency(Model):
    """Of several requests, one after the other, in milliseconds; null where none was answered."""

    requests: int
    failed: int
    min_ms: float | None = None
    mean_ms: float | None = None
    max_ms: float | None = None


class Machine(Model):
    """The machine that the kernel runs on. `load` is the average of 1, 5 and 15 minutes."""

    hostname: str
    system: str
    cpu_count: int
    load: list[float]
    memory_bytes: int
    memory_available_bytes: int
    started_at: Timestamp


class ServerStatus(Server):
    """A server as it answers now. `machine` is told of the kernel's own server alone."""

    latency: Latency
    machine: Machine | None = None


class StatusQuery(StrictModel):
    """How many requests the latency is taken from."""

    requests: int = Field(default=3, ge=1, le=10)


class ServerChange(Model):
    """A server whose status is another than it was."""

    id: str
    name: str
    before: ServerState
    after: ServerState


class ServersRefreshed(Model):
    """Every server, asked anew, and those whose status changed since they were asked before."""

    items: list[Server]
    changed: list[ServerChange]


ConnectionType = Literal["tcp", "udp", "unix", "server"]
ConnectionStatus = Literal["starting", "running", "exited", "error"]


class Endpoint(Model):
    """One end of a connection; `port` is null for the path of a Unix socket."""

    address: str
    port: int | None = None


class Connection(Model):
    """A socket of the machine, or (`server`) the kernel's link to a server.

    `state` is the system's word (LISTEN, ESTABLISHED, …; a server's status), `status` what it means: starting, running,
    exited (it is being closed), error (the server does not answer). `pid` and `process` own it, null where the system
    does not say.
    """

    id: str
    type: ConnectionType
    status: ConnectionStatus
    state: str
    local: Endpoint | None = None
    remote: Endpoint | None = None
    pid: int | None = None
    process: str | None = None
    server_id: str | None = None
    latency_ms: float | None = None
    error: str | None = None


class ConnectionFilter(StrictModel):
    """Which connections: of a type, a status, one id, one process, or one network element."""

    id: str | None = Field(default=None, max_length=200)
    type: ConnectionType | None = None
    status: ConnectionStatus | None = None
    pid: int | None = Field(default=None, ge=0, le=2**31 - 1)
    element: str | None = Field(default=None, max_length=500)


class ConnectionQuery(ConnectionFilter, PageQuery):
    """A page of connections."""


class ConnectionsStatus(Model):
    """The kernel's connections, or those of the process `pid`, counted."""

    pid: int
    process: str | None
    total: int
    by_type: dict[str, int]
    by_status: dict[str, int]
    by_state: dict[str, int]
    listening: list[Endpoint]
    notes: list[str] = Field(default_factory=list)


class ProcessQuery(StrictModel):
    """Without `pid`, the kernel's process and what runs below it."""

    pid: int | None = Field(default=None, ge=0, le=2**31 - 1)


Change = Literal["present", "opened", "changed", "closed"]


class MonitorOptions(ConnectionFilter):
    """What a monitor watches, and how often it looks.

    `initial` tells first what is there. Without `follow` the monitor ends behind that. A look that takes long makes the
    pause behind it as long: at most half of one processor is spent on looking.
    """

    follow: bool = True
    initial: bool = False
    interval_ms: float = Field(default=1000, ge=100, le=3_600_000)
    scope: Literal["machine", "kernel"] = "machine"


class NetworkEvent(Model):
    """The payload of a monitor's data events. `changed` carries the connection `before` it changed.

    `present` are those that were there when the monitor began.
    """

    type: Literal["network"] = "network"
    change: Change
    connection: Connection
    before: Connection | None = None


ElementType = Literal["machine", "interface", "server", "process", "host"]


class Element(Model):
    """A node of the topology: the machine, its interfaces, processes with connections, remote hosts, servers.

    `id` is its type and what tells it from its like: `interface:eth0`, `process:4711`, `host:192.0.2.7`. `details` has
    what the type has: an interface's mtu, speed and counters, a process's ports, a server's latency.
    """

    id: str
    type: ElementType
    name: str
    status: ServerState
    addresses: list[str] = Field(default_factory=list)
    details: dict[str, Any] = Field(default_factory=dict)


class ElementQuery(PageQuery):
    """`name` asks for the elements with this exact name."""

    name: str | None = None
    type: ElementType | None = None
    status: ServerState | None = None


class ElementSearch(ElementQuery):
    """Elements in which the text occurs: in the id, the name, an address or a detail."""

    text: str = Field(min_length=1, max_length=1000)


EdgeType = Literal["interface", "runs", "connects", "listens", "serves", "asks"]


class Edge(Model):
    """A link between two nodes, `source` to `target` by their ids; `count` connections make it up."""

    source: str
    target: str
    type: EdgeType
    status: ServerState
    count: int = 1
    label: str | None = None


class Topology(Model):
    """Nodes and edges as they were at one moment; `truncated` says that there are more hosts and processes."""

    nodes: list[Element]
    edges: list[Edge]
    generated_at: Timestamp
    truncated: bool = False
    notes: list[str] = Field(default_factory=list)
