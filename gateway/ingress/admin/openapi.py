"""What the admin API offers, as OpenAPI. A test holds it against the router."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.ingress.admin import cache
from gateway.ingress.admin.fields import LONGEST_REASON
from gateway.route.candidates import Standing
from gateway.trace.reading import statistics
from gateway.trace.reading.search import EQUAL, MOMENTS, TIMES, WORDS

Schema = Mapping[str, object]

_TEXT: Schema = {"type": "string"}
_INTEGER: Schema = {"type": "integer", "minimum": 0}
_OPTIONAL_TEXT: Schema = {"type": ["string", "null"]}
_REASON: Schema = {**_TEXT, "maxLength": LONGEST_REASON}
_FILES: Schema = {"type": "object", "additionalProperties": _TEXT, "minProperties": 1, "maxProperties": 100}
_TIME: Schema = {"type": "string", "description": MOMENTS, "example": "-7d"}
_AMOUNT: Schema = {"type": "number", "minimum": 0}
_TIMES = dict.fromkeys(TIMES, _TIME)
_WORDS: Mapping[str, Schema] = {
    name: {**_TEXT, "enum": list(words), "example": words[0]} for name, words in WORDS.items()
}
_FILTERS: Mapping[str, Schema] = {
    **dict.fromkeys(EQUAL, _TEXT),
    **_WORDS,
    "status": {**_TEXT, "description": "a status, or a class of them", "example": "4xx"},
    "tag": _TEXT,
    "text": {**_TEXT, "description": "in error, tags, model, template, user and captured content"},
    "stream": {"type": "boolean", "example": "true"},
    **dict.fromkeys(("min_cost_usd", "max_cost_usd", "min_ms", "max_ms"), _AMOUNT),
}


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
        "get",
        "policies",
        "The policy in force, the mistakes of the last one refused, who runs which version, and the versions before",
    ),
    Operation(
        "get",
        "policies/{id}",
        "One version: who brought it and why, its files, and how it differs from another",
        query={"against": {**_TEXT, "description": "a version"}},
    ),
    Operation(
        "post",
        "policies:validate",
        "Compiles and tests files as a policy, or the folder as it is, without putting them into force",
        body={"files": _FILES},
    ),
    Operation(
        "post",
        "policies:apply",
        "Makes these files the policy, all or none, once they have been tried out; If-Match says which version was edited",
        body={
            "files": _FILES,
            "reason": _REASON,
            "removes": {"type": "boolean", "description": "true: files of the folder that are left out are removed"},
        },
        required=("files", "reason"),
    ),
    Operation(
        "post",
        "policies:rollback",
        "Puts a version that was in force into force again",
        body={"version": _TEXT, "reason": _REASON},
        required=("version", "reason"),
    ),
    Operation(
        "post",
        "policies:replay",
        "What files as a policy would have done to the calls that were recorded, compared with the policy in force",
        body={
            "files": {"type": "object", "additionalProperties": _TEXT, "minProperties": 1, "maxProperties": 100},
            "traffic": {**_TEXT, "description": "how much of what was recorded", "default": "last-7d"},
            "states": {
                "type": "object",
                "additionalProperties": {**_TEXT, "enum": [each.value for each in Standing]},
                "description": "by route: how its candidates stand, whatever was recorded",
            },
        },
        required=("files",),
    ),
    Operation("post", "policies:reload", "Reads the policy folder again, on this worker"),
    Operation(
        "get",
        "calls",
        "The records of calls, latest first; `before` of one page asks for the next",
        query={
            "limit": {**_INTEGER, "minimum": 1, "maximum": 1000, "default": 50},
            "before": _INTEGER,
            **_TIMES,
            **_FILTERS,
        },
    ),
    Operation("get", "calls:tail", "The records of calls as they come, as server-sent events", query=_FILTERS),
    Operation(
        "get",
        "calls:export",
        "The records of calls as a file, oldest first",
        query={"format": {**_TEXT, "enum": ["jsonl", "parquet"], "example": "jsonl"}, **_TIMES, **_FILTERS},
    ),
    Operation("get", "calls/{id}", "All that is known of one call, by its x-request-id"),
    Operation(
        "get",
        "stats",
        "Sums and percentiles of calls over time, by groups",
        query={
            **_TIMES,
            "step": {**_INTEGER, "multipleOf": 60, "example": "60"},
            "by": {**_TEXT, "description": f"any of {', '.join(statistics.BY)}", "example": "org,model"},
            "limit": {**_INTEGER, "minimum": 1, "maximum": statistics.MOST_GROUPS, "default": 20},
            **dict.fromkeys(statistics.BY, _TEXT),
            "outcome": _WORDS["outcome"],
        },
    ),
    Operation("get", "errors", "What goes wrong, most frequent first", query=_TIMES),
    Operation(
        "get",
        "cache",
        "What the cache holds, the last orders to forget, and hits, misses and savings by route and over time",
        query={**_TIMES, "step": {**_INTEGER, "multipleOf": 60, "example": "60"}},
    ),
    Operation(
        "get",
        "cache/entries",
        "The kept answers, without their text; `after` of one page asks for the next, and pages may be empty",
        query={**dict.fromkeys(cache.MARKS, _TEXT), "limit": {**_INTEGER, "default": 50}, "after": _TEXT},
    ),
    Operation("get", "cache/entries/{id}", "One kept answer whole, by its name"),
    Operation(
        "post",
        "cache/entries/{id}:report",
        "A user's word on a kept answer; a bad one is removed, and a wrong hit of its route if the call got it by its meaning",
        body={
            "bad": {"type": "boolean"},
            "request_id": {**_OPTIONAL_TEXT, "description": "the call that got it; none: it was got by its meaning"},
        },
        required=("bad",),
    ),
    Operation("get", "cache/semantic", "What the semantic cache has learnt and earned, route by route"),
    Operation(
        "post",
        "cache:purge",
        "Forgets the answers that have all of the given marks, on every worker within a second",
        body={
            **dict.fromkeys(cache.MARKS, _OPTIONAL_TEXT),
            "entry": {**_OPTIONAL_TEXT, "description": "the id of one"},
            "all": {"type": "boolean", "description": "true, and no mark: everything"},
        },
    ),
    Operation(
        "get",
        "certificates",
        "What has been shown of the candidates of each route, and what may be spent on showing more",
        query={"route": _TEXT},
    ),
    Operation(
        "post",
        "certificates:reset",
        "Forgets what has been shown of a candidate, which does not serve until it has been shown anew",
        body={"route": _TEXT, "candidate": _TEXT, "prompt": _OPTIONAL_TEXT, "reason": _REASON},
        required=("route", "candidate", "reason"),
    ),
    Operation("get", "templates", "The prompt templates in force: their versions, who gets which, and how rollouts do"),
    Operation(
        "get",
        "templates/{name}",
        "One template, and what the calls of each version came to, with 95 % confidence intervals",
        query={"since": {**_TIME, "example": "-24h", "description": f"{MOMENTS}; by whole hours, three days at most"}},
    ),
    Operation(
        "post",
        "templates/{name}:promote",
        "Gives all calls that name no version to one version, at once; If-Match may say what was seen, by its etag",
        body={"version": {**_INTEGER, "minimum": 1}, "reason": _REASON},
        required=("version", "reason"),
    ),
    Operation(
        "post",
        "templates/{name}:rollback",
        "Gives them to the version before, at once; If-Match as above",
        body={"reason": _REASON},
        required=("reason",),
    ),
    Operation(
        "post",
        "templates/{name}:reset",
        "Does as the file says again: forgets a promotion or rollback, and what made a version step back; If-Match as above",
        body={"reason": _REASON},
        required=("reason",),
    ),
    Operation("get", "deployments", "The deployments of the policy, how they do, and until when and why one rests"),
    Operation(
        "get", "budgets", "Every budget and rate in use: limit, settled, held, escrowed, left, and when it resets"
    ),
    Operation(
        "get", "telemetry", "How many records, spans and data points of all workers did not get where they should"
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
    for name in ("id", "name"):
        if f"{{{name}}}" in operation.path:
            parameters.append({"name": name, "in": "path", "required": True, "schema": _TEXT})
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
