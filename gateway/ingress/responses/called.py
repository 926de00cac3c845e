"""The item of a call of a tool."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

import orjson

from gateway.ingress.responses.events import Events
from gateway.ingress.responses.own_tools import OWN_TOOLS


class Form(Enum):
    """How a tool was declared, and how the provider calls it. The value is what ids begin with."""

    FUNCTION = "fc"
    CUSTOM = "ctc"
    CUSTOM_AS_FUNCTION = "ctc_"
    OWN = "lsh"

    @property
    def prefix(self) -> str:
        return self.value.rstrip("_")


class Called:
    """`extra_content` is what its provider wants to see again with it."""

    __slots__ = ("_call_id", "_events", "_form", "_id", "_name", "_namespace", "_texts", "extra_content", "place")

    def __init__(
        self, events: Events, place: int, id: str, form: Form, *, call_id: str, names: tuple[str, str | None]
    ) -> None:
        """`names` are the tool's and its namespace's."""
        self._events = events
        self._id = id
        self._form = form
        self._call_id = call_id
        self._name, self._namespace = names
        self._texts: list[str] = []
        self.place = place
        self.extra_content: Any = None
        if form is not Form.OWN:
            events.tell("output_item.added", {"output_index": place, "item": self._item("", "in_progress")})

    @property
    def is_whole(self) -> bool:
        """Whether nothing can follow: arguments that are JSON are complete when they can be read."""
        return self._form is Form.CUSTOM or _is_json("".join(self._texts))

    def text(self, text: str) -> None:
        self._texts.append(text)
        if self._form is Form.FUNCTION:
            self._events.tell("function_call_arguments.delta", {**self._at(), "delta": text})
        elif self._form is Form.CUSTOM:
            self._events.tell("custom_tool_call_input.delta", {**self._at(), "delta": text})

    def close(self, status: str) -> Mapping[str, Any]:
        """The item."""
        text = "".join(self._texts)
        match self._form:
            case Form.FUNCTION:
                told = {**self._at(), "arguments": text, "name": self._name}
                self._events.tell("function_call_arguments.done", told)
            case Form.CUSTOM_AS_FUNCTION:
                text = _input_of(text)
                self._events.tell("custom_tool_call_input.delta", {**self._at(), "delta": text})
        if self._form in (Form.CUSTOM, Form.CUSTOM_AS_FUNCTION):
            self._events.tell("custom_tool_call_input.done", {**self._at(), "input": text})
        item = self._item(text, status)
        if self._form is Form.OWN:
            self._events.tell(
                "output_item.added", {"output_index": self.place, "item": {**item, "status": "in_progress"}}
            )
        self._events.tell("output_item.done", {"output_index": self.place, "item": item})
        return item

    def _item(self, text: str, status: str) -> dict[str, Any]:
        item: dict[str, Any] = {"id": self._id, "type": "function_call", "status": status}
        match self._form:
            case Form.OWN if (arguments := _object(text)) is not None:
                tool = OWN_TOOLS[self._name]
                item |= {"type": tool.call, "call_id": self._call_id, tool.member: {**tool.fixed, **arguments}}
            case Form.CUSTOM | Form.CUSTOM_AS_FUNCTION:
                item |= {"type": "custom_tool_call", "call_id": self._call_id, "name": self._name, "input": text}
            case _:
                item |= {"arguments": text, "call_id": self._call_id, "name": self._name}
        if self._namespace is not None:
            item["namespace"] = self._namespace
        return item if self.extra_content is None else {**item, "extra_content": self.extra_content}

    def _at(self) -> dict[str, Any]:
        return {"item_id": self._id, "output_index": self.place}


def _input_of(arguments: str) -> str:
    """The text in `{"input": "…"}`; a model that writes the text itself means it, too."""
    found = _object(arguments)
    inner = None if found is None else found.get("input")
    return inner if isinstance(inner, str) else arguments


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
