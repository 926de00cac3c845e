"""What an assistant thinks, says and calls, told as the items of a response."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from gateway.ingress.responses.called import Called, Form
from gateway.ingress.responses.chunk import Choice, Delta, ToolCall
from gateway.ingress.responses.events import Events
from gateway.ingress.responses.own_tools import OWN_TOOLS
from gateway.ingress.responses.reasoned import Reasoned
from gateway.ingress.responses.said import Said
from gateway.ingress.tool_names import Names


class Output:
    """One item is open at a time, but for calls that a provider tells in turns. `items` has those that are done, in order."""

    def __init__(
        self,
        events: Events,
        ids: str,
        *,
        names: Names | None = None,
        custom: Collection[str] = (),
        own: Collection[str] = (),
    ) -> None:
        """`ids` is part of every item's id. `names` are those of the tools, of which `custom` and `own` are to be called in their
        own form."""
        self._names = names or Names()
        self._events = events
        self._ids = ids
        self._custom = custom
        self._own = own
        self._done: dict[int, Mapping[str, Any]] = {}
        self._begun = 0
        self._said: Said | None = None
        self._reasoned: Reasoned | None = None
        self._calls: dict[int, Called] = {}
        self._tells_items = False

    @property
    def items(self) -> list[Mapping[str, Any]]:
        return [self._done[place] for place in sorted(self._done)]

    def take(self, choice: Choice) -> None:
        delta = choice.delta or choice.message
        if delta is None:
            return
        self._reason(delta)
        texts = [delta.content] if isinstance(delta.content, str) else _texts(delta.content)
        logprobs = choice.logprobs.content if choice.logprobs is not None else None
        for text in texts:
            if text or logprobs:
                self._message().text(text, logprobs or ())
        if isinstance(delta.refusal, str) and delta.refusal:
            self._message().refusal(delta.refusal)
        if isinstance(delta.annotations, list) and delta.annotations:
            self._message().annotate(delta.annotations)
        for number, call in enumerate(delta.tool_calls or ()):
            self._call(call, call.index if isinstance(call.index, int) else number)

    def close(self, status: str = "completed") -> None:
        """`status` is that of what is still open."""
        self._close_reasoned()
        self._close_said(status)
        for key in list(self._calls):
            self._close_call(key, status)

    def _reason(self, delta: Delta) -> None:
        for value in (delta.reasoning_content, delta.reasoning, *_thoughts(delta.content)):
            if isinstance(value, str) and value and not self._tells_items:
                self._reasoning(delta.reasoning_item_id).text(value)
                break
        if isinstance(delta.thinking_blocks, list) and delta.thinking_blocks:
            self._reasoning(None).blocks += [_without_index(block) for block in delta.thinking_blocks]
        for item in delta.reasoning_items if isinstance(delta.reasoning_items, list) else ():
            if isinstance(item, dict):
                self._reasoning_item(item)

    def _reasoning_item(self, item: Mapping[str, Any]) -> None:
        """One that came whole. Where its text was not told before it, it is told here and not once more after it."""
        if self._reasoned is None:
            self._tells_items = True
            id = item.get("id")
            reasoned = self._reasoning(id if isinstance(id, str) else None)
            summary = item.get("summary")
            for part in summary if isinstance(summary, list) else ():
                if isinstance(part, dict) and isinstance(part.get("text"), str):
                    reasoned.part(part["text"])
        if self._reasoned is not None:
            self._reasoned.item = item
        self._close_reasoned()

    def _reasoning(self, id: Any) -> Reasoned:
        if self._reasoned is None:
            self._close_said("completed")
            place = self._place()
            self._reasoned = Reasoned(self._events, place, id if isinstance(id, str) else self._id("rs", place))
        return self._reasoned

    def _message(self) -> Said:
        if self._said is None:
            self._close_reasoned()
            self._close_calls()
            place = self._place()
            self._said = Said(self._events, place, self._id("msg", place))
        return self._said

    def _call(self, call: ToolCall, key: int) -> None:
        called = self._calls.get(key)
        if called is None:
            self._close_reasoned()
            self._close_said("completed")
            self._close_calls()
            name = str((call.function and call.function.name) or (call.custom and call.custom.name) or "")
            form = self._form(name, is_custom=call.custom is not None)
            place = self._place()
            id = call.id if isinstance(call.id, str) and call.id else self._id("call", place)
            names = self._names.of(str(name or ""))
            called = Called(self._events, place, self._id(form.prefix, place), form, call_id=id, names=names)
            self._calls[key] = called
        if call.extra_content is not None:
            called.extra_content = call.extra_content
        text = call.function.arguments if call.function else call.custom.input if call.custom else None
        if isinstance(text, str) and text:
            called.text(text)

    def _form(self, name: str, *, is_custom: bool) -> Form:
        if is_custom:
            return Form.CUSTOM
        if name in self._custom:
            return Form.CUSTOM_AS_FUNCTION
        return Form.OWN if name in self._own and name in OWN_TOOLS else Form.FUNCTION

    def _close_calls(self) -> None:
        """Those that are whole; arguments that break off go on later."""
        for key in [key for key, called in self._calls.items() if called.is_whole]:
            self._close_call(key, "completed")

    def _close_call(self, key: int, status: str) -> None:
        called = self._calls.pop(key)
        self._done[called.place] = called.close(status)

    def _close_said(self, status: str) -> None:
        if self._said is not None:
            self._done[self._said.place] = self._said.close(status)
            self._said = None

    def _close_reasoned(self) -> None:
        if self._reasoned is not None:
            self._done[self._reasoned.place] = self._reasoned.close()
            self._reasoned = None

    def _place(self) -> int:
        self._begun += 1
        return self._begun - 1

    def _id(self, prefix: str, place: int) -> str:
        return f"{prefix}_{self._ids}{place:04x}"


def _without_index(block: Any) -> Any:
    """A block as it came from its provider: chunks number them."""
    return {name: value for name, value in block.items() if name != "index"} if isinstance(block, dict) else block


def _texts(content: Any) -> list[str]:
    """The texts of content that comes in parts."""
    parts = content if isinstance(content, list) else ()
    found = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    return [text for text in found if isinstance(text, str)]


def _thoughts(content: Any) -> list[str]:
    """What some providers think within the content, in parts of their own."""
    parts = content if isinstance(content, list) else ()
    thinking = [part.get("thinking") for part in parts if isinstance(part, dict) and part.get("type") == "thinking"]
    return [
        "".join(_texts(thought)) if isinstance(thought, list) else thought
        for thought in thinking
        if isinstance(thought, str | list)
    ]
