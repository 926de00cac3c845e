"""What a translation makes of a provider's stream, gathered for assertions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.core.call import Call, Operation
from gateway.core.errors import UpstreamError
from gateway.upstream.dialects import openai, sse
from gateway.upstream.dialects.dialect import Translation

QUESTION: list[dict[str, Any]] = [{"role": "user", "content": "Hello"}]


def chat(operation: Operation = Operation.CHAT, **fields: Any) -> Call:
    body: dict[str, Any] = {"model": "asked", **fields}
    if operation is Operation.CHAT:
        body.setdefault("messages", QUESTION)
    return Call(
        id="req_1",
        operation=operation,
        received=0.0,
        model="asked",
        body=json.dumps(body).encode(),
        fields=body,
        stream=body.get("stream") is True,
    )


def fed(translation: Translation, pieces: Iterable[bytes]) -> tuple[bytes, UpstreamError | None]:
    """All that is told, and the error that ended it."""
    told = b""
    try:
        for piece in pieces:
            told += translation.feed(piece)
        told += translation.end()
    except UpstreamError as error:
        return told, error
    return told, None


def is_complete(call: Call, told: bytes) -> bool:
    """Whether our own reader of answers takes it for a whole one."""
    answer = openai.StreamedAnswer(call, injected=False)
    answer.feed(told)
    if answer.failure is not None:
        return False
    try:
        answer.end()
    except UpstreamError:
        return False
    return answer.is_complete


def gathered(told: bytes) -> dict[str, Any]:
    """The whole answer that the chunks add up to: its choices by their index, usage, and whether it has its end mark."""
    choices: dict[int, dict[str, Any]] = {}
    answer: dict[str, Any] = {"choices": choices, "usage": None, "done": False}
    for event in sse.events(told):
        text = sse.data_of(event)
        if text is None:
            continue
        if text == b"[DONE]":
            answer["done"] = True
            continue
        chunk = json.loads(text)
        answer |= {name: chunk[name] for name in ("id", "model", "object")}
        answer["usage"] = chunk.get("usage") or answer["usage"]
        for choice in chunk["choices"]:
            _add(choices.setdefault(choice["index"], {}), choice)
    return answer


def _add(message: dict[str, Any], choice: Mapping[str, Any]) -> None:
    assert "finish" not in message, "a choice goes on after its end"
    for name, value in choice["delta"].items():
        if name == "tool_calls":
            _add_calls(message.setdefault("tool_calls", []), value)
        elif name == "role":
            assert name not in message
            message[name] = value
        else:
            message[name] = message[name] + value if name in message else value
    if choice.get("logprobs"):
        message["logprobs"] = choice["logprobs"]
    if choice["finish_reason"]:
        message["finish"] = choice["finish_reason"]


def _add_calls(calls: list[dict[str, Any]], deltas: Iterable[Mapping[str, Any]]) -> None:
    for delta in deltas:
        if delta["index"] == len(calls):
            calls.append({"id": delta["id"], "type": delta["type"], "name": delta["function"]["name"], "arguments": ""})
            if "extra_content" in delta:
                calls[-1]["extra_content"] = delta["extra_content"]
        calls[delta["index"]]["arguments"] += delta["function"]["arguments"]
