"""A response in its provider's own bytes, of which only a few events are read: how it began, and how it ended."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from gateway.core.arrival import Native
from gateway.upstream.dialects import sse

_STOPPED = b'"stopped_by":"budget"'
_READ = (b"response.created", b"response.completed", b"response.incomplete", b"response.failed")


class Relayed:
    """`response` is the object that ended it; `begun` the one that it began with."""

    def __init__(self, native: Native) -> None:
        self._native = native
        self._last = b""
        self.begun: dict[str, Any] | None = None
        self.response: bytes | None = None

    def sent(self, chunk: bytes = b"") -> bytes:
        """What has come since the last time; where the budget has ended, without the event that was too much."""
        data = self._native.take()
        if _STOPPED in chunk:
            data = b"".join(sse.events(data)[:-1])
        return self._heard(data)

    def ended(self) -> bytes:
        """The rest, and the provider's own ending where it has told none."""
        rest = self.sent()
        return rest + self._heard(self._native.closing())

    def whole(self) -> bytes:
        self.response = self._native.take()
        return self.response

    @property
    def last_number(self) -> int:
        """The sequence number of the last event, -1 before the first."""
        found = _parsed(self._last).get("sequence_number")
        return found if isinstance(found, int) else -1

    def _heard(self, data: bytes) -> bytes:
        if not data:
            return data
        for event in sse.events(data):
            if b'"sequence_number"' in event:
                self._last = event
            if any(name in event for name in _READ):
                self._read(event)
        return data

    def _read(self, event: bytes) -> None:
        told = _parsed(event)
        response = told.get("response")
        if not isinstance(response, dict):
            return
        match told.get("type"):
            case "response.created":
                self.begun = response
            case "response.completed" | "response.incomplete":
                self.response = msgspec.json.encode(response)


def _parsed(event: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(sse.data_of(event) or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
