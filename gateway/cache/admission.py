"""Which calls may be answered from the cache, and which answers may be kept.

Every function gives None for yes, or a word that says why not, for the trace: see REFUSALS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TOOLS = ("tools", "functions", "mcp_servers")
"""The members that offer tools, or somebody who has some."""
_DEFAULT_TEMPERATURE = 1.0
_LONGEST_SECONDS = 2**31 - 1
_FINISHED = frozenset({"stop", "eos", "end_turn", "stop_sequence"})
_CALLED = frozenset({"tool_calls", "function_call", "tool_use"})
_TRUNCATED = frozenset({"length", "max_tokens"})

REFUSALS: Mapping[str, str] = {
    "no_store": "the client said Cache-Control: no-store",
    "too_hot": "the temperature is above the policy's",
    "several": "more than one choice is asked for",
    "has_tools": "the call offers tools",
    "keeps_state": "the call continues a conversation that the provider keeps, or asks the web",
    "sound": "audio is asked for; it expires at the provider",
    "failed": "the status is not 200, or the answer holds an error",
    "incomplete": "the answer broke off, or lacks a choice",
    "altered": "a guardrail changed the answer",
    "too_large": "the answer is larger than the policy allows",
    "truncated": "the answer reached its length",
    "filtered": "the provider's filter cut the answer",
    "refused": "the model refused to answer",
    "tool_calls": "the answer calls a tool",
    "unfinished": "a choice ended for a reason that is not known to be an end",
    "empty": "the answer says nothing",
}
"""What the words mean."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a route's policy lets in. `largest` is in bytes; `hottest` is a temperature, the API's default being 1."""

    tools: bool = False
    several: bool = False
    hottest: float = 1.0
    largest: int = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Control:
    """What the client's Cache-Control says of kept answers. `max_age` is in seconds."""

    may_read: bool = True
    may_store: bool = True
    max_age: float | None = None


_ANY = Control()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended, beside what the answer says. `complete`: it was read to its end; `size` in bytes."""

    status: int
    complete: bool
    size: int
    altered: bool = False


def read_control(header: bytes | None) -> Control:
    """RFC 9111, 5.2.1, as far as it means something here: no-store, no-cache, max-age; the rest is passed over.

    A max-age that is no number is taken as 0, as 4.2.1 there asks: what cannot be judged is stale.
    """
    if header is None:
        return _ANY
    may_read, may_store, max_age = True, True, None
    for part in header.decode("latin-1").lower().split(","):
        name, _, value = part.strip().partition("=")
        if name == "no-store":
            may_read = may_store = False
        elif name == "no-cache":
            may_read = False
        elif name == "max-age":
            text = value.strip(' "')
            age = min(int(text[:20]), _LONGEST_SECONDS) if text.isascii() and text.isdigit() else 0
            max_age = float(age if max_age is None else min(age, max_age))
    return Control(may_read and max_age != 0, may_store, max_age)


def refuse_call(fields: Mapping[str, Any], control: Control, rules: Rules) -> str | None:
    """Why the call can neither be answered from the cache nor its answer kept; `control.may_read` is judged by the reader."""
    if not control.may_store:
        return "no_store"
    if not rules.several and fields.get("n") not in (None, 1):
        return "several"
    if not rules.tools and any(fields.get(name) for name in TOOLS):
        return "has_tools"
    return _refuse_kind(fields, rules)


def _refuse_kind(fields: Mapping[str, Any], rules: Rules) -> str | None:
    """What is of no known type is left to the provider to refuse."""
    temperature = fields.get("temperature")
    heat = _DEFAULT_TEMPERATURE if temperature is None else temperature
    if not isinstance(heat, int | float) or heat > rules.hottest:
        return "too_hot"
    if fields.get("previous_response_id") or fields.get("conversation") or fields.get("web_search_options") is not None:
        return "keeps_state"
    modalities = fields.get("modalities") or []
    if fields.get("audio") is not None or not isinstance(modalities, list) or "audio" in modalities:
        return "sound"
    return None


def refuse_answer(document: Mapping[str, Any], outcome: Outcome, rules: Rules, *, wanted: int = 1) -> str | None:
    """Why the answer, a whole JSON document, is not kept. `wanted` is how many choices or vectors the call asked for."""
    if outcome.status != 200 or document.get("error"):
        return "failed"
    if not outcome.complete:
        return "incomplete"
    if outcome.altered:
        return "altered"
    if outcome.size > rules.largest:
        return "too_large"
    parts = document.get("data" if document.get("object") == "list" else "choices")
    if not isinstance(parts, list) or len(parts) != wanted:
        return "incomplete"
    judge = _refuse_vector if document.get("object") == "list" else _refuse_choice
    return next((word for part in parts if (word := judge(part, rules))), None)


def _refuse_vector(part: Any, rules: Rules) -> str | None:
    return None if isinstance(part, dict) and part.get("embedding") else "empty"


def _refuse_choice(choice: Any, rules: Rules) -> str | None:
    if not isinstance(choice, dict):
        return "incomplete"
    message = choice.get("message")
    said = message if isinstance(message, dict) else {"content": choice.get("text")}
    calls = said.get("tool_calls") or said.get("function_call")
    if word := _refuse_ending(choice.get("finish_reason"), rules):
        return word
    if said.get("refusal"):
        return "refused"
    if calls:
        return None if rules.tools else "tool_calls"
    content = said.get("content")
    is_said = bool(content.strip()) if isinstance(content, str) else bool(content)
    return None if is_said else "empty"


def _refuse_ending(reason: Any, rules: Rules) -> str | None:
    if reason in _FINISHED:
        return None
    if reason in _CALLED:
        return None if rules.tools else "tool_calls"
    if reason in _TRUNCATED:
        return "truncated"
    if reason == "content_filter":
        return "filtered"
    return "incomplete" if reason is None else "unfinished"
