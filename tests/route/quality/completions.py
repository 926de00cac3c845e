"""Answers and requests to compare."""

from __future__ import annotations

from typing import Any


def says(text: str | None, *, finish: str = "stop", **message: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}]}


def calls(*functions: tuple[str, str]) -> dict[str, Any]:
    listed = [{"type": "function", "function": {"name": name, "arguments": text}} for name, text in functions]
    return says(None, finish="tool_calls", tool_calls=listed)


def wants(schema: dict[str, Any] | None) -> dict[str, Any]:
    """A request for JSON, with a schema or without."""
    if schema is None:
        return {"response_format": {"type": "json_object"}}
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}


PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name"],
    "additionalProperties": False,
}
BAD_ANSWERS: list[dict[str, Any]] = [
    says("x", finish="length"),
    says("x", finish="content_filter"),
    says(""),
    says(None),
    says("  \n"),
    says(None, refusal="No."),
    says("I'm sorry, but I can't help with that."),
    {},
    {"choices": []},
    {"choices": [{"message": 7}]},
    {"choices": [1]},
    {"choices": [{"message": {"content": "a"}}, {"message": {"content": "b"}}]},
]
