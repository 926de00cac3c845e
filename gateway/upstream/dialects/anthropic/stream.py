"""A streamed message, event by event, as the chunks of a chat completion.

A content block becomes deltas of the one choice: text its content, thinking its reasoning_content and, at the block's end, one of
its thinking_blocks; a tool's use one of its tool_calls. Blocks of tools that the provider runs by itself have no word in chat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson

from gateway.upstream.dialects import sse
from gateway.upstream.dialects.anthropic.citation import annotation
from gateway.upstream.dialects.anthropic.ending import finish_reason
from gateway.upstream.dialects.anthropic.usage import chat_usage
from gateway.upstream.dialects.anthropic.whole import completion, completion_begun

_DONE = b"data: [DONE]\n\n"
_ERROR = b'data: {"error":{"message":"the provider reported an error"}}\n\n'
_NO_CHUNK = b"data: {}\n\n"
_WARM = b": ping\n\n"
_NOTHING = msgspec.Raw()


class _Delta(msgspec.Struct):
    type: str = ""
    text: msgspec.Raw = _NOTHING
    partial_json: msgspec.Raw = _NOTHING
    thinking: msgspec.Raw = _NOTHING
    signature: str = ""
    citation: Any = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _Message(msgspec.Struct):
    id: str = ""
    model: str = ""
    usage: dict[str, Any] | None = None


class _Event(msgspec.Struct):
    type: str
    index: int = 0
    delta: _Delta | None = None
    content_block: dict[str, Any] | None = None
    message: _Message | None = None
    usage: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(_Event).decode
_text = msgspec.json.Decoder(str).decode


@dataclass(slots=True)
class _Block:
    """`tool` is its place among the answer's tool calls; `input` what a tool's use was begun with, `is_fed`: more has come.
    The `kind` of one that has ended is "".
    """

    kind: str
    tool: int = 0
    input: Any = None
    thinking: list[str] = field(default_factory=list)
    signature: str = ""
    is_fed: bool = False


class Translated:
    """Implements `dialects.dialect.Translation`."""

    __slots__ = (
        "_annotations",
        "_blocks",
        "_created",
        "_is_finished",
        "_is_over",
        "_prefix",
        "_splitter",
        "_thoughts",
        "_tools",
        "_usage",
    )

    def __init__(self, *, created: int) -> None:
        """`created`: UTC seconds, for the chunks."""
        self._created = created
        self._splitter = sse.Splitter()
        self._blocks: dict[int, _Block] = {}
        self._usage: dict[str, Any] = {}
        self._prefix = b""
        self._tools = self._thoughts = self._annotations = 0
        self._is_finished = self._is_over = False

    def feed(self, data: bytes) -> bytes:
        block = self._splitter.feed(data)
        if not block:
            return b""
        return b"".join([self._told(event) for event in sse.events(block)])

    def end(self) -> bytes:
        rest = self._splitter.end().rstrip(b"\r\n")
        return self._told(rest + b"\n\n") if _is_whole(rest) else b""

    def whole(self, body: bytes) -> bytes:
        return completion(body, created=self._created)

    def unfinished(self, body: bytes) -> bytes:
        return completion_begun(body, created=self._created)

    def closing(self) -> bytes:
        if self._is_over or not self._prefix:
            return b""
        events: list[tuple[str, dict[str, Any]]] = [
            ("content_block_stop", {"index": index}) for index, block in self._blocks.items() if block.kind
        ]
        if not self._is_finished:
            delta = {"stop_reason": "max_tokens", "stop_sequence": None}
            counted = self._usage.get("output_tokens", 0)
            events.append(("message_delta", {"delta": delta, "usage": {"output_tokens": counted}}))
        events.append(("message_stop", {}))
        return b"".join(
            [
                b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode({"type": kind, **rest}))
                for kind, rest in events
            ]
        )

    def _told(self, event: bytes) -> bytes:
        """One event as chunks. What is no event of a message becomes no chunk of an answer, and is judged as such."""
        data = sse.data_of(event)
        if self._is_over:
            return b""
        if data is None or not data.strip():
            return event if data is None else _WARM
        try:
            told = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _NO_CHUNK
        if told.type in _BESIDE:
            return _BESIDE[told.type]
        read = _READERS.get(told.type)
        if read is None:
            return b""  # there may be further kinds of events one day
        return read(self, told) if self._prefix or told.type == "message_start" else _NO_CHUNK

    def _start(self, told: _Event) -> bytes:
        message = told.message
        if self._prefix or message is None:
            return _NO_CHUNK
        head = {"id": message.id, "object": "chat.completion.chunk", "created": self._created, "model": message.model}
        self._prefix = b'data: %b,"choices":[{"index":0,"delta":' % msgspec.json.encode(head)[:-1]
        self._usage = message.usage or {}
        return self._chunk(b'{"role":"assistant","content":""}') + self._counted()

    def _delta(self, told: _Event) -> bytes:
        delta, block = told.delta, self._blocks.get(told.index)
        if delta is None or block is None or not block.kind:
            return _NO_CHUNK
        read = _DELTAS.get((delta.type, block.kind))
        if read is None:
            return self._cited(delta.citation) if delta.type == "citations_delta" else b""
        return read(self, block, delta)

    def _said(self, block: _Block, delta: _Delta) -> bytes:
        return self._chunk(b'{"content":%b}' % delta.text) if delta.text else _NO_CHUNK

    def _signed(self, block: _Block, delta: _Delta) -> bytes:
        block.signature += delta.signature
        return b""

    def _arguments(self, block: _Block, delta: _Delta) -> bytes:
        json = delta.partial_json
        if not json or bytes(json) == b'""':
            return b""
        block.is_fed = True
        return self._chunk(b'{"tool_calls":[{"index":%d,"function":{"arguments":%b}}]}' % (block.tool, json))

    def _thinking(self, block: _Block, delta: _Delta) -> bytes:
        try:
            block.thinking.append(_text(delta.thinking))
        except msgspec.DecodeError:
            return _NO_CHUNK
        return self._chunk(b'{"reasoning_content":%b}' % delta.thinking)

    def _cited(self, citation: Any) -> bytes:
        note = annotation(citation)
        if note is None:
            return b""
        self._annotations += 1
        return self._chunk(orjson.dumps({"annotations": [{"index": self._annotations - 1, **note}]}))

    def _block_start(self, told: _Event) -> bytes:
        index, content = told.index, told.content_block or {}
        kind = content.get("type")
        if not isinstance(kind, str) or index in self._blocks:
            return _NO_CHUNK
        block = self._blocks[index] = _Block(kind)
        match kind:
            case "text":
                text = content.get("text")
                return self._chunk(orjson.dumps({"content": text})) if isinstance(text, str) and text else b""
            case "thinking":
                text, block.signature = _string(content.get("thinking")), _string(content.get("signature"))
                block.thinking.append(text)
                return self._chunk(orjson.dumps({"reasoning_content": text})) if text else b""
            case "redacted_thinking":
                return self._thought({"type": kind, "data": content.get("data")})
            case "tool_use":
                block.tool, block.input = self._tools, content.get("input")
                self._tools += 1
                function = {"name": content.get("name"), "arguments": ""}
                tool = {"index": block.tool, "id": content.get("id"), "type": "function", "function": function}
                return self._chunk(msgspec.json.encode({"tool_calls": [tool]}))
            case _:
                return b""

    def _block_stop(self, told: _Event) -> bytes:
        block = self._blocks.get(told.index)
        if block is None or not block.kind:
            return _NO_CHUNK
        kind, block.kind = block.kind, ""
        if kind == "thinking":
            return self._thought({"type": kind, "thinking": "".join(block.thinking), "signature": block.signature})
        if kind == "tool_use" and not block.is_fed:  # what it was begun with is all
            text = msgspec.json.encode(block.input or {}).decode()
            return self._chunk(
                msgspec.json.encode({"tool_calls": [{"index": block.tool, "function": {"arguments": text}}]})
            )
        return b""

    def _thought(self, block: dict[str, Any]) -> bytes:
        self._thoughts += 1
        return self._chunk(msgspec.json.encode({"thinking_blocks": [{"index": self._thoughts - 1, **block}]}))

    def _message_delta(self, told: _Event) -> bytes:
        self._usage |= {name: value for name, value in (told.usage or {}).items() if value is not None}
        delta = told.delta
        if delta is None or delta.stop_reason is None or self._is_finished:
            return b""
        self._is_finished = True
        reason = finish_reason(delta.stop_reason)
        stopped = (
            b"" if delta.stop_sequence is None else b',"stop_reason":%b' % msgspec.json.encode(delta.stop_sequence)
        )
        last = b'%b{},"finish_reason":"%b"%b}]}\n\n' % (self._prefix, reason.encode(), stopped)
        return last + self._counted()

    def _counted(self) -> bytes:
        """The count so far: the prompt's is told first, and holds for a stream that is cut."""
        usage = chat_usage(self._usage)
        if usage is None:
            return b""
        head = self._prefix.partition(b',"choices":')[0]
        return b'%b,"choices":[],"usage":%b}\n\n' % (head, msgspec.json.encode(usage))

    def _stop(self, told: _Event) -> bytes:
        self._is_over = True
        return _DONE

    def _chunk(self, delta: bytes) -> bytes:
        return b'%b%b,"finish_reason":null}]}\n\n' % (self._prefix, delta)


_BESIDE = {"ping": _WARM, "error": _ERROR}
_READERS: Mapping[str, Callable[[Translated, _Event], bytes]] = {
    "message_start": Translated._start,
    "content_block_start": Translated._block_start,
    "content_block_delta": Translated._delta,
    "content_block_stop": Translated._block_stop,
    "message_delta": Translated._message_delta,
    "message_stop": Translated._stop,
}
_DELTAS: Mapping[tuple[str, str], Callable[[Translated, _Block, _Delta], bytes]] = {
    ("text_delta", "text"): Translated._said,
    ("input_json_delta", "tool_use"): Translated._arguments,
    ("thinking_delta", "thinking"): Translated._thinking,
    ("signature_delta", "thinking"): Translated._signed,
}
"""By the delta and the block that it belongs to; of other pairs nothing is told, as of tools that the provider runs."""


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _is_whole(event: bytes) -> bool:
    """Whether an event without its blank line is complete all the same."""
    data = sse.data_of(event)
    if data is None:
        return False
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True
