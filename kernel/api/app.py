"""The ASGI app: every operation as a route, OpenAPI beside them, and one shape for what is not there."""

from collections.abc import Iterable, Sequence

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from nexus.kernel.api.endpoint import ApiState, Endpoint, respond, respond_error
from nexus.kernel.api.operation import Operation
from nexus.kernel.api.table import Table
from nexus.kernel.caller import OwnersFace, OwnersOnly
from nexus.schemas.envelope import new_request_id
from nexus.schemas.errors import NotFound


class OpenApiDocument:
    """The ASGI app behind `/openapi.json`; the document is built when it is first asked for."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = operations
        self._document: bytes | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 -- the ASGI signature
        if self._document is None:
            from nexus.kernel.api.openapi import document  # JSON Schema takes 10 ms, and few ask

            self._document = document(self.operations)
        await respond(send, 200, self._document, new_request_id())


async def nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a path that no route has, in the shape of every other error."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4404, "reason": "There is no such route."})
        return
    entry = NotFound(resource="route", reference=scope["path"], available=["/openapi.json"]).entry()
    await respond_error(send, 404, entry, scope)


def _guarded(route: BaseRoute) -> BaseRoute:
    """Keep a route that does not check who asks for the owner."""
    if not getattr(route, "checks_callers", False) and isinstance(route, Route | WebSocketRoute):
        route.app = OwnersOnly(route.app)
    return route


def endpoints_of(operations: Iterable[Operation], state: ApiState) -> dict[str, Endpoint]:
    """Return the endpoint of each path. Raises `ValueError` when two operations claim one method of one, or one id."""
    by_path: dict[str, dict[str, Operation]] = {}
    ids: set[str] = set()
    for operation in operations:
        methods = by_path.setdefault(operation.path, {})
        if operation.method in methods or operation.operation_id in ids:
            raise ValueError(f"{operation.method} {operation.path} ({operation.operation_id}) is declared twice")
        methods[operation.method] = operation
        ids.add(operation.operation_id)
    return {path: Endpoint(methods, state) for path, methods in by_path.items()}


def application(operations: Sequence[Operation], routes: Iterable[BaseRoute], state: ApiState) -> OwnersFace:
    """Assemble the app, and return the owner's face of it; `app` behind it wants to be told who asks.

    Raises `ValueError` as `endpoints_of` does.
    """
    endpoints = endpoints_of(operations, state)
    app = Starlette(
        routes=[
            *(Route(path, endpoint) for path, endpoint in endpoints.items()),
            Route("/openapi.json", OpenApiDocument(operations)),
            *(_guarded(route) for route in routes),
        ]
    )
    app.router.default = nothing_here
    app.router.redirect_slashes = False
    return OwnersFace(Table(endpoints, app), list(app.routes))
