"""The item of what was said: texts and refusals, each a part of one message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.ingress.responses.events import Events


class Said:
    __slots__ = ("_annotations", "_events", "_id", "_is_refusal", "_logprobs", "_parts", "_texts", "place")

    def __init__(self, events: Events, place: int, id: str) -> None:
        self._events = events
        self._id = id
        self._parts: list[dict[str, Any]] = []
        self._texts: list[str] | None = None
        self._is_refusal = False
        self._annotations: list[Any] = []
        self._logprobs: list[Any] = []
        self.place = place
        events.tell("output_item.added", {"output_index": place, "item": self._item("in_progress")})

    def text(self, text: str, logprobs: Sequence[Any] = ()) -> None:
        self._open(is_refusal=False)
        assert self._texts is not None
        self._texts.append(text)
        told = [_logprob(each) for each in logprobs if isinstance(each, dict)] if logprobs else []
        self._logprobs += told
        at = {
            "item_id": self._id,
            "output_index": self.place,
            "content_index": len(self._parts),
            "delta": text,
            "logprobs": told,
        }
        self._events.tell("output_text.delta", at)

    def refusal(self, text: str) -> None:
        self._open(is_refusal=True)
        assert self._texts is not None
        self._texts.append(text)
        self._events.tell("refusal.delta", {**self._at(), "delta": text})

    def annotate(self, annotations: Sequence[Any]) -> None:
        """Citations of what was said, as chat has them."""
        self._open(is_refusal=False)
        for each in annotations:
            if not isinstance(each, dict) or not isinstance(inner := each.get(kind := each.get("type")), dict):
                continue
            annotation = {"type": kind, **inner}
            place = {"annotation_index": len(self._annotations), "annotation": annotation}
            self._annotations.append(annotation)
            self._events.tell("output_text.annotation.added", {**self._at(), **place})

    def close(self, status: str) -> Mapping[str, Any]:
        """The item."""
        self._close_part()
        item = self._item(status)
        self._events.tell("output_item.done", {"output_index": self.place, "item": item})
        return item

    def _open(self, *, is_refusal: bool) -> None:
        if self._texts is not None and is_refusal == self._is_refusal:
            return
        self._close_part()
        self._texts, self._is_refusal = [], is_refusal
        self._events.tell("content_part.added", {**self._at(), "part": self._part("")})

    def _close_part(self) -> None:
        if self._texts is None:
            return
        text = "".join(self._texts)
        part = self._part(text)
        if self._is_refusal:
            self._events.tell("refusal.done", {**self._at(), "refusal": text})
        else:
            self._events.tell("output_text.done", {**self._at(), "text": text, "logprobs": part["logprobs"]})
        self._events.tell("content_part.done", {**self._at(), "part": part})
        self._parts.append(part)
        self._texts, self._annotations, self._logprobs = None, [], []

    def _part(self, text: str) -> dict[str, Any]:
        if self._is_refusal:
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "annotations": self._annotations, "logprobs": self._logprobs, "text": text}

    def _item(self, status: str) -> dict[str, Any]:
        content = list(self._parts)
        return {"id": self._id, "type": "message", "status": status, "content": content, "role": "assistant"}

    def _at(self) -> dict[str, Any]:
        return {"item_id": self._id, "output_index": self.place, "content_index": len(self._parts)}


def _logprob(told: Mapping[str, Any]) -> dict[str, Any]:
    others = told.get("top_logprobs")
    top = [_one(each) for each in others if isinstance(each, dict)] if isinstance(others, list) else []
    return {**_one(told), "top_logprobs": top}


def _one(told: Mapping[str, Any]) -> dict[str, Any]:
    return {"token": told.get("token"), "bytes": told.get("bytes") or [], "logprob": told.get("logprob")}
