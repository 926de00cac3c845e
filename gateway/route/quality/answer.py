"""An answer as far as its quality is concerned, read from a chat completion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CUT = frozenset({"length", "content_filter"})
"""Reasons to finish by which an answer is not whole."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`arguments` as the model wrote them: they may be no JSON."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one choice. `text` and `refusal` are "" where there is none; `finish` too."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish: str = ""
    refusal: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing and calls nothing."""
        return not (self.text.strip() or self.tool_calls or self.refusal.strip())

    @property
    def is_whole(self) -> bool:
        return self.finish not in CUT


def read(completion: Mapping[str, Any]) -> Answer:
    """The answer of a chat completion. One without exactly one choice, or that is none, is empty."""
    choices = completion.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], Mapping):
        return Answer()
    message = choices[0].get("message")
    if not isinstance(message, Mapping):
        return Answer()
    return Answer(
        text=_text(message.get("content")),
        tool_calls=tuple(_calls(message)),
        finish=_string(choices[0].get("finish_reason")),
        refusal=_string(message.get("refusal")),
    )


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(_string(part.get("text")) for part in content if isinstance(part, Mapping))
    return _string(content)


def _calls(message: Mapping[str, Any]) -> list[ToolCall]:
    listed = message.get("tool_calls")
    calls = [call.get("function") for call in listed if isinstance(call, Mapping)] if isinstance(listed, list) else []
    calls.append(message.get("function_call"))
    return [
        ToolCall(_string(call.get("name")), _string(call.get("arguments")))
        for call in calls
        if isinstance(call, Mapping)
    ]


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
