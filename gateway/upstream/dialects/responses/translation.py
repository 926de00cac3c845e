"""A response, event by event, in chat's chunks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jiter
import msgspec
import orjson

from gateway.core.errors import Broken
from gateway.upstream.dialects import sse
from gateway.upstream.dialects.responses.completion import annotations_of, called, completion, finish_reason
from gateway.upstream.dialects.responses.heard import Event, Heard, response_of
from gateway.upstream.dialects.responses.usage import chat_usage

_ERROR = b'data: {"error":{"message":"the provider reported an error"}}\n\n'
_DONE = b"data: [DONE]\n\n"
_WARM = b": \n\n"
_LATEST = 2**53  # UTC seconds that every reader of JSON can tell
_decode = msgspec.json.Decoder(Event).decode


class ResponsesTranslation:
    """Implements `dialects.dialect.Translation`. `created` is when, for a provider that does not say it: UTC seconds."""

    __slots__ = ("_began", "_calls", "_has_ended", "_head", "_heard", "_is_begun", "_splitter", "_spoken")

    def __init__(self, created: int = 0) -> None:
        self._began = created
        self._splitter = sse.Splitter(limit=sse.MAX_DOCUMENT)
        self._heard = Heard()
        self._head = _head({}, created)
        self._calls: dict[int, int] = {}
        self._spoken: set[int] = set()
        self._is_begun = False
        self._has_ended = False

    def feed(self, data: bytes) -> bytes:
        return b"".join([self._event(event) for event in sse.events(self._splitter.feed(data))])

    def end(self) -> bytes:
        """An event that lacks its blank line is complete only if its data is."""
        rest = self._splitter.end().rstrip(b"\r\n")
        data = sse.data_of(rest)
        return self._event(rest) if data is not None and _is_json(data) else b""

    def whole(self, body: bytes) -> bytes:
        try:
            response = jiter.from_json(body, allow_inf_nan=False, cache_mode="keys")
        except ValueError:
            return body
        is_response = isinstance(response, dict) and "output" in response
        return msgspec.json.encode(completion(response, self._began)) if is_response else body

    def unfinished(self, body: bytes) -> bytes:
        try:
            response = jiter.from_json(body, partial_mode="trailing-strings")
        except ValueError:
            return b"{}"
        return msgspec.json.encode(completion(response, self._began)) if isinstance(response, dict) else b"{}"

    def closing(self) -> bytes:
        """Before the last event, which is the one that was too much and is not delivered."""
        return b"" if self._has_ended else self._heard.closing()

    def _event(self, event: bytes) -> bytes:
        data = sse.data_of(event)
        if data is None or not data.strip():
            return _WARM
        if data == b"[DONE]" or self._has_ended:
            return b""
        try:
            told = _decode(data)
            self._heard.hear(told)
            handler = _HANDLERS.get(told.type)
            return b"" if handler is None else handler(self, told)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Broken(
                "the provider sent an event that is not its dialect's", code="upstream_protocol_error"
            ) from None

    def _created(self, event: Event) -> bytes:
        self._head = _head(response_of(event), self._began)
        return b""

    def _content(self, event: Event) -> bytes:
        return self._text(event, "content")

    def _refusal(self, event: Event) -> bytes:
        return self._text(event, "refusal")

    def _reasoning(self, event: Event) -> bytes:
        return self._text(event, "reasoning_content", reasoning_item_id=event.item_id)

    def _reasoning_part(self, event: Event) -> bytes:
        """Parts of a summary are paragraphs."""
        if event.summary_index == 0:
            return b""
        return self._chunk({"reasoning_content": "\n\n", "reasoning_item_id": event.item_id})

    def _arguments(self, event: Event) -> bytes:
        return self._call_text(event, "function", "arguments")

    def _input(self, event: Event) -> bytes:
        return self._call_text(event, "custom", "input")

    def _text(self, event: Event, name: str, **beside: Any) -> bytes:
        if not isinstance(event.delta, str) or not event.delta:
            return b""
        self._spoken.add(event.output_index)
        return self._chunk({name: event.delta, **beside}, event.logprobs)

    def _call_text(self, event: Event, kind: str, member: str) -> bytes:
        if not isinstance(event.delta, str) or not event.delta:
            return b""
        self._spoken.add(event.output_index)
        return self._chunk({"tool_calls": [{"index": self._call(event), kind: {member: event.delta}}]})

    def _begun(self, event: Event) -> bytes:
        call = called(event.item or {})
        return b"" if call is None else self._chunk({"tool_calls": [{"index": self._call(event), **call}]})

    def _done(self, event: Event) -> bytes:
        """What only a whole item tells, and all of it where it was told no sooner."""
        item = event.item or {}
        if item.get("type") == "reasoning":
            return self._chunk({"reasoning_items": [item]})
        call = called(item)
        return self._message(event, item) if call is None else self._whole_call(event, call)

    def _whole_call(self, event: Event, call: dict[str, Any]) -> bytes:
        if event.output_index not in self._calls:
            return self._chunk({"tool_calls": [{"index": self._call(event), **call}]})
        if event.output_index in self._spoken:
            return b""
        kind = call["type"]
        inner = {name: value for name, value in call[kind].items() if name != "name"}
        return self._chunk({"tool_calls": [{"index": self._call(event), kind: inner}]})

    def _message(self, event: Event, item: dict[str, Any]) -> bytes:
        parts = item.get("content") if item.get("type") == "message" else None
        told = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
        chunks = []
        for part in told if event.output_index not in self._spoken else ():
            for member, name in (("text", "content"), ("refusal", "refusal")):
                if isinstance(part.get(member), str) and part[member]:
                    chunks.append(self._chunk({name: part[member]}))
        if notes := [note for part in told for note in annotations_of(part)]:
            chunks.append(self._chunk({"annotations": notes}))
        return b"".join(chunks)

    def _failed(self, event: Event) -> bytes:
        """The provider's words are for no client."""
        self._has_ended = True
        return _ERROR

    def _ended(self, event: Event) -> bytes:
        self._has_ended = True
        response = response_of(event)
        reason = finish_reason(response, calls=bool(self._calls))
        if reason is None:
            return _ERROR
        told = self._chunk({}, reason=reason)
        usage = chat_usage(response)
        if usage is not None:
            told += b'%b"choices":[],"usage":%b}\n\n' % (self._head, msgspec.json.encode(usage))
        return told + _DONE

    def _call(self, event: Event) -> int:
        """The index of a call among the calls."""
        return self._calls.setdefault(event.output_index, len(self._calls))

    def _chunk(self, delta: dict[str, Any], logprobs: list[Any] | None = None, *, reason: str | None = None) -> bytes:
        if not self._is_begun:
            self._is_begun, delta = True, {"role": "assistant", **delta}
        told = b',"logprobs":{"content":%b}' % msgspec.json.encode(logprobs) if logprobs else b""
        end = (msgspec.json.encode(delta), told, msgspec.json.encode(reason))
        return self._head + b'"choices":[{"index":0,"delta":%b%b,"finish_reason":%b}]}\n\n' % end


