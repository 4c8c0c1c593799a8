"""How bytes travel beside the API: by signed URLs, in the kernel's folder or at a service's, and who watches them."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol


class ByteAnswer(Protocol):
    """Bytes on their way: `size` of them in all, of which these are those from `first` on."""

    first: int
    size: int

    def chunks(self) -> Iterator[bytes]:
        """Yield what comes. Raises as `ByteWire` does; an answer that ends early is an error too."""
        ...


class ByteWire(Protocol):
    """Sends and fetches bytes by signed URLs. Its methods block: they are for threads.

    Raises `ReportedError` for what the kernel told, `BackendUnavailable` for a connection that cannot be made, and
    `TransferBroken` for whatever ends a transfer half-way or answers what cannot be read.
    """

    def put(self, url: str, chunks: Iterable[bytes], size: int) -> None:
        """Send `size` bytes, and return when they are acknowledged."""
        ...

    def get(self, url: str, first: int) -> AbstractContextManager[ByteAnswer]:
        """Ask for the bytes from `first` on."""
        ...

    def close(self) -> None: ...


class ByteAccess(Protocol):
    """How a command comes by its wire: to the local kernel's socket, or to its server."""

    async def wire(self) -> ByteWire:
        """Return a wire of the command's own, which it closes. Raises `BackendUnavailable`."""
        ...


class Progress(Protocol):
    """A person who watches: shown at a pace that eyes follow, on what is theirs alone."""

    async def tell(self, label: str, done: int, total: int) -> None:
        """Show how many bytes of how many are through."""
        ...

    async def end(self) -> None:
        """Leave the last state behind."""
        ...
