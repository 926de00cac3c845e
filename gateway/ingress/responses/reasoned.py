"""The item of what was thought: its text as a summary, and whatever the provider has sealed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.ingress.responses.events import Events
from gateway.upstream.dialects.responses.thinking import sealed


class Reasoned:
    """`item` is the provider's own, once it is known; `blocks` are thinking blocks, signed by another dialect's provider."""

    __slots__ = ("_events", "_id", "_parts", "_texts", "blocks", "item", "place")

    def __init__(self, events: Events, place: int, id: str) -> None:
        self._events = events
        self._id = id
        self._parts: list[str] = []
        self._texts: list[str] | None = None
        self.place = place
        self.blocks: list[Any] = []
        self.item: Mapping[str, Any] = {}
        events.tell(
            "output_item.added", {"output_index": place, "item": {"id": id, "type": "reasoning", "summary": []}}
        )

    def text(self, text: str) -> None:
        """More of the part that is open, which is begun if there is none."""
        if self._texts is None:
            self._texts = []
            self._events.tell("reasoning_summary_part.added", {**self._at(), "part": _summary("")})
        self._texts.append(text)
        self._events.tell("reasoning_summary_text.delta", {**self._at(), "delta": text})

    def part(self, text: str) -> None:
        """A whole part."""
        self._close_part()
        self.text(text)
        self._close_part()

    def close(self) -> Mapping[str, Any]:
        """The item."""
        self._close_part()
        item = {"id": self._id, "type": "reasoning", "summary": [_summary(text) for text in self._parts]}
        item |= {name: value for name, value in self.item.items() if name not in item}
        if self.blocks:
            item["encrypted_content"] = sealed(self.blocks)
        self._events.tell("output_item.done", {"output_index": self.place, "item": item})
        return item

    def _close_part(self) -> None:
        if self._texts is None:
            return
        text = "".join(self._texts)
        self._events.tell("reasoning_summary_text.done", {**self._at(), "text": text})
        self._events.tell("reasoning_summary_part.done", {**self._at(), "part": _summary(text)})
        self._parts.append(text)
        self._texts = None

    def _at(self) -> dict[str, Any]:
        return {"item_id": self._id, "output_index": self.place, "summary_index": len(self._parts)}


def _summary(text: str) -> dict[str, str]:
    return {"type": "summary_text", "text": text}
