"""What a client has seen of a stream that is passed on as the provider wrote it, so that it can be ended early."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

_BLOCK = b"content_block_st"  # of content_block_start and content_block_stop


class _Event(msgspec.Struct):
    type: str
    index: int = 0


_decode = msgspec.json.Decoder(_Event).decode


class Shown:
    """The blocks that are open."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: list[int] = []

    def add(self, events: bytes) -> bytes:
        """Complete events that are shown now, unchanged."""
        if _BLOCK in events:
            for line in events.splitlines():
                if line.startswith(b"data:") and _BLOCK in line:
                    self._note(line[5:])
        return events

    def closing(self, usage: Mapping[str, Any] | None) -> bytes:
        """The events that end the message here, as one that has reached its length."""
        stops: list[dict[str, Any]] = [{"type": "content_block_stop", "index": index} for index in self._open]
        ending = {"stop_reason": "max_tokens", "stop_sequence": None}
        last: list[dict[str, Any]] = [
            {"type": "message_delta", "delta": ending, "usage": usage or {"output_tokens": 0}},
            {"type": "message_stop"},
        ]
        return b"".join(
            [
                b"event: %b\ndata: %b\n\n" % (str(told["type"]).encode(), msgspec.json.encode(told))
                for told in [*stops, *last]
            ]
        )

    def _note(self, data: bytes) -> None:
        try:
            told = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        if told.type == "content_block_start":
            self._open.append(told.index)
        elif told.type == "content_block_stop" and told.index in self._open:
            self._open.remove(told.index)
