"""Where the local kernel is to be had, as those who speak to it need it."""

from typing import TYPE_CHECKING, Protocol

from nexus.client.way import Way

if TYPE_CHECKING:
    from pathlib import Path

    from nexus.call import Call
    from nexus.schemas.front import ServeOptions
    from nexus.schemas.session import TransportName
    from nexus.schemas.stream import OutputStream
    from nexus.sessions.transport import Transport


class KernelProvider(Protocol):
    """The kernel of the local profile: in this process, or behind its owner's socket."""

    async def way(self) -> Way:
        """Return the way of the API, the same one for as long as this process lives."""
        ...

    async def session_transport(self, name: "TransportName") -> "Transport":
        """Return the way of the Session ABI that has this name. Raises `ValidationError` where there is none."""
        ...

    async def socket(self) -> "Path | None":
        """Return where the kernel listens, None where it does not. Raises as `way` does."""
        ...

    async def serve(self, call: "Call", options: "ServeOptions") -> "OutputStream":
        """Open the kernel to a network: see `Fronts.serve`."""
        ...
