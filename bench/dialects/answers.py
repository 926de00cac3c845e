"""What a provider answers, in each dialect: whole, or as the events of a stream, each told in its own words.

An answer has as many words as are asked for; in a stream each is an event of its own, besides those that open and close it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.eventstream import event as aws_event

SENT = 24
CREATED = 1_764_000_000
MODEL = "bench"


@dataclass(frozen=True, slots=True)
class Answers:
    """`whole` is a body of so many words; `events` are a stream's, in bytes."""

    whole: Callable[[int], dict[str, Any]]
    events: Callable[[int], list[bytes]]
    stream_type: str = "text/event-stream"


def word(number: int) -> str:
    return f" word{number % 10}"


def text(words: int) -> str:
    return "".join(word(number) for number in range(words))


def _sse(payload: Mapping[str, Any], *, named: bool = False) -> bytes:
    name = f"event: {payload['type']}\n" if named else ""
    return f"{name}data: {json.dumps(payload, separators=(',', ':'))}\n\n".encode()


def _chat_usage(words: int) -> dict[str, int]:
    return {"prompt_tokens": SENT, "completion_tokens": words, "total_tokens": SENT + words}


def _chat(words: int) -> dict[str, Any]:
    message = {"role": "assistant", "content": text(words)}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    head = {"id": "chatcmpl-bench", "object": "chat.completion", "created": CREATED, "model": MODEL}
    return {**head, "choices": choices, "usage": _chat_usage(words)}


def _chat_events(words: int) -> list[bytes]:
    head = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": CREATED, "model": MODEL}

    def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
        return _sse({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    return [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": word(number)}) for number in range(words)),
        chunk({}, "stop"),
        _sse({**head, "choices": [], "usage": _chat_usage(words)}),
        b"data: [DONE]\n\n",
    ]


def _message(content: list[dict[str, str]], stop: str | None, made: int) -> dict[str, Any]:
    head = {"id": "msg_bench", "type": "message", "role": "assistant", "model": MODEL, "content": content}
    return {
        **head,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": SENT, "output_tokens": made},
    }


def _messages(words: int) -> dict[str, Any]:
    return _message([{"type": "text", "text": text(words)}], "end_turn", words)


def _messages_events(words: int) -> list[bytes]:
    def delta(number: int) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word(number)}}

    ending = {"stop_reason": "end_turn", "stop_sequence": None}
    told: list[dict[str, Any]] = [
        {"type": "message_start", "message": _message([], None, 1)},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(delta(number) for number in range(words)),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ending, "usage": {"output_tokens": words}},
        {"type": "message_stop"},
    ]
    return [_sse(each, named=True) for each in told]


def _response(status: str, output: list[dict[str, Any]], usage: dict[str, Any] | None) -> dict[str, Any]:
    head = {"id": "resp_bench", "object": "response", "created_at": CREATED, "status": status, "model": MODEL}
    asked: dict[str, Any] = {
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "parallel_tool_calls": True,
    }
    more = {
        "temperature": 0.5,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "store": False,
    }
    return {**head, "error": None, "incomplete_details": None, "output": output, "usage": usage, **asked, **more}


def _item(status: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": "msg_bench", "type": "message", "status": status, "role": "assistant", "content": parts}


def _part(said: str) -> dict[str, Any]:
    return {"type": "output_text", "text": said, "annotations": [], "logprobs": []}


def _responses(words: int) -> dict[str, Any]:
    usage = {
        "input_tokens": SENT,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": words,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": SENT + words,
    }
    return _response("completed", [_item("completed", [_part(text(words))])], usage)


def _responses_events(words: int) -> list[bytes]:
    of_part = {"item_id": "msg_bench", "output_index": 0, "content_index": 0}
    begun = _response("in_progress", [], None)
    told: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": _item("in_progress", [])},
        {"type": "response.content_part.added", **of_part, "part": _part("")},
        *(
            {"type": "response.output_text.delta", **of_part, "delta": word(number), "logprobs": []}
            for number in range(words)
        ),
        {"type": "response.output_text.done", **of_part, "text": text(words), "logprobs": []},
        {"type": "response.content_part.done", **of_part, "part": _part(text(words))},
        {"type": "response.output_item.done", "output_index": 0, "item": _item("completed", [_part(text(words))])},
        {"type": "response.completed", "response": _responses(words)},
    ]
    return [_sse({**each, "sequence_number": number}, named=True) for number, each in enumerate(told)]


def _gemini_answer(said: str, made: int, finish: str | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": [{"text": said}], "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    usage = {"promptTokenCount": SENT, "candidatesTokenCount": made, "totalTokenCount": SENT + made}
    details = {"promptTokensDetails": [{"modality": "TEXT", "tokenCount": SENT}]}
    head = {"modelVersion": MODEL, "responseId": "bench"}
    return {"candidates": [candidate], "usageMetadata": {**usage, **details}, **head}


def _gemini(words: int) -> dict[str, Any]:
    return _gemini_answer(text(words), words, "STOP")


def _gemini_events(words: int) -> list[bytes]:
    """As Google does, each event tells the usage so far."""
    last = words - 1
    return [
        _sse(_gemini_answer(word(number), number + 1, "STOP" if number == last else None)) for number in range(words)
    ]


def _bedrock(words: int) -> dict[str, Any]:
    message = {"role": "assistant", "content": [{"text": text(words)}]}
    return {"output": {"message": message}, "stopReason": "end_turn", **_bedrock_end(words)}


def _bedrock_end(words: int) -> dict[str, Any]:
    usage = {"inputTokens": SENT, "outputTokens": words, "totalTokens": SENT + words}
    return {"usage": usage, "metrics": {"latencyMs": 1}}


def _bedrock_events(words: int) -> list[bytes]:
    return [
        aws_event("messageStart", {"role": "assistant"}),
        *(
            aws_event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": word(number)}})
            for number in range(words)
        ),
        aws_event("contentBlockStop", {"contentBlockIndex": 0}),
        aws_event("messageStop", {"stopReason": "end_turn"}),
        aws_event("metadata", _bedrock_end(words)),
    ]


ANSWERS: Mapping[str, Answers] = {
    "chat": Answers(_chat, _chat_events),
    "messages": Answers(_messages, _messages_events),
    "responses": Answers(_responses, _responses_events),
    "gemini": Answers(_gemini, _gemini_events),
    "bedrock": Answers(_bedrock, _bedrock_events, "application/vnd.amazon.eventstream"),
}
