"""How a kernel is opened to a network."""

from dataclasses import dataclass, field

DEFAULT_PORT = 3001
MINUTE_RATE = 6000
BODY_BYTES = 16 * 1024 * 1024
HEAD_SECONDS = 15.0
BODY_SECONDS = 30.0
SLOWEST_BYTES = 1024


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """`origins` are pages that may ask from a browser; without any, only this server's own may.

    `proxies` are addresses whose word for a client's address is taken. `body_seconds` may pass without a byte of a
    request's body, and for all of it no more than that beside what its bytes take at `SLOWEST_BYTES` a second. So often
    as `barred_seconds` says a WebSocket's caller is looked up anew.
    """

    origins: frozenset[str] = field(default_factory=frozenset)
    proxies: tuple[str, ...] = ()
    minute_rate: int = MINUTE_RATE
    body_bytes: int = BODY_BYTES
    head_seconds: float = HEAD_SECONDS
    body_seconds: float = BODY_SECONDS
    barred_seconds: float = 5.0
    open_metrics: bool = False
