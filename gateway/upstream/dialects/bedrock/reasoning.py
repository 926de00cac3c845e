"""How much a model is to reason: a field of its own with each family of models that Bedrock has."""

from __future__ import annotations

from typing import Any

from gateway.upstream.dialects.anthropic.thinking import takes_budget
from gateway.upstream.dialects.bedrock.turns import Turns
from gateway.upstream.dialects.members import Members

_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 4096, "high": 16384, "xhigh": 32768, "max": 32768}
"""Claude's tokens of thinking for each effort; 1,024 is the least that it takes."""
_LEAST = 1024
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
_LEVELS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}


def is_claude(model: str) -> bool:
    return "anthropic." in model or "claude" in model


def further(fields: Members, model: str, turns: Turns, config: dict[str, Any], *, forced: bool) -> dict[str, Any]:
    """The `additionalModelRequestFields`. `config` is the inferenceConfig, from which goes what cannot be beside thinking.

    `forced`: a tool has to be called, without thinking first.
    """
    if is_claude(model):
        return _of_claude(fields, model, turns, config, forced=forced)
    told: dict[str, Any] = {}
    if "gpt-oss" in model and (level := _level(fields)):
        told["reasoning_effort"] = level
    if "nova-2" in model and (level := _level(fields)):
        told["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": level}
    if "nova" in model and (top_k := fields.number("top_k")) is not None:
        told["inferenceConfig"] = {"topK": top_k}
    return told


def _of_claude(fields: Members, model: str, turns: Turns, config: dict[str, Any], *, forced: bool) -> dict[str, Any]:
    told: dict[str, Any] = {}
    name = "thinking" if "thinking" in fields else "reasoning_effort"
    effort = fields.text("reasoning_effort")
    thinking = _thinking(fields, effort, model, config.get("maxTokens"))
    thinks = thinking is not None and thinking.get("type") != "disabled"
    if (thinks and forced) or (turns.unexplained and thinking is not None and thinking.get("type") == "enabled"):
        fields.lose(name)
        thinking, thinks = None, False
    if thinking is not None:
        told["thinking"] = thinking
        if thinking.get("type") == "adaptive" and effort in _EFFORTS:
            told["output_config"] = {"effort": _EFFORTS[effort]}
    if thinks:
        _calm(fields, config)
    elif (top_k := fields.number("top_k")) is not None:
        told["top_k"] = top_k
    return told


def _thinking(fields: Members, effort: str | None, model: str, cap: int | float | None) -> dict[str, Any] | None:
    """As Anthropic's API has it, which models up to 4.5 want to be told in tokens, and later ones in an effort. A budget has to
    be less than the output cap; where that leaves too little, there is none."""
    name, asked = "thinking", fields.mapping("thinking")
    thinking = None if asked is None else dict(asked)
    if thinking is None:
        name = "reasoning_effort"
        if effort in (None, "none"):
            return None
        thinking = {"type": "adaptive"}
    if thinking.get("type") == "adaptive" and takes_budget(model):
        thinking = {"type": "enabled", "budget_tokens": _BUDGETS.get(effort or "high")}
    if thinking.get("type") != "enabled":
        if name == "reasoning_effort" and effort not in _EFFORTS:
            fields.lose(name)
            return None
        return thinking
    budget = thinking.get("budget_tokens")
    if isinstance(budget, int) and cap is not None:
        budget = min(budget, int(cap) - 1)
    if not isinstance(budget, int) or budget < _LEAST:
        fields.lose(name)
        return None
    return {**thinking, "budget_tokens": budget}


def _calm(fields: Members, config: dict[str, Any]) -> None:
    """A Claude that thinks takes no temperature but 1."""
    if config.get("temperature", 1) != 1:
        del config["temperature"]
        fields.lose("temperature")


def _level(fields: Members) -> str | None:
    effort = fields.text("reasoning_effort")
    if effort is not None and effort not in _LEVELS:
        fields.lose("reasoning_effort")
    return _LEVELS.get(effort or "")
