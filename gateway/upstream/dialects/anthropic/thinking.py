"""What Anthropic's models are asked for in other words from one generation to the next: reasoning, and how they draw tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_EARLIER = re.compile(r"claude-(?:instant|2|3|[a-z]+-4(?:-[0-6])?(?:[-@]\d{8})?(?:-v\d.*)?$)")
"""Up to 4.6: these can be told a temperature, top_p and top_k; later ones refuse them."""
_BUDGETED = re.compile(r"claude-(?:3-7|[a-z]+-4(?:-[0-5])?(?:[-@]\d{8})?(?:-v\d.*)?$)")
"""From 3.7 to 4.5: told how many tokens to think, and no effort."""
_THOUGHTLESS = re.compile(r"claude-(?:instant|2|3-5|3-(?:opus|sonnet|haiku))")
_BUDGETS: Mapping[str, int] = {"minimal": 1024, "low": 1024, "medium": 4096, "high": 16_384, "xhigh": 32_768}
_EFFORTS: Mapping[str, str] = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}
_LEAST = 1024
THOUGHTS = ("thinking", "redacted_thinking")
"""The kinds of blocks."""


def takes_budget(model: str) -> bool:
    """Whether its thinking is told in tokens, and not in an effort."""
    return _BUDGETED.search(model) is not None


def takes_sampling(model: str) -> bool:
    return "claude" not in model or _EARLIER.search(model) is not None


def thinking_for(effort: str, model: str, *, cap: int) -> dict[str, Any] | None:
    """The members of a request for an effort of OpenAI's; None where it cannot be said. `cap`: tokens of thoughts and answer."""
    if effort == "none":
        return {} if _THOUGHTLESS.search(model) else {"thinking": {"type": "disabled"}}
    if effort not in _EFFORTS or _THOUGHTLESS.search(model):
        return None
    if not _BUDGETED.search(model):
        return {"thinking": {"type": "adaptive"}, "output_config": {"effort": _EFFORTS[effort]}}
    budget = min(_BUDGETS.get(effort, _BUDGETS["xhigh"]), cap - _LEAST)
    return {"thinking": {"type": "enabled", "budget_tokens": budget}} if budget >= _LEAST else None


def budget_for(effort: Any) -> dict[str, Any]:
    """The thinking of a model that takes a budget."""
    return {"type": "enabled", "budget_tokens": _BUDGETS.get(str(effort), _BUDGETS["xhigh"])}


def fitted(thinking: dict[str, Any], *, cap: int | None) -> dict[str, Any] | None:
    """With a budget below the output cap, as it has to be; the same where it fits, None where the cap leaves too little."""
    budget = thinking.get("budget_tokens")
    if cap is None or not isinstance(budget, int) or budget < cap:
        return thinking
    return {**thinking, "budget_tokens": cap - 1} if cap > _LEAST else None


def is_thinking(thinking: Any) -> bool:
    return isinstance(thinking, dict) and thinking.get("type") not in (None, "disabled")
