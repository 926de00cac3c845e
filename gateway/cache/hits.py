"""Answers that were kept, to be read like any other and costing nothing."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any

import orjson

from gateway.cache.render import DONE, fresh_events, fresh_json
from gateway.core.arrival import Native
from gateway.core.attempt import Attempt
from gateway.core.call import Call, Operation
from gateway.core.claim import Stored
from gateway.core.deployment import Deployment, Provider
from gateway.core.money import FREE
from gateway.core.said import Said, text_or_none
from gateway.core.usage import Usage

JSON = "application/json"
STREAM = "text/event-stream; charset=utf-8"
PIECE = 64 * 1024
"""Bytes of a stream that are sent together, and the most, about, that waits for a client that does not read."""
_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")


class Hit:
    """What a flow needs of an Answer. Nothing is open, nothing is billed, and so nothing is ever cut."""

    usage: Usage | None = Usage(0, 0)
    is_complete = True
    said: Said | None = None
    produced_share = 1.0
    deployment = Deployment(name="", provider=Provider("", ""), upstream_model="", price=FREE)
    attempt: Attempt | None = None
    headers: Mapping[bytes, bytes] = {}
    usage_sent: Mapping[str, Any] | None = None
    native: Native | None = None
    content_type = JSON
    is_stream = False

    def produced(self) -> list[str]:
        return []

    def close(self) -> None:
        """Nothing is open."""

    def produced_length(self) -> int:
        return 0

    def fresh_text(self) -> str:
        return ""

    def cut(self) -> bytes:
        return b""

    def ending(self, cost: int | None, usage: Usage) -> bytes:
        return b""

    async def chunks(self, *, single: bool = False) -> AsyncIterator[bytes]:
        return
        yield b""

    async def __aenter__(self) -> Hit:
        return self

    async def __aexit__(self, *exit: object) -> None:
        """Nothing is open."""


class Replayed(Hit):
    """The bytes that the first call with this Idempotency-Key was answered with."""

    def __init__(self, stored: Stored) -> None:
        self._body = stored.body
        self.content_type = dict(stored.headers).get("content-type", JSON)
        self.is_stream = self.content_type.startswith("text/event-stream")

    async def chunks(self, *, single: bool = False) -> AsyncIterator[bytes]:
        yield self._body


class Rendered(Hit):
    """A kept document in the form that the call asks for, with an id and a time of its own.

    `pace`: characters per second at which a stream goes out; None: at once.
    """

    def __init__(self, document: bytes, call: Call, *, now: float, pace: float | None = None) -> None:
        """`now`: UTC seconds."""
        self._document = document
        self._call = call
        self._pace = pace
        self.id = ("cmpl-" if call.operation is Operation.COMPLETION else "chatcmpl-") + secrets.token_hex(12)
        self.created = int(now)
        self.is_stream = call.stream
        self.content_type = STREAM if call.stream else JSON

    @property
    def said(self) -> Said:  # type: ignore[override]
        whole = orjson.loads(self._document)
        reasons = (text_or_none(choice.get("finish_reason")) for choice in whole.get("choices") or ())
        return Said(self.id, text_or_none(whole.get("model")), tuple(filter(None, reasons)))

    def produced(self) -> list[str]:
        return ["".join(_texts(choice)) for choice in orjson.loads(self._document).get("choices") or ()]

    async def chunks(self, *, single: bool = False) -> AsyncIterator[bytes]:
        if self._call.operation is Operation.EMBEDDINGS:
            yield self._document  # which has no id
            return
        if not self.is_stream:
            yield fresh_json(self._document, id=self.id, created=self.created)
            return
        events = fresh_events(self._document, id=self.id, created=self.created, wants_usage=self._call.wants_usage)
        before_end = (event for event in events if event is not DONE)
        if self._pace is None:
            for some in together(before_end):
                yield b"".join(some)
            return
        for event in before_end:
            yield event
            await asyncio.sleep(_length(event) / self._pace)

    def ending(self, cost: int | None, usage: Usage) -> bytes:
        return DONE if self.is_stream else b""


def together(chunks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The chunks in batches of about PIECE bytes."""
    batch: list[bytes] = []
    size = 0
    for chunk in chunks:
        batch.append(chunk)
        size += len(chunk)
        if size >= PIECE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _texts(choice: Mapping[str, Any]) -> list[str]:
    message = choice.get("message")
    if not isinstance(message, dict):
        return [choice["text"]] if isinstance(choice.get("text"), str) else []
    return [message[name] for name in _TEXTS if isinstance(message.get(name), str)]


def _length(event: bytes) -> int:
    """Characters of text in one event."""
    return sum(
        len(text)
        for choice in orjson.loads(event[6:])["choices"]
        for text in _texts({"message": choice.get("delta"), **choice})
    )
