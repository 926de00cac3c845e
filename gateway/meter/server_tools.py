"""Tools that providers run by themselves: how far a call may go with them, and what of it is billed besides tokens.

Each time such a tool has worked the model reads everything anew, what was found included, and all of it is billed. So a call
may read its whole context once more for each use, and a call whose uses nobody counts has no bound at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.core.call import Call, Operation
from gateway.core.deployment import Deployment

_CLIENTS = frozenset({"function", "custom"})
_ANTHROPIC_CLIENTS = ("bash_", "text_editor_", "computer_", "memory_")
"""Beginnings of the types of tools that Anthropic describes and its clients run."""
_RESPONSES_CLIENTS = frozenset({"computer", "computer_use_preview", "local_shell", "apply_patch"})
_SEARCHING_MODELS = ("search-preview", "search-api")
"""In the names of OpenAI's models that search whether they are asked to or not."""
_LONGEST = 200_000
"""Tokens of a model's context, where that is not known."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The most searches that are billed, and how often tools may be used; `unbounded` says what has no bound, else None."""

    searches: int = 0
    uses: int = 0
    unbounded: str | None = None

    def sent(self, sent: int, deployment: Deployment) -> int:
        """The most input tokens of a call that itself sends so many."""
        if not self.uses:
            return sent
        abilities = deployment.abilities
        longest = abilities.prompt or abilities.context or _LONGEST
        return sent + self.uses * max(sent, longest)


NOWHERE = Reach()


class _Native(msgspec.Struct):
    tools: Any = None
    max_tool_calls: Any = None
    mcp_servers: Any = None


_native = msgspec.json.Decoder(_Native).decode


def reach(call: Call, deployment: Deployment) -> Reach:
    """How far the call may go there; dialects whose requests take no such tools are not asked."""
    read = _DIALECTS.get(deployment.provider.dialect)
    if read is None or call.operation is not Operation.CHAT:
        return NOWHERE
    if "tools" not in call.has and "mcp_servers" not in call.dropped and deployment.provider.dialect != "openai":
        return NOWHERE
    return read(_said(call, deployment), call, deployment)


def searched(call: Call, deployment: Deployment) -> int:
    """Searches of an answer whose provider does not count them: OpenAI's chat searches once where it is to."""
    if call.operation is not Operation.CHAT or deployment.provider.dialect != "openai":
        return 0
    is_searching = any(name in deployment.upstream_model for name in _SEARCHING_MODELS)
    return 1 if is_searching or call.fields.get("web_search_options") is not None else 0


def _said(call: Call, deployment: Deployment) -> _Native:
    """What the provider gets: the client's own words where they are passed on as they came."""
    if call.native is not None and call.dialect == deployment.provider.dialect:
        return _native(call.native)
    return _Native(tools=call.fields.get("tools"))


def _tools(said: _Native) -> Sequence[Mapping[str, Any]]:
    """Those that are not functions of the client's."""
    tools = [tool for tool in said.tools if isinstance(tool, dict)] if isinstance(said.tools, list) else []
    return [tool for tool in tools if tool.get("type") is not None and tool["type"] not in _CLIENTS]


def _anthropic(said: _Native, call: Call, deployment: Deployment) -> Reach:
    """Each tool bounds its own uses."""
    if said.mcp_servers:
        return Reach(unbounded="mcp_servers")
    searches = uses = 0
    for tool in _tools(said):
        kind, most = str(tool["type"]), _count(tool.get("max_uses"))
        if kind.startswith(_ANTHROPIC_CLIENTS):
            continue
        if most is None or not kind.startswith(("web_search_", "web_fetch_")):
            return Reach(unbounded=kind)
        uses += most
        searches += most if kind.startswith("web_search_") else 0
    return Reach(searches, uses)


def _responses(said: _Native, call: Call, deployment: Deployment) -> Reach:
    """All uses of all tools together are bounded by one number; of fees only those of searches are known."""
    most = _count(said.max_tool_calls)
    tools = [tool for tool in _tools(said) if not _is_run_by_client(tool)]
    if not tools:
        return NOWHERE
    for tool in tools:
        if most is None or not str(tool["type"]).startswith("web_search"):
            return Reach(unbounded=str(tool["type"]))
    return Reach(most or 0, most or 0)


def _is_run_by_client(tool: Mapping[str, Any]) -> bool:
    if tool["type"] in _RESPONSES_CLIENTS:
        return True
    where = tool.get("environment")
    return tool["type"] == "shell" and (not isinstance(where, dict) or where.get("type") in (None, "local"))


def _openai(said: _Native, call: Call, deployment: Deployment) -> Reach:
    if tools := _tools(said):
        return Reach(unbounded=str(tools[0]["type"]))
    once = searched(call, deployment)
    return Reach(once, once)


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**31 else None


_DIALECTS = {"anthropic": _anthropic, "responses": _responses, "openai": _openai}
