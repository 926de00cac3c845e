"""Tools, what is to be done with them, and the ids of their calls."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any

_ID = re.compile(r"[a-zA-Z0-9_-]+")
_FUNCTION = frozenset({"name", "description", "parameters", "strict"})
_NO_SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}


def tool_id(id: str) -> str:
    """The id as Anthropic takes it: always the same for the same one, and another for another."""
    if _ID.fullmatch(id):
        return id
    digest = blake2b(id.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return f"{re.sub(r'[^a-zA-Z0-9_-]', '_', id)[:40]}_{digest}"


def tools_of(tools: list[Any], *, dropped: list[str]) -> list[dict[str, Any]]:
    """A tool that is no function is one that the provider itself runs, in its own words."""
    made: list[dict[str, Any]] = []
    for index, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict):
            made.append(_tool(tool, function))
            dropped += [f"tools[{index}].function.{name}" for name in function if name not in _FUNCTION]
            dropped += [f"tools[{index}].{name}" for name in tool if name not in ("type", "function", *_BESIDE)]
        elif isinstance(tool, dict) and isinstance(tool.get("type"), str) and isinstance(tool.get("name"), str):
            made.append(tool)
        else:
            dropped.append(f"tools[{index}]")
    return made


_BESIDE = ("cache_control", "input_examples", "eager_input_streaming", "defer_loading", "allowed_callers")
"""What Anthropic says of a tool beside its function."""


def _tool(tool: dict[str, Any], function: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"name": function.get("name")}
    if function.get("description"):
        made["description"] = function["description"]
    schema = function.get("parameters")
    made["input_schema"] = {"type": "object", **schema} if isinstance(schema, dict) and schema else _NO_SCHEMA
    if function.get("strict") is True:
        made["strict"] = True
    return made | {name: tool[name] for name in _BESIDE if name in tool}


def tool_choice_of(choice: Any, *, is_parallel: bool, has_tools: bool) -> dict[str, Any] | None:
    """None: nothing is to be said."""
    made: dict[str, Any] = {"type": "auto"}
    if choice in ("none", "required"):
        made = {"type": {"none": "none", "required": "any"}[choice]}
    elif isinstance(choice, dict) and isinstance(choice.get("function"), dict):
        made = {"type": "tool", "name": choice["function"].get("name")}
    elif is_parallel and choice is None:
        return None
    if not is_parallel and made["type"] != "none":
        made["disable_parallel_tool_use"] = True
    return made if has_tools else None
