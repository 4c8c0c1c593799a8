"""A path leads to the endpoint of its template, as a router finds it, and elsewhere when there is none."""

from typing import Any

import pytest
from starlette.routing import Route

from nexus.kernel.api.table import Table

TEMPLATES = (
    "/health",
    "/api/projects",
    "/api/projects/{id}",
    "/api/projects/{id}/details",
    "/api/projects/{id}/roadmaps",
    "/api/users/{id}/roles/{role}",
    "/api/auth/me",
    "/api/auth/{name}",
)
PATHS = (
    "/health",
    "/health/",
    "/api/projects",
    "/api/projects/",
    "/api/projects/a b",
    "/api/projects/x/details",
    "/api/projects/x/nothing",
    "/api/projects//details",
    "/api/users/é/roles/{}",
    "/api/users/{}/roles/x",
    "/api/auth/me",
    "/api/auth/you",
    "/api",
    "/",
    "",
    "/nothing",
    "/{}",
    "//",
)


async def nothing(_scope: Any, _receive: Any, _send: Any) -> None:
    """Answer nothing."""


@pytest.mark.parametrize("path", PATHS)
def test_it_finds_what_a_router_finds(path: str) -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        """Stand for an endpoint."""

    apps = {template: Route(template, app) for template in TEMPLATES}
    found = Table(apps, nothing).find(path)
    by_router = None
    for template in TEMPLATES:
        matched = apps[template].path_regex.match(path)
        if matched:
            by_router = (apps[template], matched.groupdict())
            break
    assert found == by_router
