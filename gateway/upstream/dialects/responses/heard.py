"""What has been heard of a stream so far, so that it can be ended here as the provider itself would end it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

_NOTHING = msgspec.Raw(b"null")
_object = msgspec.json.Decoder(dict[str, Any] | None).decode


class Event(msgspec.Struct):
    """What is read of an event; the rest is skipped."""

    type: str = ""
    sequence_number: int = -1
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    item_id: Any = None
    delta: Any = None
    item: dict[str, Any] | None = None
    part: dict[str, Any] | None = None
    response: msgspec.Raw = _NOTHING
    logprobs: list[Any] | None = None


class Heard:
    """The items that have begun and those that are done, and the text of the part that is open.

    The last event does not count: it is the one before which a stream is stopped.
    """

    __slots__ = ("_begun", "_done", "_last", "_parts", "_texts", "number", "response")

    def __init__(self) -> None:
        self._begun: dict[int, dict[str, Any]] = {}
        self._done: dict[int, dict[str, Any]] = {}
        self._parts: dict[int, list[dict[str, Any]]] = {}
        self._texts: dict[int, list[str]] = {}
        self._last: Event | None = None
        self.number = -1
        self.response: dict[str, Any] | None = None

    def hear(self, event: Event) -> None:
        last, self._last = self._last, event
        if last is not None:
            self._count(last)

    def closing(self) -> bytes:
        """The events that end it as one that has reached its length; b"" before it has begun."""
        if self.response is None:
            return b""
        told: list[bytes] = []
        for place in sorted(self._begun):
            told += self._close(place)
        response = {
            **self.response,
            "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"},
            "output": [self._done[place] for place in sorted(self._done)],
        }
        return b"".join([*told, self._event("response.incomplete", {"response": response})])

    def _count(self, event: Event) -> None:
        self.number = max(self.number, event.sequence_number)
        place = event.output_index
        match event.type:
            case "response.created":
                self.response = response_of(event)
            case "response.output_item.added" if event.item is not None:
                self._begun[place] = event.item
            case "response.content_part.added" | "response.reasoning_summary_part.added" if event.part is not None:
                self._parts.setdefault(place, []).append(event.part)
                self._texts[place] = []
            case "response.content_part.done" | "response.reasoning_summary_part.done" if event.part is not None:
                if self._parts.get(place):
                    self._parts[place][-1] = event.part
                self._texts.pop(place, None)
            case "response.output_item.done" if event.item is not None:
                self._done[place] = event.item
                for kept in (self._begun, self._parts, self._texts):
                    kept.pop(place, None)
            case _ if isinstance(event.delta, str):
                self._texts.setdefault(place, []).append(event.delta)

    def _close(self, place: int) -> list[bytes]:
        item = self._begun[place]
        parts, text = self._parts.get(place, []), "".join(self._texts.get(place, ()))
        at = {"item_id": item.get("id"), "output_index": place}
        told = []
        if parts and place in self._texts:
            told = self._close_part(parts, text, at)
        match item.get("type"):
            case "message":
                item = {**item, "status": "incomplete", "content": parts}
            case "reasoning":
                item = {**item, "summary": [part for part in parts if part.get("type") == "summary_text"]}
            case "function_call":
                item = {**item, "status": "incomplete", "arguments": text}
                done = {**at, "arguments": text, "name": item.get("name")}
                told.append(self._event("response.function_call_arguments.done", done))
            case "custom_tool_call":
                item = {**item, "input": text}
                told.append(self._event("response.custom_tool_call_input.done", {**at, "input": text}))
        self._done[place] = item
        return [*told, self._event("response.output_item.done", {"output_index": place, "item": item})]

    def _close_part(self, parts: list[dict[str, Any]], text: str, at: Mapping[str, Any]) -> list[bytes]:
        kind, index = parts[-1].get("type"), len(parts) - 1
        member = "refusal" if kind == "refusal" else "text"
        parts[-1] = {**parts[-1], member: text}
        if kind == "summary_text":
            at, done, part = {**at, "summary_index": index}, "reasoning_summary_text", "reasoning_summary_part"
        else:
            done = {"output_text": "output_text", "refusal": "refusal"}.get(str(kind), "reasoning_text")
            at, part = {**at, "content_index": index}, "content_part"
        logprobs: dict[str, Any] = {"logprobs": []} if done == "output_text" else {}
        return [
            self._event(f"response.{done}.done", {**at, member: text, **logprobs}),
            self._event(f"response.{part}.done", {**at, "part": parts[-1]}),
        ]

    def _event(self, kind: str, members: Mapping[str, Any]) -> bytes:
        self.number += 1
        told = msgspec.json.encode({"type": kind, "sequence_number": self.number, **members})
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), told)


def response_of(event: Event) -> dict[str, Any]:
    """The response that it tells, if any. Raises msgspec.DecodeError, UnicodeDecodeError or RecursionError for what is none."""
    return _object(event.response) or {}
