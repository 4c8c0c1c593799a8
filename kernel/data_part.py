"""Data sets and artifacts as a part of the kernel: where they are asked, and nothing else of it before they are."""

import asyncio
import logging
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from nexus.kernel.api.late import Behind, LateOperation
from nexus.kernel.api.operation import Operation
from nexus.kernel.caller import checks_callers
from nexus.kernel.part import Part, Surroundings

if TYPE_CHECKING:
    from nexus.kernel.data.operations import DataOperations

TIDY_SECONDS = 3600.0
"""How often uploads are given up whose time is over, and bytes removed that could not be before."""

log = logging.getLogger("nexus.kernel.data")


class Data(Part):
    """The data sets and artifacts of this data folder."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.surroundings = surroundings
        self._tidying: asyncio.Task[None] | None = None

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked of both kinds."""
        datasets, artifacts = "/api/data/datasets", "/api/data/artifacts"
        return (
            *self._of_kind(datasets, "data.dataset", "data.dataset.pull", "a data set"),
            *self._of_kind(artifacts, "data.artifact", "data.artifact.download", "an artifact"),
        )

    def routes(self) -> Sequence[BaseRoute]:
        """Return where bytes go: by signed URLs, which are the store's and no operations."""
        # The URL's own signature says who may; whoever has it, has it from an operation.
        return (checks_callers(Route("/blobs/{rest:path}", _LateRoute(self))),)

    async def start(self) -> None:
        """Tidy up behind the kernel before this one, where there is anything."""
        if self.surroundings.host.mode != "one-shot" and self.surroundings.kept.folder.exists():
            self._tidying = asyncio.create_task(self._tidy())

    async def close(self) -> None:
        """Take no more parts."""
        if self._tidying is not None:
            self._tidying.cancel()
            await asyncio.wait((self._tidying,))
        await self.surroundings.kept.close()

    @cached_property
    def behind(self) -> "DataOperations":
        """What stands behind the operations and the route; made when it is first asked for."""
        from nexus.kernel.data.operations import DataOperations

        return DataOperations(self.surroundings.store, self.surroundings.kept)

    async def _tidy(self) -> None:
        while True:
            try:
                await self.behind.tidy()
            except Exception:
                log.exception("what is left of uploads and deleted items is not removed")
            await asyncio.sleep(TIDY_SECONDS)

    def _of_kind(self, many: str, command: str, fetch: str, what: str) -> Sequence[Operation]:
        one, uploads = f"{many}/{{id}}", f"{many}/uploads"
        upload, load = f"{uploads}/{{id}}", self._load
        return (
            LateOperation("GET", many, f"{command}.list", f"List what there is of {what}'s kind.", load),
            # Fixed words stand before an id.
            LateOperation("POST", uploads, f"{command}.push", f"Begin to push {what}.", load, status=201),
            LateOperation("GET", upload, f"{command}.push.parts", "Tell which parts are missing.", load),
            LateOperation("DELETE", upload, f"{command}.push.abort", "Give an upload up.", load),
            LateOperation("POST", f"{upload}/complete", f"{command}.push.complete", f"Make {what} of an upload.", load),
            LateOperation("GET", one, f"{command}.view", f"View {what}.", load),
            LateOperation("PATCH", one, f"{command}.update", f"Change {what}'s name or description.", load),
            LateOperation("DELETE", one, f"{command}.delete", f"Delete {what}.", load),
            LateOperation("GET", f"{one}/download", fetch, f"Tell where the bytes of {what} are.", load),
            LateOperation(
                *("POST", f"{one}/verify", f"{command}.verify", f"Read the bytes of {what} again.", load), lasts=True
            ),
        )

    def _load(self, operation_id: str) -> Behind:
        return self.behind.of(operation_id)


class _LateRoute:
    """An ASGI app whose own is made with the first request."""

    def __init__(self, data: Data) -> None:
        self._data = data

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._data.behind.route(scope, receive, send)
