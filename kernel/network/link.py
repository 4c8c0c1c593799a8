"""A connection as it is held in memory: many are seen, few are told."""

from dataclasses import dataclass

from nexus.schemas.network import Connection, ConnectionFilter, ConnectionStatus, ConnectionType, Endpoint

End = tuple[str, int | None]
"""An address and its port; a path and None for a Unix socket."""


@dataclass(frozen=True, slots=True)
class Link:
    """See `Connection`: the same fields, without the cost of a model."""

    id: str
    type: ConnectionType
    status: ConnectionStatus
    state: str
    local: End | None = None
    remote: End | None = None
    pid: int | None = None
    process: str | None = None
    server_id: str | None = None
    latency_ms: float | None = None
    error: str | None = None

    @property
    def standing(self) -> tuple[str, str, int | None, str | None]:
        """What makes it another than before, when it changes: how it stands and whose it is."""
        return self.status, self.state, self.pid, self.error

    def model(self) -> Connection:
        """Return it as it is told."""
        return Connection(
            id=self.id,
            type=self.type,
            status=self.status,
            state=self.state,
            local=_endpoint(self.local),
            remote=_endpoint(self.remote),
            pid=self.pid,
            process=self.process,
            server_id=self.server_id,
            latency_ms=self.latency_ms,
            error=self.error,
        )

    def contains(self, text: str) -> bool:
        """Say whether the casefolded text is in what a person would look for."""
        words = (self.id, self.type, self.state, shown(self.local), shown(self.remote), self.process, self.server_id)
        return any(text in word.casefold() for word in (*words, self.error) if word)

    def matches(self, asked: ConnectionFilter) -> bool:
        """Say whether it is one of those that were asked for, its element aside."""
        return (
            asked.id in (None, self.id)
            and asked.type in (None, self.type)
            and asked.status in (None, self.status)
            and asked.pid in (None, self.pid)
        )


def shown(end: End | None) -> str:
    """Write an end as people do: `127.0.0.1:80`, `[::1]:80`, a path."""
    if end is None:
        return ""
    address, port = end
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _endpoint(end: End | None) -> Endpoint | None:
    return Endpoint(address=end[0], port=end[1]) if end else None