_HANDLERS: Mapping[str, Callable[[ResponsesTranslation, Event], bytes]] = {
    "response.created": ResponsesTranslation._created,
    "response.output_item.added": ResponsesTranslation._begun,
    "response.output_text.delta": ResponsesTranslation._content,
    "response.refusal.delta": ResponsesTranslation._refusal,
    "response.reasoning_summary_part.added": ResponsesTranslation._reasoning_part,
    "response.reasoning_summary_text.delta": ResponsesTranslation._reasoning,
    "response.reasoning_text.delta": ResponsesTranslation._reasoning,
    "response.function_call_arguments.delta": ResponsesTranslation._arguments,
    "response.custom_tool_call_input.delta": ResponsesTranslation._input,
    "response.output_item.done": ResponsesTranslation._done,
    "response.completed": ResponsesTranslation._ended,
    "response.incomplete": ResponsesTranslation._ended,
    "response.failed": ResponsesTranslation._failed,
    "response.cancelled": ResponsesTranslation._failed,
    "error": ResponsesTranslation._failed,
}
"""By the type of an event; all others tell nothing that a chat has a word for."""


def _head(response: dict[str, Any], began: int) -> bytes:
    """How every chunk begins."""
    created = response.get("created_at")
    told = {
        "id": response.get("id") or "resp",
        "object": "chat.completion.chunk",
        "created": int(created) if isinstance(created, int | float) and 0 <= created < _LATEST else began,
        "model": response.get("model") or "",
    }
    return b"data: %b," % msgspec.json.encode(told)[:-1]


def _is_json(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True
