"""What is read of chat's chunks and completions."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.core.errors import Broken


class Function(msgspec.Struct):
    name: Any = None
    arguments: Any = None


class Custom(msgspec.Struct):
    name: Any = None
    input: Any = None


class ToolCall(msgspec.Struct):
    index: Any = None
    id: Any = None
    function: Function | None = None
    custom: Custom | None = None
    extra_content: Any = None


class Delta(msgspec.Struct):
    """Of a message, whole or in part. `reasoning_item_id` is the one of the item that reasoning belongs to, where it has one."""

    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_item_id: Any = None
    reasoning_items: Any = None
    thinking_blocks: Any = None
    refusal: Any = None
    tool_calls: list[ToolCall] | None = None
    annotations: Any = None


class LogProbs(msgspec.Struct):
    content: list[Any] | None = None


class Choice(msgspec.Struct):
    index: int = 0
    finish_reason: Any = None
    delta: Delta | None = None
    message: Delta | None = None
    logprobs: LogProbs | None = None


class Chunk(msgspec.Struct):
    choices: list[Choice] | None = None
    model: Any = None
    usage: Any = None
    service_tier: Any = None
    llmgw: Any = None


_decode = msgspec.json.Decoder(Chunk).decode


def read(data: bytes) -> Chunk:
    """Raises Broken for what is of no shape that a chunk has."""
    try:
        return _decode(data)
    except msgspec.DecodeError:
        raise Broken("the provider's answer has no shape that we know", code="upstream_protocol_error") from None
