"""The tools that a response may use, as chat has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.errors import InvalidRequest
from gateway.ingress.responses.own_tools import OWN_TOOLS
from gateway.ingress.tool_names import flat

_NAMED = ("function", "custom")


def spread(tools: Any, dropped: list[str]) -> list[tuple[Mapping[str, Any], str | None]]:
    """The tools, each with its namespace: one that is a namespace stands for those in it. Raises InvalidRequest."""
    if tools is None:
        return []
    if not isinstance(tools, list):
        raise InvalidRequest("tools must be an array", code="invalid_type", param="tools")
    found: list[tuple[Mapping[str, Any], str | None]] = []
    for index, tool in enumerate(tools):
        if not isinstance(tool, dict) or not isinstance(tool.get("type"), str):
            raise InvalidRequest(f"tools[{index}] must be an object with a type", code="invalid_value", param="tools")
        if not isinstance(tool.get("name"), str | None):
            raise InvalidRequest(f"tools[{index}].name must be a string", code="invalid_type", param="tools")
        within = tool.get("tools")
        if tool["type"] != "namespace" or not isinstance(within, list) or not isinstance(tool.get("name"), str):
            found.append((tool, None))
            continue
        found += [(each, tool["name"]) for each in within if isinstance(each, dict) and each.get("type") in _NAMED]
        dropped += [f"tools[{index}].{name}" for name in tool if name not in ("type", "name", "tools")]
        dropped += [f"tools[{index}].tools[{n}]" for n, each in enumerate(within) if (each, tool["name"]) not in found]
    return found


def tools_of(tools: Any, choice: Any, chat: dict[str, Any], dropped: list[str]) -> None:
    """Puts them into `chat`, only those that are allowed. What a provider itself runs is left as it is written."""
    every = spread(tools, dropped)
    names = {tool.get("name") for tool, _ in every}
    allowed = _allowed(choice)
    found = [
        _tool(tool, names, namespace)
        for tool, namespace in every
        if allowed is None or (tool["type"], tool.get("name")) in allowed
    ]
    if found:
        chat["tools"] = found
    elif tools:
        dropped.append("tools")


def choice_of(choice: Any, chat: dict[str, Any], dropped: list[str]) -> None:
    """Which of them is to be used."""
    kind = choice.get("type") if isinstance(choice, dict) else None
    if isinstance(choice, str):
        chat["tool_choice"] = choice
    elif kind == "allowed_tools":
        chat["tool_choice"] = choice.get("mode") or "auto"
    elif kind in _NAMED:
        name = flat(str(choice.get("name")), choice.get("namespace"))
        chat["tool_choice"] = {"type": kind, kind: {"name": name}}
    elif isinstance(kind, str) and kind in OWN_TOOLS:
        chat["tool_choice"] = {"type": "function", "function": {"name": kind}}
    elif choice is not None:
        dropped.append("tool_choice")


def _tool(tool: Mapping[str, Any], names: set[Any], namespace: str | None) -> dict[str, Any]:
    kind = tool["type"]
    if kind in _NAMED and isinstance(tool.get("name"), str):
        tool = {**tool, "name": flat(tool["name"], namespace)}
    if kind == "function":
        return {
            "type": "function",
            "function": {name: value for name, value in tool.items() if name != "type" and value is not None},
        }
    if kind == "custom":
        return {"type": "custom", "custom": _custom(tool)}
    if kind in OWN_TOOLS and kind not in names:
        return OWN_TOOLS[kind].function()
    return dict(tool)


def _custom(tool: Mapping[str, Any]) -> dict[str, Any]:
    custom = {name: value for name, value in tool.items() if name not in ("type", "format") and value is not None}
    form = tool.get("format")
    if isinstance(form, dict) and form.get("type") == "grammar":
        custom["format"] = {"type": "grammar", "grammar": {n: v for n, v in form.items() if n != "type"}}
    elif form is not None:
        custom["format"] = form
    return custom


def _allowed(choice: Any) -> set[tuple[Any, Any]] | None:
    """The kinds and names of the tools that may be used; None: all."""
    if not isinstance(choice, dict) or choice.get("type") != "allowed_tools":
        return None
    tools = choice.get("tools")
    allowed = tools if isinstance(tools, list) else ()
    named = [(tool.get("type"), tool.get("name")) for tool in allowed if isinstance(tool, dict)]
    return {(kind, name) for kind, name in named if isinstance(kind, str) and isinstance(name, str | None)}
