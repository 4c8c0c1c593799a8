"""OpenAPI 3.1 of the declared operations."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from pydantic_core import to_json

from nexus import __version__
from nexus.kernel.api.operation import Operation
from nexus.schemas.envelope import ErrorEntry

Keyed = Mapping[Any, dict[str, Any]]
WRITE_METHODS = ("POST", "PUT", "PATCH", "DELETE")


def document(operations: Sequence[Operation]) -> bytes:
    """Return the document as JSON."""
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [(ErrorEntry, "serialization")]
    for operation in operations:
        wanted.append((operation.result, "serialization"))
        wanted += [(model, "validation") for model in (operation.query, operation.body) if model is not None]
    keyed, definitions = models_json_schema(wanted, ref_template="#/components/schemas/{model}")
    schemas = definitions.get("$defs", {})
    schemas["ErrorBody"] = {
        "type": "object",
        "required": ["error"],
        "properties": {"error": keyed[(ErrorEntry, "serialization")]},
    }
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, keyed, schemas)
    return to_json(
        {
            "openapi": "3.1.0",
            "info": {"title": "Nexus kernel", "version": __version__},
            "paths": paths,
            "components": {"schemas": schemas},
        }
    )


def _operation(operation: Operation, keyed: Keyed, schemas: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": operation.operation_id,
        "summary": operation.summary,
        "tags": [operation.operation_id.split(".")[0]],
        "parameters": _parameters(operation, keyed, schemas),
        "responses": {
            str(operation.status): _content("The answer.", keyed[(operation.result, "serialization")]),
            "default": _content("An error.", {"$ref": "#/components/schemas/ErrorBody"}),
        },
    }
    if operation.body is not None:
        schema = keyed[(operation.body, "validation")]
        told["requestBody"] = {
            "required": operation.body_required,
            "content": {"application/json": {"schema": schema}},
        }
    return told


def _parameters(operation: Operation, keyed: Keyed, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    names = re.findall(r"{(\w+)}", operation.path)
    parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    if operation.query is not None:
        schema = _resolved(keyed[(operation.query, "validation")], schemas)
        required = schema.get("required", [])
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": field}
            for name, field in schema.get("properties", {}).items()
        ]
    headers = ["x-request-id", "traceparent"]
    if operation.method in WRITE_METHODS:
        headers.append("idempotency-key")
    return parameters + [
        {"name": name, "in": "header", "required": False, "schema": {"type": "string"}} for name in headers
    ]


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    resolved = schemas.get(name, schema)
    return resolved if isinstance(resolved, dict) else schema


def _content(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
