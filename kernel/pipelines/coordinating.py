"""What the operations want of the coordinator, and nothing else of it."""

from collections.abc import Awaitable, Callable, Collection
from typing import Protocol

Forget = Callable[[Collection[str]], Awaitable[None]]
"""Told of runs that are deleted, by their ids."""


class Coordinating(Protocol):
    """Has runs run. `kernel_id` tells this kernel from others that share its database."""

    @property
    def kernel_id(self) -> str: ...

    async def begin(self, run_id: str, session_id: str, project_id: str | None) -> None:
        """Open the session of a run that is queued. What goes wrong then is the run's own failure."""
        ...

    async def stir(self, run_id: str) -> None:
        """Look at the run now: its row says something new."""
        ...

    async def forget(self, run_id: str) -> None:
        """Remove what is left of a run that is deleted."""
        ...
