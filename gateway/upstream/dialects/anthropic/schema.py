"""A JSON schema as structured output takes it: objects closed, and without the bounds that it does not know.

See "JSON Schema limitations" in Anthropic's documentation of structured outputs. A bound that is left out is told in the
description, which models heed mostly.
"""

from __future__ import annotations

from typing import Any

_UNKNOWN = frozenset(
    {
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minLength", "maxLength", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
    }
)
_OF_SCHEMAS = frozenset({"properties", "$defs", "definitions", "patternProperties"})
_VALUES = frozenset({"enum", "const", "default", "examples", "required"})


def closed(schema: dict[str, Any], *, title: Any = None, description: Any = None) -> dict[str, Any]:
    """`title` and `description` are OpenAI's name and description of it, where it has none of its own."""
    beside = {"title": title, "description": description}
    return _closed({**{name: text for name, text in beside.items() if isinstance(text, str) and text}, **schema})


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    bounds = [f"{name}: {value}" for name, value in schema.items() if _is_unknown(name, value)]
    for name, value in schema.items():
        if name in _VALUES:
            made[name] = value
        elif name in _OF_SCHEMAS and isinstance(value, dict):
            made[name] = {key: _closed(each) if isinstance(each, dict) else each for key, each in value.items()}
        elif isinstance(value, dict):
            made[name] = _closed(value)
        elif isinstance(value, list):
            made[name] = [_closed(each) if isinstance(each, dict) else each for each in value]
        elif not _is_unknown(name, value):
            made[name] = value
    if schema.get("type") == "object" or "properties" in schema:
        made["additionalProperties"] = False
    if bounds:
        made["description"] = "\n\n".join(filter(None, [made.get("description"), "{" + ", ".join(bounds) + "}"]))
    return made


def _is_unknown(name: str, value: Any) -> bool:
    return (name in _UNKNOWN or (name == "minItems" and value not in (0, 1))) and not isinstance(value, dict | list)
