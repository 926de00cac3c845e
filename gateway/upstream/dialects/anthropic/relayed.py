"""The request of a client of this dialect: its own bytes.

An agent whose last answers came from elsewhere sends back what the provider would refuse: thinking that nobody has signed, and a
tool's result in whose turn there was no thinking at all. Both are left out.
"""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from gateway.core.call import Call
from gateway.core.deployment import Deployment
from gateway.upstream.dialects.anthropic.thinking import THOUGHTS, budget_for, fitted, takes_budget

_OWN_FIELD = "llmgw"
_UNSIGNED = b'"thinking"'
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_CLEARS = b"clear_thinking"


def relayed_body(native: bytes, call: Call, deployment: Deployment, cap: int | None, *, dropped: list[str]) -> bytes:
    """The client's JSON, every value as it was written but for the provider's name of the model, the output cap, and thinking
    that would be refused, which is told in `dropped`."""
    changes: dict[str, bytes | None] = {}
    if deployment.upstream_model != call.model:
        changes["model"] = orjson.dumps(deployment.upstream_model)
    most = call.output_cap
    if cap is not None and cap != most:
        most, changes["max_tokens"] = cap, b"%d" % cap
    thinking = call.fields.get("thinking")
    if isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive"):
        changes |= _thinking(native, call, thinking, deployment.upstream_model, most, dropped)
    if _has_unsigned(call.fields["messages"]):
        changes["messages"] = _signed(bytes(_members(native)["messages"]), dropped)
    if not changes and _OWN_FIELD not in call.fields:
        return native
    told = {name: changes.get(name, value) for name, value in _members(native).items() if name != _OWN_FIELD}
    return b"{" + b",".join([b"%b:%b" % (orjson.dumps(n), v) for n, v in told.items() if v is not None]) + b"}"


def _thinking(
    native: bytes, call: Call, thinking: dict[str, Any], model: str, most: int | None, dropped: list[str]
) -> dict[str, bytes | None]:
    """What becomes of thinking; None: it is left out. Models that want a budget of thoughts refuse to be told an effort."""
    changes: dict[str, bytes | None] = {}
    asked = thinking
    if thinking["type"] == "adaptive":
        if not takes_budget(model):
            return {}
        asked = budget_for(call.fields.get("reasoning_effort") or "high")
        if "reasoning_effort" in call.fields:
            config = orjson.loads(bytes(_members(native)["output_config"]))
            del config["effort"]
            changes["output_config"] = orjson.dumps(config) if config else None
    told = None if _is_unexplained(call.fields["messages"]) else fitted(asked, cap=most)
    if told is thinking:
        return {}
    if told is not asked:
        dropped.append("thinking")
    changes["thinking"] = None if told is None else orjson.dumps(told)
    if told is None and _CLEARS in native:
        dropped.append("context_management")  # which speaks of thinking, and is refused without
        changes["context_management"] = None
    return changes


def _is_unexplained(messages: list[dict[str, Any]]) -> bool:
    """Whether a tool's result is on its way to an answer that did not begin with thinking."""
    last = next((place for place in range(len(messages) - 1, -1, -1) if messages[place]["role"] == "assistant"), None)
    if last is None or last + 1 == len(messages) or not (said := messages[last]).get("tool_calls"):
        return False
    if blocks := said.get("anthropic_content"):
        return blocks[0].get("type") not in THOUGHTS
    return not said.get("thinking_blocks")


def _has_unsigned(messages: list[dict[str, Any]]) -> bool:
    """As the reader of clients leaves them: text that was thought, and fewer signed blocks than there were."""
    return any(
        message.get("reasoning_content") and _said(message) != message["reasoning_content"] for message in messages
    )


def _said(message: dict[str, Any]) -> str:
    blocks = message.get("thinking_blocks") or ()
    return "".join([text for block in blocks if isinstance(text := block.get("thinking"), str)])


def _signed(messages: bytes, dropped: list[str]) -> bytes:
    """Without blocks that nobody has signed, and turns that held nothing else."""
    told = []
    for place, raw in enumerate(_items(messages)):
        turn = bytes(raw)
        if _UNSIGNED in turn and isinstance(content := (read := orjson.loads(turn)).get("content"), list):
            kept = [block for block in content if not _is_unsigned(block)]
            if len(kept) < len(content) and read.get("role") == "assistant":
                dropped.append(f"messages[{place}].content")
                turn = orjson.dumps({**read, "content": kept}) if kept else b""
        if turn:
            told.append(turn)
    return b"[" + b",".join(told) + b"]"


def _is_unsigned(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "thinking" and not block.get("signature")
