"""OpenAPI: valid, complete, and named as the commands are."""

import re
from typing import Any

import httpx
import jsonschema
import pytest

from nexus.kernel.api.app import application
from nexus.kernel.api.endpoint import ApiState, Endpoint
from nexus.kernel.api.operation import Operation
from nexus.kernel.kernel import Kernel
from tests.kernel.answers import answer, make_chat, make_project, make_roadmap, say

KNOWN = {
    ("GET", "/api/projects"): "agent.project.list",
    ("POST", "/api/projects"): "agent.project.create",
    ("PATCH", "/api/projects/{id}"): "agent.project.update",
    ("GET", "/api/roadmaps/{id}/status"): "agent.roadmap.view.status",
    ("PATCH", "/api/roadmaps/{id}"): "agent.roadmap.update",
    ("POST", "/api/chats/{id}/messages"): "agent.chat.send",
    ("GET", "/api/debug/kernel"): "debug.kernel.status",
    ("POST", "/api/debug/kernel/stop"): "debug.kernel.stop",
}


async def document_of(api: httpx.AsyncClient) -> dict[str, Any]:
    return answer(await api.get("/openapi.json"))


async def test_every_operation_is_told_under_its_commands_path(api: httpx.AsyncClient, kernel: Kernel) -> None:
    told = (await document_of(api))["paths"]
    served = {
        (method, route.path)
        for route in kernel.app.routes
        if isinstance(route.app, Endpoint)
        for method in route.app.operations
    }
    assert served == {(method.upper(), path) for path, methods in told.items() for method in methods}
    for (method, path), operation_id in KNOWN.items():
        assert told[path][method.lower()]["operationId"] == operation_id
    ids = [operation["operationId"] for methods in told.values() for operation in methods.values()]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z]+(\.[a-z-]+){1,3}", operation_id) for operation_id in ids)


async def test_every_reference_leads_to_a_schema(api: httpx.AsyncClient) -> None:
    document = await document_of(api)
    assert document["openapi"] == "3.1.0"
    for reference in re.findall(r"#/components/schemas/([^'\"]+)", str(document)):
        jsonschema.Draft202012Validator.check_schema(document["components"]["schemas"][reference])


async def test_answers_fit_the_schemas_that_tell_of_them(api: httpx.AsyncClient) -> None:
    document = await document_of(api)
    project = await make_project(api, "Größe", category="x")
    roadmap = await make_roadmap(api, project)
    chat = await make_chat(api, roadmap)
    await say(api, chat, "hello")
    known = {"/api/projects/": project, "/api/roadmaps/": roadmap, "/api/chats/": chat}
    for path, methods in document["paths"].items():
        owner = next((item for prefix, item in known.items() if path.startswith(prefix)), None)
        wants = [each for each in methods.get("get", {}).get("parameters", ()) if each["in"] == "query"]
        if "get" not in methods or ("{id}" in path and owner is None) or any(each["required"] for each in wants):
            continue
        needed = [each for each in methods["get"]["parameters"] if each["in"] == "query" and each["required"]]
        asked = {each["name"]: "a" for each in needed}
        body = answer(await api.get(path.replace("{id}", owner["id"] if owner else ""), params=asked))
        schema = methods["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(body, schema | {"components": document["components"]})
    refused = answer(await api.get("/api/projects/none"), 404)
    jsonschema.validate(
        refused, document["components"]["schemas"]["ErrorBody"] | {"components": document["components"]}
    )


async def test_two_operations_never_share_a_place_or_an_id(kernel: Kernel) -> None:
    state = next(route.app.state for route in kernel.app.routes if isinstance(route.app, Endpoint))
    assert isinstance(state, ApiState)
    operation = next(iter(next(r.app for r in kernel.app.routes if isinstance(r.app, Endpoint)).operations.values()))
    twice = Operation("PUT", "/x", operation.operation_id, "x", operation.handler, operation.result)
    for pair in ((operation, operation), (operation, twice)):
        with pytest.raises(ValueError, match="declared twice"):
            application(pair, (), state)


async def test_a_request_has_no_number_that_a_database_or_a_system_cannot_take(api: httpx.AsyncClient) -> None:
    document = await document_of(api)
    unbounded: set[str] = set()
    known: set[str] = set()

    def look(node: Any, place: str) -> None:
        if isinstance(node, list):
            for each in node:
                look(each, place)
        if not isinstance(node, dict):
            return
        name = str(node.get("$ref", "")).rpartition("/")[2]
        if name and name not in known:
            known.add(name)
            look(document["components"]["schemas"][name], name)
        if node.get("type") == "integer" and not {"maximum", "exclusiveMaximum", "enum", "const"} & node.keys():
            unbounded.add(place)
        for key, value in node.items():
            look(value, f"{place}.{key}")

    for path, methods in document["paths"].items():
        for method, told in methods.items():
            look([each["schema"] for each in told["parameters"]], f"{method} {path}")
            look(told.get("requestBody", {}), f"{method} {path}")
    assert unbounded == set()
