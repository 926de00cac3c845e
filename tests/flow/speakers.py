"""Providers of each dialect that say the same, and clients of each that ask the same, for whom money must be the same, too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.eventstream import event
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import DONE, Body, Event, Finish, Head, Json, Say, Step

FIRST, LAST = "Hello", " there"
SENT, MADE = 11, 7
PRICE = "price: {in: 1, out: 2}"
COST = SENT * 1000 + MADE * 2000
_POLICY = f"""
providers:
  claude: {{dialect: anthropic, base_url: "ROOT", key: sk-ant-canary, allow_private: true}}
  relay: {{dialect: responses, base_url: "ROOT/v1", key: sk-canary, allow_private: true}}
  google: {{dialect: gemini, base_url: "ROOT/v1beta", key: AIza-canary, allow_private: true}}
  amazon: {{dialect: bedrock, base_url: "ROOT", key: canary-bearer, allow_private: true, region: us-east-1}}
models:
  openai: {{use: chaos/nobodys, {PRICE}}}
  anthropic: {{use: claude/nobodys, {PRICE}}}
  responses: {{use: relay/nobodys, {PRICE}}}
  gemini: {{use: google/nobodys, {PRICE}}}
  bedrock: {{use: amazon/nobodys, {PRICE}}}
"""


def policy(provider: Chaosprov) -> str:
    """A model for each dialect, named as it is; ends within its `models`."""
    return _POLICY.replace("ROOT", provider.base_url.removesuffix("/v1"))


@dataclass(frozen=True)
class Speaker:
    """A provider. What it streams: FIRST, then LAST and the end of its text, then the end of all, with its usage."""

    name: str
    use: str
    first: tuple[Step, ...]
    last: tuple[Step, ...]
    end: tuple[Step, ...]
    whole: Step

    @property
    def stream(self) -> tuple[Step, ...]:
        return (*self.first, *self.last, *self.end)


@dataclass(frozen=True)
class Client:
    """A client's dialect: where it asks, and what."""

    name: str
    path: str
    cap: str

    def asks(self, model: str, text: str = "Say hello", *, cap: int = 50, **more: Any) -> dict[str, Any]:
        said = {"input": text} if self.name == "responses" else {"messages": [{"role": "user", "content": text}]}
        return {"model": model, **said, self.cap: cap, **more}


def _sse(*told: Mapping[str, Any], named: bool = True) -> Body:
    lines = [(f"event: {each['type']}\n" if named else "") + f"data: {json.dumps(each)}\n\n" for each in told]
    return Body("".join(lines).encode())


def _head(kind: str) -> Head:
    return Head(headers=(("content-type", kind),))


_EVENTS = _head("text/event-stream")

OPENAI = Speaker(
    "openai",
    "chaos/nobodys",
    (Say(FIRST),),
    (Say(LAST), Finish()),
    (Event({"choices": [], "usage": {"prompt_tokens": SENT, "completion_tokens": MADE}}), DONE),
    Json(
        {
            "object": "chat.completion",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": FIRST + LAST}, "finish_reason": "stop"}
            ],
            "usage": {"prompt_tokens": SENT, "completion_tokens": MADE, "total_tokens": SENT + MADE},
        }
    ),
)

_MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "nobodys", "stop_sequence": None}


def _text_delta(text: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


ANTHROPIC = Speaker(
    "anthropic",
    "claude/nobodys",
    (
        _EVENTS,
        _sse(
            {
                "type": "message_start",
                "message": {
                    **_MESSAGE,
                    "content": [],
                    "stop_reason": None,
                    "usage": {"input_tokens": SENT, "output_tokens": 1},
                },
            },
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            _text_delta(FIRST),
        ),
    ),
    (_sse(_text_delta(LAST), {"type": "content_block_stop", "index": 0}),),
    (
        _sse(
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": MADE}},
            {"type": "message_stop"},
        ),
    ),
    Json(
        {
            **_MESSAGE,
            "content": [{"type": "text", "text": FIRST + LAST}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": SENT, "output_tokens": MADE},
        }
    ),
)

_AT = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
_PART = {"type": "output_text", "annotations": [], "text": FIRST + LAST}
_ITEM = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [_PART]}
_RESPONSE = {"id": "resp_1", "object": "response", "created_at": 1, "model": "nobodys", "output": [], "usage": None}
_COMPLETED = {
    **_RESPONSE,
    "status": "completed",
    "output": [_ITEM],
    "usage": {"input_tokens": SENT, "output_tokens": MADE, "total_tokens": SENT + MADE},
}
RESPONSES = Speaker(
    "responses",
    "relay/nobodys",
    (
        _EVENTS,
        _sse(
            {"type": "response.created", "sequence_number": 0, "response": {**_RESPONSE, "status": "in_progress"}},
            {
                "type": "response.output_item.added",
                "sequence_number": 1,
                "output_index": 0,
                "item": {**_ITEM, "status": "in_progress", "content": []},
            },
            {
                "type": "response.content_part.added",
                "sequence_number": 2,
                **_AT,
                "part": {**_PART, "text": ""},
            },
            {"type": "response.output_text.delta", "sequence_number": 3, **_AT, "delta": FIRST},
        ),
    ),
    (
        _sse(
            {"type": "response.output_text.delta", "sequence_number": 4, **_AT, "delta": LAST},
            {"type": "response.output_text.done", "sequence_number": 5, **_AT, "text": FIRST + LAST},
            {"type": "response.output_item.done", "sequence_number": 6, "output_index": 0, "item": _ITEM},
        ),
    ),
    (_sse({"type": "response.completed", "sequence_number": 7, "response": _COMPLETED}),),
    Json(_COMPLETED),
)


def _candidate(text: str, **more: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "index": 0, **more}]}


_COUNTED = {"usageMetadata": {"promptTokenCount": SENT, "candidatesTokenCount": MADE, "totalTokenCount": SENT + MADE}}
GEMINI = Speaker(
    "gemini",
    "google/nobodys",
    (_EVENTS, _sse(_candidate(FIRST), named=False)),
    (_sse(_candidate(LAST), named=False),),
    (_sse({**_candidate("", finishReason="STOP"), **_COUNTED}, named=False),),
    Json({**_candidate(FIRST + LAST, finishReason="STOP"), **_COUNTED}),
)

_SPENT = {"inputTokens": SENT, "outputTokens": MADE, "totalTokens": SENT + MADE}


def _block(text: str) -> bytes:
    return event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}})


BEDROCK = Speaker(
    "bedrock",
    "amazon/nobodys",
    (
        _head("application/vnd.amazon.eventstream"),
        Body(event("messageStart", {"role": "assistant"}) + _block(FIRST)),
    ),
    (
        Body(
            _block(LAST)
            + event("contentBlockStop", {"contentBlockIndex": 0})
            + event("messageStop", {"stopReason": "end_turn"})
        ),
    ),
    (Body(event("metadata", {"usage": _SPENT, "metrics": {"latencyMs": 1}})),),
    Json(
        {
            "output": {"message": {"role": "assistant", "content": [{"text": FIRST + LAST}]}},
            "stopReason": "end_turn",
            "usage": _SPENT,
        }
    ),
)

SPEAKERS = {each.name: each for each in (OPENAI, ANTHROPIC, RESPONSES, GEMINI, BEDROCK)}
CLIENTS = {
    "chat": Client("chat", "/v1/chat/completions", "max_tokens"),
    "messages": Client("messages", "/v1/messages", "max_tokens"),
    "responses": Client("responses", "/v1/responses", "max_output_tokens"),
}
