"""Spans as OTLP's protobuf bytes, written directly: the SDK's span objects and messages cost ten times as much per call.

What comes out is what the SDK's own encoder makes of the same spans (tests/trace/spans/test_otlp.py holds the two together).
Attributes that come again and again are encoded once and kept.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.trace.spans.limits import SpanLimits
from gateway.trace.spans.span import Common, Event, Kind, Span, Trace, Value

_KEPT = 20_000
"""Encoded attributes kept."""
_LONGEST = 96
"""Characters of a text that is worth keeping."""
_TIMES = struct.Struct("<BQBQ")
_TIME = struct.Struct("<BQ")
_DOUBLE = struct.Struct("<Bd")
_ERROR = b"\x18\x02"
_FLAGS_KNOWN, _FLAGS_REMOTE = b"\x85\x01\x00\x01\x00\x00", b"\x85\x01\x00\x03\x00\x00"
_LINK_FLAGS = b"\x35\x00\x03\x00\x00"
_SMALL = [bytes((number,)) for number in range(128)]
_KINDS = {kind: b"\x30" + bytes((kind,)) for kind in Kind}
_TRUE, _FALSE = b"\x12\x02\x10\x01", b"\x12\x02\x10\x00"

SCOPE, UPSTREAM_SCOPE = "llmgw", "llmgw.upstream"


class Encoder:
    def __init__(self, limits: SpanLimits) -> None:
        self._limits = limits
        self._pairs: dict[tuple[str, str], bytes] = {}
        self._keys: dict[str, bytes] = {}
        self._names: dict[str, bytes] = {}

    def resource(self, attributes: Mapping[str, Any]) -> bytes:
        """A Resource message."""
        return b"".join([b"\x0a" + self._pair(name, value) for name, value in attributes.items()])

    def encode(self, trace: Trace) -> tuple[bytes, bytes]:
        """The spans as fields of a ScopeSpans message: ours, and those of attempts."""
        head = b"\x0a\x10" + bytes.fromhex(trace.trace_id)
        ours: list[bytes] = []
        attempts: list[bytes] = []
        state = _field(b"\x1a", trace.state.encode()) if trace.state else b""
        for span in trace.spans:
            body = self._span(span, head, state)
            (attempts if span.kind is Kind.CLIENT else ours).append(b"\x12" + varint(len(body)) + body)
        return b"".join(ours), b"".join(attempts)

    def _span(self, span: Span, head: bytes, state: bytes) -> bytes:
        parts = [head, b"\x12\x08" + bytes.fromhex(span.span_id), state]
        if span.parent_span_id is not None:
            parts.append(b"\x22\x08" + bytes.fromhex(span.parent_span_id))
        name = self._names.get(span.name)
        if name is None:
            name = _field(b"\x2a", span.name.encode("utf-8", "replace"))
            if len(self._names) < _KEPT:
                self._names[span.name] = name
        parts += (name, _KINDS[span.kind], _TIMES.pack(0x39, span.begin, 0x41, span.end))
        count, most = len(span.common.values) + len(span.own), self._limits.attributes
        if count > most:
            self._attributes(dict(list(span.attributes.items())[:most]), b"\x4a", parts)
            parts.append(b"\x50" + varint(count - most))
        else:
            parts.append(span.common.encoded or self._common(span.common))
            self._attributes(span.own, b"\x4a", parts)
        if span.events:
            self._events(span.events, parts)
        if span.link is not None:
            parts.append(_link(*span.link) if self._limits.links else b"\x70\x01")
        if span.error is not None:
            parts.append(_field(b"\x7a", _field(b"\x12", span.error.encode("utf-8", "replace")) + _ERROR))
        else:
            parts.append(b"\x7a\x00")
        parts.append(_FLAGS_REMOTE if span.is_parent_remote else _FLAGS_KNOWN)
        return b"".join(parts)

    def _common(self, common: Common) -> bytes:
        parts: list[bytes] = []
        self._attributes(common.values, b"\x4a", parts)
        common.encoded = b"".join(parts)
        return common.encoded

    def _events(self, events: Sequence[Event], parts: list[bytes]) -> None:
        """The latest, as the SDK has it."""
        too_many = max(0, len(events) - self._limits.events)
        for event in events[too_many:]:
            parts.append(_field(b"\x5a", self._event(event)))
        if too_many:
            parts.append(b"\x60" + varint(too_many))

    def _event(self, event: Event) -> bytes:
        parts = [_TIME.pack(0x09, event.at), _field(b"\x12", event.name.encode())]
        most, length = self._limits.event_attributes, self._limits.event_length
        for key, value in list(event.attributes.items())[:most]:
            if _has_otlp(value):
                parts.append(b"\x1a" + _pair(_field(b"\x0a", key.encode()), value, length))
        if len(event.attributes) > most:
            parts.append(b"\x20" + varint(len(event.attributes) - most))
        return b"".join(parts)

    def _attributes(self, attributes: Mapping[str, Value], tag: bytes, parts: list[bytes]) -> None:
        for key, value in attributes.items():
            if type(value) is int and not _has_otlp(value):
                continue
            pair = self._pairs.get((key, value)) if type(value) is str else None
            if pair is None:
                pair = self._pair(key, value)
            parts.append(tag)
            parts.append(pair)

    def _pair(self, key: str, value: Value) -> bytes:
        """A KeyValue message with its length."""
        name = self._keys.get(key)
        if name is None:
            name = self._keys[key] = _field(b"\x0a", key.encode())
        pair = _pair(name, value, self._limits.length)
        if type(value) is str and len(value) <= _LONGEST:
            if len(self._pairs) >= _KEPT:
                self._pairs.clear()
            self._pairs[key, value] = pair
        return pair


def scoped(scope: str, version: str, schema: str, spans: Sequence[bytes]) -> bytes:
    """A ScopeSpans field of a ResourceSpans message, from what `encode` gave."""
    about = _field(b"\x0a", _field(b"\x0a", scope.encode()) + _field(b"\x12", version.encode()))
    return _field(b"\x12", b"".join([about, *spans, _field(b"\x1a", schema.encode())]))


def request(resource: bytes, scopes: Sequence[bytes]) -> bytes:
    """An ExportTraceServiceRequest. `resource` is a serialised Resource message."""
    return _field(b"\x0a", b"".join([_field(b"\x0a", resource), *scopes]))


def varint(number: int) -> bytes:
    if number < 128:
        return _SMALL[number]
    parts = bytearray()
    while number >= 128:
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _field(tag: bytes, body: bytes) -> bytes:
    return tag + varint(len(body)) + body


def _link(trace_id: str, span_id: str) -> bytes:
    ids = b"\x0a\x10" + bytes.fromhex(trace_id) + b"\x12\x08" + bytes.fromhex(span_id)
    return _field(b"\x6a", ids + _LINK_FLAGS)


def _has_otlp(value: Value) -> bool:
    """Whether there is such a number; the SDK leaves out others, too."""
    return type(value) is not int or -(2**63) <= value < 2**63


def _pair(name: bytes, value: Value, length: int | None) -> bytes:
    """A KeyValue message with its length, from its key's field; `length` is how many characters a text has at most."""
    body = name + _value(value, length)
    return varint(len(body)) + body


def _value(value: Value, length: int | None) -> bytes:
    if type(value) is int:
        coded = varint(value & 0xFFFFFFFFFFFFFFFF)
        return b"\x12" + varint(len(coded) + 1) + b"\x18" + coded
    if type(value) is float:
        return b"\x12\x09" + _DOUBLE.pack(0x21, value)
    if value is True or value is False:
        return _TRUE if value else _FALSE
    if isinstance(value, str):
        return _field(b"\x12", _field(b"\x0a", _text(value, length)))
    assert isinstance(value, Sequence)
    texts = b"".join([_field(b"\x0a", _field(b"\x0a", _text(str(each), length))) for each in value])
    return _field(b"\x12", _field(b"\x2a", texts))


def _text(text: str, length: int | None) -> bytes:
    return text[:length].encode("utf-8", "replace")
