"""What the admin API offers, as OpenAPI. A test holds it against the router."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.trace.sqlite import FILTERS

Schema = Mapping[str, object]

_TEXT: Schema = {"type": "string"}
_INTEGER: Schema = {"type": "integer", "minimum": 0}
_OPTIONAL_TEXT: Schema = {"type": ["string", "null"]}


@dataclass(frozen=True, slots=True)
class Operation:
    """`path` without the prefix of the admin API; `query` and `body` are the schemas of their fields by name."""

    method: str
    path: str
    summary: str
    status: int = 200
    query: Mapping[str, Schema] = field(default_factory=dict)
    body: Mapping[str, Schema] = field(default_factory=dict)
    required: Sequence[str] = ()


OPERATIONS = (
    Operation("get", "keys", "The virtual keys, without their text"),
    Operation(
        "post",
        "keys",
        "Makes a virtual key; the answer's `key` is its text, shown this once",
        status=201,
        body={
            "name": {**_TEXT, "maxLength": 100},
            "tenant": {**_TEXT, "description": "organisation or organisation/team"},
            "models": {"type": ["array", "null"], "items": _TEXT, "minItems": 1, "maxItems": 100},
            "expires": {**_OPTIONAL_TEXT, "description": "after how long, such as 90m, 12h, 30d or 52w"},
        },
    ),
    Operation("delete", "keys/{id}", "Revokes a key, on every worker within a second", status=204),
    Operation(
        "get", "policies", "The policy in force, the mistakes of the last one refused, and who runs which version"
    ),
    Operation(
        "post",
        "policies:validate",
        "Compiles files as a policy without putting it into force",
        body={"files": {"type": "object", "additionalProperties": _TEXT, "minProperties": 1, "maxProperties": 100}},
        required=("files",),
    ),
    Operation("post", "policies:reload", "Reads the policy folder again, on this worker"),
    Operation(
        "get",
        "calls",
        "The records of calls, latest first; `before` of one page asks for the next",
        query={
            "limit": {**_INTEGER, "default": 50},
            "before": _INTEGER,
            **{name: _INTEGER if name == "status" else _TEXT for name in FILTERS},
        },
    ),
    Operation("get", "calls/{id}", "All that is known of one call, by its x-request-id"),
    Operation("get", "deployments", "The deployments of the policy, and until when and why one rests"),
    Operation(
        "get", "budgets", "Every budget and rate in use: limit, settled, held, escrowed, left, and when it resets"
    ),
    Operation("get", "openapi.json", "This document"),
)


def document(prefix: str) -> dict[str, object]:
    """The OpenAPI document of the operations below `prefix`."""
    paths: dict[str, dict[str, object]] = {}
    for operation in OPERATIONS:
        paths.setdefault(prefix + operation.path, {})[operation.method] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "llmgw admin API", "version": "1"},
        "security": [{"admin_key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"admin_key": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": _ERROR},
        },
    }


def _described(operation: Operation) -> dict[str, object]:
    described: dict[str, object] = {
        "summary": operation.summary,
        "responses": {str(operation.status): {"description": "done"}, "default": _FAILURE},
    }
    parameters: list[Schema] = [
        {"name": name, "in": "query", "schema": schema} for name, schema in operation.query.items()
    ]
    if "{id}" in operation.path:
        parameters.append({"name": "id", "in": "path", "required": True, "schema": _TEXT})
    if parameters:
        described["parameters"] = parameters
    if operation.body:
        described["requestBody"] = {"content": {"application/json": {"schema": _object(operation)}}}
    return described


def _object(operation: Operation) -> Schema:
    schema: Schema = {"type": "object", "properties": operation.body, "additionalProperties": False}
    return {**schema, "required": list(operation.required)} if operation.required else schema


_FAILURE = {
    "description": "an error",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}
_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {"message": _TEXT, "type": _TEXT, "param": _OPTIONAL_TEXT, "code": _TEXT},
            "required": ["message", "type", "param", "code"],
        }
    },
    "required": ["error"],
}
