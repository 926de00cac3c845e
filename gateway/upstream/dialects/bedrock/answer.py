"""What Converse answers: the shape of its bytes, and what they are in chat's terms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.core.errors import Broken
from gateway.upstream.dialects.chunks import counted

FINISHED = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
"""Chat's finish_reason for each stopReason that is the end of an answer."""
INVALID = frozenset({"malformed_model_output", "malformed_tool_use"})
"""Ends of an answer that went wrong, for which chat has no word."""
NOTHING = msgspec.Raw(b"null")


class Usage(msgspec.Struct, rename="camel"):
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None


class Source(msgspec.Struct):
    bytes: str = ""


class Image(msgspec.Struct):
    format: str = ""
    source: Source | None = None


class Start(msgspec.Struct, rename="camel"):
    tool_use: ToolUse | None = None
    image: Image | None = None


class ReasoningText(msgspec.Struct):
    text: str = ""
    signature: str | None = None


class Reasoning(msgspec.Struct, rename="camel"):
    """Of a delta: `text`, `signature`; of a block: `reasoning_text`; of both: `redacted_content`."""

    text: str | None = None
    signature: str | None = None
    reasoning_text: ReasoningText | None = None
    redacted_content: str | None = None


class ToolUse(msgspec.Struct, rename="camel"):
    """`input` is text in a delta, and an object in a block."""

    tool_use_id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"")


class Cited(msgspec.Struct):
    text: str = ""


class Citations(msgspec.Struct):
    content: list[Cited] | None = None


class Block(msgspec.Struct, rename="camel"):
    """A block of a whole answer, or a delta of one."""

    text: str | None = None
    tool_use: ToolUse | None = None
    reasoning_content: Reasoning | None = None
    citations_content: Citations | None = None
    image: Image | None = None


class Event(msgspec.Struct, rename="camel"):
    """The payload of every kind of event of a stream."""

    content_block_index: int = 0
    start: Start | None = None
    delta: Block | None = None
    stop_reason: str | None = None
    usage: msgspec.Raw = NOTHING


class Message(msgspec.Struct):
    content: list[Block] | None = None


class Output(msgspec.Struct):
    message: Message | None = None


class Answer(msgspec.Struct, rename="camel"):
    """A whole answer."""

    output: Output | None = None
    stop_reason: str | None = None
    usage: msgspec.Raw = NOTHING


decode_event = msgspec.json.Decoder(Event).decode
decode = msgspec.json.Decoder(Answer).decode
_decode_usage = msgspec.json.Decoder(Usage | None).decode


def message(blocks: Iterable[Block]) -> dict[str, Any]:
    """A chat message of the blocks of a whole answer."""
    texts: list[str] = []
    thinking: list[dict[str, str]] = []
    calls: list[dict[str, Any]] = []
    images: list[dict[str, Any]] = []
    for block in blocks:
        texts += _texts(block)
        if (use := block.tool_use) is not None:
            function = {"name": use.name, "arguments": _arguments(use)}
            calls.append({"id": use.tool_use_id, "type": "function", "function": function})
        if block.reasoning_content is not None:
            thinking += thinking_blocks(block.reasoning_content)
        if block.image is not None:
            images.append(image(block.image.format, block.image.source))
    thought = "".join([each.get("thinking", "") for each in thinking])
    more = {"reasoning_content": thought, "thinking_blocks": thinking, "tool_calls": calls, "images": images}
    told = {"role": "assistant", "content": "".join(texts) or None, "refusal": None}
    return told | {name: value for name, value in more.items() if value}


def _arguments(use: ToolUse) -> str:
    try:
        return bytes(use.input).decode() or "{}"
    except UnicodeDecodeError:
        raise Broken("the arguments of a tool call are not text", code="upstream_invalid_tool_call") from None


def _texts(block: Block) -> list[str]:
    """Also what is said with a reference to a document."""
    cited = block.citations_content.content if block.citations_content is not None else None
    return [block.text] if block.text else [each.text for each in cited or ()]


def thinking_blocks(reasoning: Reasoning) -> list[dict[str, str]]:
    """As Anthropic writes them."""
    if reasoning.redacted_content:
        return [{"type": "redacted_thinking", "data": reasoning.redacted_content}]
    if (said := reasoning.reasoning_text) is None:
        return []
    signed = {"signature": said.signature} if said.signature else {}
    return [{"type": "thinking", "thinking": said.text, **signed}]


def image(form: str, source: Source | None) -> dict[str, Any]:
    url = f"data:image/{form};base64,{source.bytes if source else ''}"
    return {"type": "image_url", "image_url": {"url": url}}


def usage(raw: msgspec.Raw) -> dict[str, Any] | None:
    """Amazon counts what was read from or written to its cache beside the input. None for what cannot be read."""
    try:
        told = _decode_usage(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if told is None:
        return None
    cached, written = told.cache_read_input_tokens or 0, told.cache_write_input_tokens or 0
    return counted(prompt=told.input_tokens + cached + written, made=told.output_tokens, cached=cached, written=written)
