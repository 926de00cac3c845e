"""Answers that are passed on as they come: audio, transcripts as text, and streams of events that are no chat's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from gateway.core.call import TEXT, Call, Operation
from gateway.core.errors import Broken, Unavailable, UpstreamError
from gateway.core.said import Said
from gateway.core.usage import Usage
from gateway.upstream.dialects import sse
from gateway.upstream.dialects.openai.media_usage import media_usage

_AS_TEXT = frozenset({"text", "srt", "vtt"})
_PASSED_ON = re.compile(r"(?:audio/|image/|text/plain|text/vtt|text/event-stream|application/(?:json|x-subrip))[!-~ ]*")
_LAST = (".done", ".completed")
_LARGEST_EVENT = 16 * 1024 * 1024  # an image, in base64
_MOST_KEPT = 1024 * 1024


def is_relayed(call: Call) -> bool:
    """Whether the answer to a call is passed on as it comes, rather than read as a JSON document or as chat's chunks."""
    if call.operation in TEXT:
        return False
    if call.stream or call.operation is Operation.SPEECH:
        return True
    form = call.fields.get("response_format")
    return isinstance(form, str) and form in _AS_TEXT


class RelayedAnswer:
    """Read like a StreamedAnswer. Events are given whole; a stream of them is complete once its last one has come."""

    __slots__ = (
        "_call",
        "_is_last_seen",
        "_kept",
        "_splitter",
        "_told",
        "content_type",
        "failure",
        "is_done",
        "started",
    )

    usage_sent: Mapping[str, Any] | None = None

    def __init__(self, call: Call, content_type: str) -> None:
        self._call = call
        self.content_type = content_type if _PASSED_ON.fullmatch(content_type) else "application/octet-stream"
        self._splitter = sse.Splitter(limit=_LARGEST_EVENT) if content_type.startswith("text/event-stream") else None
        self._kept = bytearray() if content_type.startswith("application/json") else None
        self._told: Mapping[str, Any] = {}
        self._is_last_seen = False
        self.failure: UpstreamError | None = None
        self.is_done = False
        self.started = False

    @property
    def usage(self) -> Usage:
        return media_usage(self._call, self._told)

    @property
    def is_complete(self) -> bool:
        return self._is_last_seen

    @property
    def said(self) -> Said:
        return Said(None, None)

    def feed(self, data: bytes) -> bytes:
        """What came before an error is still given; the error itself is then found in `failure`."""
        return b"".join(self.each(data))

    def each(self, data: bytes) -> Iterator[bytes]:
        if self._splitter is None:
            self.started = True
            if self._kept is not None and len(self._kept) < _MOST_KEPT:
                self._kept += data
            yield data
            return
        try:
            for event in sse.events(self._splitter.feed(data)):
                self._read(event)
                yield event
        except UpstreamError as error:
            self.failure = error

    def end(self) -> bytes:
        """The provider has closed the stream. Raises Broken unless the answer is complete."""
        rest = b"" if self._splitter is None else self._splitter.end()
        if self._splitter is None:
            self._is_last_seen = self.started
            self._told = _object(bytes(self._kept or b""))
        elif rest.strip():
            self._read(rest)
            rest = rest.rstrip(b"\r\n") + b"\n\n"
        if not self._is_last_seen:
            raise Broken("the provider's answer was cut off")
        return rest

    def cut(self) -> bytes:
        return b""

    def ending(self, cost: int | None, usage: Usage) -> bytes:
        return b""

    def produced(self) -> list[str]:
        return []

    def produced_length(self) -> int:
        return 0

    def fresh_text(self) -> str:
        return ""

    def _read(self, event: bytes) -> None:
        """Raises UpstreamError for an event that reports an error."""
        data = sse.data_of(event)
        if data is None or data == b"[DONE]":
            return
        told = _object(data)
        if told.get("error") or told.get("type") == "error":
            text = "the provider reported an error"
            raise Broken(text, code="upstream_error") if self.started else Unavailable(text)
        self.started = True
        if str(told.get("type", "")).endswith(_LAST):
            self._is_last_seen = True
            self._told = told


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
