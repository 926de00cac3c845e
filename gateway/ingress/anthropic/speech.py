"""A chat's answer in the words of Anthropic's clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.core.arrival import Native
from gateway.core.call import Call
from gateway.core.errors import Broken, GatewayError
from gateway.ingress.anthropic.errors import envelope
from gateway.ingress.anthropic.relayed import Shown
from gateway.ingress.anthropic.whole import message, message_id, stop_reason, usage_of
from gateway.ingress.tool_names import Names
from gateway.upstream.dialects import sse

_BYTES_PER_TOKEN = 4
_NONE = msgspec.Raw()
_EMPTY = (b"", b'""', b"null")
_PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_STOPPED = b'"stopped_by":"budget"'


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: msgspec.Raw = _NONE


class _ToolCall(msgspec.Struct):
    index: int = 0
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    role: str | None = None
    content: msgspec.Raw = _NONE
    refusal: msgspec.Raw = _NONE
    reasoning_content: msgspec.Raw = _NONE
    reasoning: msgspec.Raw = _NONE
    thinking_blocks: list[dict[str, Any]] | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None
    stop_reason: Any = None


class _Chunk(msgspec.Struct):
    id: str | None = None
    model: Any = None
    choices: list[_Choice] | None = None
    usage: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode
_text = msgspec.json.Decoder(str).decode


class AnthropicSpeech:
    """Implements `ingress.reply.Speech`."""

    __slots__ = (
        "_block",
        "_blocks",
        "_guess",
        "_is_cut",
        "_is_started",
        "_late",
        "_model",
        "_names",
        "_native",
        "_request_id",
        "_shown",
        "_stop",
        "_stop_sequence",
        "_told_thoughts",
        "_tool",
        "_usage",
    )

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id
        self._native: Native | None = None
        self._names = Names()
        self._shown = Shown()
        self._model, self._guess = "", 0
        self._is_started = self._is_cut = False
        self._block = ""  # the kind of the one that is open
        self._blocks = 0
        self._tool = -1
        self._late: list[_ToolCall] = []
        self._told_thoughts = 0
        self._stop: str | None = None
        self._stop_sequence: str | None = None
        self._usage: Mapping[str, Any] | None = None

    def asked(self, call: Call, names: Names) -> None:
        self._names = names
        self._model, self._guess = call.model, len(call.body) // _BYTES_PER_TOKEN

    def begin(self, native: Native | None) -> None:
        self._native = native

    def sent(self, chunk: bytes) -> bytes:
        if self._native is None:
            return b"".join([self._event(event) for event in sse.events(chunk)])
        if _STOPPED in chunk:  # what the provider has written since is more than was paid for
            self._is_cut = True
            return b""
        return self._shown.add(self._native.take())

    def ended(self, last: bytes) -> bytes:
        events = [self._event(event) for event in sse.events(last)]
        if self._native is not None:
            counted = None if self._usage is None else usage_of(self._usage)
            return self._shown.closing(counted) if self._is_cut else self._native.take() + self._native.closing()
        return b"".join([*events, self._end()])

    def whole(self, body: bytes) -> bytes:
        return message(msgspec.json.decode(body), self._names) if self._native is None else self._native.take()

    def failed(self, error: GatewayError) -> bytes:
        return envelope(error, self._request_id)

    def broken(self, error: GatewayError) -> bytes:
        return b"event: error\ndata: %b\n\n" % envelope(error, self._request_id)

    def _event(self, event: bytes) -> bytes:
        """One of chat's events as any number of Anthropic's."""
        data = sse.data_of(event)
        if data is None:
            return _PING if event.startswith(b":") and self._is_started else b""
        if data == b"[DONE]" or not data.strip():
            return b""
        try:
            chunk = _decode(data)
        except msgspec.DecodeError:
            text = "the provider's answer has no shape that we know"
            raise Broken(text, code="upstream_protocol_error") from None
        if isinstance(chunk.usage, dict):
            self._usage = chunk.usage
        said = [b"" if self._is_started else self._start(chunk)]
        for choice in chunk.choices or ():
            if choice.index == 0:
                said += self._choice(choice)
        return b"".join(said)

    def _start(self, chunk: _Chunk) -> bytes:
        self._is_started = True
        begun: dict[str, Any] = {
            "id": message_id(chunk.id),
            "type": "message",
            "role": "assistant",
            "model": chunk.model if isinstance(chunk.model, str) and chunk.model else self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": self._guess, "output_tokens": 0},
        }
        return _told("message_start", {"message": begun})

    def _choice(self, choice: _Choice) -> list[bytes]:
        said: list[bytes] = []
        delta = choice.delta
        if delta is not None:
            for thought in (delta.reasoning_content, delta.reasoning):
                if bytes(thought) not in _EMPTY:
                    said.append(self._thinking(thought))
            said += [self._thought(block) for block in delta.thinking_blocks or ()]
            for text in (delta.content, delta.refusal):
                if bytes(text) not in _EMPTY:
                    said.append(self._said(text))
            is_opening = delta.role is not None
            said += [self._called(call, is_opening=is_opening) for call in delta.tool_calls or ()]
        if choice.finish_reason:
            late, self._late = self._late, []
            said += [self._called(call, is_opening=False) for call in late]
            said.append(self._close())
            self._stop = choice.finish_reason
            self._stop_sequence = choice.stop_reason if isinstance(choice.stop_reason, str) else None
        return said

    def _said(self, text: msgspec.Raw) -> bytes:
        if not bytes(text).startswith(b'"'):  # parts, as some servers have it
            parts = msgspec.json.decode(text)
            texts = [str(part.get("text", "")) for part in parts if isinstance(part, dict)]
            text = msgspec.Raw(msgspec.json.encode("".join(texts)))
        opened = b"" if self._block == "text" else self._open("text", {"type": "text", "text": ""})
        return opened + self._delta(b'"text_delta","text":%b' % text)

    def _thinking(self, text: msgspec.Raw) -> bytes:
        if self._told_thoughts:  # an answer that was kept tells its blocks first, and their text again
            self._told_thoughts -= min(self._told_thoughts, len(_text(text)))
            return b""
        opened = b""
        if self._block != "thinking":
            opened = self._open("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        return opened + self._delta(b'"thinking_delta","thinking":%b' % text)

    def _thought(self, block: dict[str, Any]) -> bytes:
        """A block that has come to its end: its text has been told, but for answers that were kept."""
        if block.get("type") != "thinking":
            told = {name: value for name, value in block.items() if name != "index"}
            return self._open(str(block.get("type")), told) + self._close()
        opened, text = b"", block.get("thinking") or ""
        if self._block != "thinking":
            opened = self._open("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            if text:
                opened += self._delta(b'"thinking_delta","thinking":%b' % msgspec.json.encode(text))
                self._told_thoughts += len(text)
        return (
            opened
            + self._delta(b'"signature_delta","signature":%b' % msgspec.json.encode(block.get("signature") or ""))
            + self._close()
        )

    def _called(self, call: _ToolCall, *, is_opening: bool) -> bytes:
        """Blocks follow each other, so that the arguments of one call end where another call begins."""
        function = call.function or _Function()
        arguments = function.arguments
        if is_opening and bytes(arguments) not in _EMPTY:
            self._late.append(call)  # an answer that was kept tells its calls first
            return b""
        opened = b""
        if call.index > self._tool:
            self._tool = call.index
            id = call.id or f"toolu_{self._request_id}_{call.index}"
            name, _ = self._names.of(function.name or "")
            opened = self._open("tool_use", {"type": "tool_use", "id": id, "name": name, "input": {}})
        elif bytes(arguments) not in _EMPTY and (call.index < self._tool or self._block != "tool_use"):
            raise Broken("the provider mixed up the arguments of several tool calls", code="upstream_invalid_tool_call")
        if bytes(arguments) in _EMPTY:
            return opened
        return opened + self._delta(b'"input_json_delta","partial_json":%b' % arguments)

    def _open(self, kind: str, block: Mapping[str, Any]) -> bytes:
        closed = self._close()
        self._block = kind
        return closed + _told("content_block_start", {"index": self._blocks, "content_block": block})

    def _close(self) -> bytes:
        if not self._block:
            return b""
        self._block = ""
        self._blocks += 1
        return _told("content_block_stop", {"index": self._blocks - 1})

    def _delta(self, delta: bytes) -> bytes:
        return (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":%b}}\n\n'
            % (self._blocks, delta)
        )

    def _end(self) -> bytes:
        opened = b"" if self._is_started else self._start(_Chunk())
        delta = {"stop_reason": stop_reason(self._stop, self._stop_sequence), "stop_sequence": self._stop_sequence}
        counted = {"output_tokens": 0} if self._usage is None else usage_of(self._usage)
        ending = _told("message_delta", {"delta": delta, "usage": counted})
        return opened + self._close() + ending + _told("message_stop", {})


def _told(kind: str, members: Mapping[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode({"type": kind, **members}))
