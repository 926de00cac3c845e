"""An answer that comes in one piece."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import jiter

from gateway.core.call import TEXT, Call, Operation
from gateway.core.errors import Broken, Unavailable, UpstreamError
from gateway.core.said import Said, text_or_none
from gateway.core.usage import Usage
from gateway.upstream.dialects.openai.media_usage import media_usage
from gateway.upstream.dialects.openai.texts import strings
from gateway.upstream.dialects.openai.usage import read_usage

_AFTER_TEXT = 100  # bytes of a document that follow its text: how it ended, and the usage
_MEMBERS: Mapping[Operation, tuple[tuple[str, ...], type]] = {
    Operation.EMBEDDINGS: (("data",), list),
    Operation.MODERATION: (("results",), list),
    Operation.RERANK: (("results", "data"), list),
    Operation.IMAGE: (("data",), list),
    Operation.IMAGE_EDIT: (("data",), list),
    Operation.IMAGE_VARIATION: (("data",), list),
    Operation.TRANSCRIPTION: (("text",), str),
    Operation.TRANSLATION: (("text",), str),
}
"""What an answer without choices has, one of these names."""
_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")


class WholeAnswer:
    """The document, passed on byte for byte if it is a complete answer.

    One that breaks off has `failure`, which must be raised instead; what it says it used was used all the same.
    """

    __slots__ = ("_answer", "_call", "body", "failure", "usage")

    produced_share = 1.0

    usage: Usage | None

    def __init__(self, call: Call, body: bytes) -> None:
        """Raises Unavailable when `body` is no answer to `call`."""
        self._call = call
        self.body = body
        self._answer = _parse_answer(body, call.operation)
        is_text = call.operation in TEXT
        self.usage = (
            read_usage(self._answer.get("usage"), call.operation) if is_text else media_usage(call, self._answer)
        )
        self.failure = None if self.is_complete else Broken("the provider's answer was cut off")

    @property
    def said(self) -> Said:
        return _said(self._answer)

    @property
    def is_complete(self) -> bool:
        return all(choice.get("finish_reason") for choice in _objects(self._answer.get("choices")))

    def produced_length(self) -> int:
        return sum(map(len, self.produced()))

    def produced(self) -> list[str]:
        """The text that was generated, choice by choice, for counting tokens when the provider did not."""
        return ["".join(_texts(choice)) for choice in _objects(self._answer.get("choices"))]


class UnfinishedAnswer:
    """The beginning of a document whose rest nobody waited for, or that broke off: it is not passed on, and is paid for.

    `failure` is why, which must be raised.
    """

    __slots__ = ("_answer", "failure", "produced_share", "usage")

    is_complete = False

    def __init__(
        self, call: Call, body: bytes, failure: UpstreamError | asyncio.CancelledError, *, length: int | None
    ) -> None:
        """`length` of the whole body, where the provider has told it: all of it was generated before its first byte."""
        self.failure = failure
        self._answer = _parse_beginning(body)
        self.usage = read_usage(self._answer.get("usage"), call.operation)
        seen = self.produced_length()
        missing = max(0, length - len(body) - _AFTER_TEXT) if length and seen else 0
        self.produced_share = seen / (seen + missing) if missing else 1.0

    @property
    def said(self) -> Said:
        return _said(self._answer)

    def produced_length(self) -> int:
        return sum(map(len, self.produced()))

    def produced(self) -> list[str]:
        """The text that was generated and has come, choice by choice."""
        choices = self._answer.get("choices")
        return ["".join(_texts(choice)) for choice in _objects(choices if isinstance(choices, list) else [])]


def _said(answer: dict[str, Any]) -> Said:
    reasons = [text_or_none(choice.get("finish_reason")) for choice in _objects(answer.get("choices"))]
    return Said(text_or_none(answer.get("id")), text_or_none(answer.get("model")), tuple(filter(None, reasons)))


def _parse_beginning(body: bytes) -> dict[str, Any]:
    try:
        answer = jiter.from_json(body, partial_mode="trailing-strings")
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _parse_answer(body: bytes, operation: Operation) -> dict[str, Any]:
    try:
        answer = jiter.from_json(body, allow_inf_nan=False, cache_mode="keys")
    except ValueError:
        raise _invalid("is not JSON") from None
    if not isinstance(answer, dict):
        raise _invalid("is not an object")
    if answer.get("error"):
        raise Unavailable("the provider answered 200 with an error", code="upstream_invalid_response")
    if operation in _MEMBERS:
        names, kind = _MEMBERS[operation]
        if not any(isinstance(answer.get(name), kind) for name in names):
            raise _invalid(f"has no {names[0]}")
        return answer
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices:
        raise _invalid("has no choices")
    content = "message" if operation is Operation.CHAT else "text"
    for choice in choices:
        _check_choice(choice, content)
    return answer


def _check_choice(choice: Any, content: str) -> None:
    if not isinstance(choice, dict) or not isinstance(choice.get(content), dict if content == "message" else str):
        raise _invalid(f"has a choice without {content}")
    if content != "message":
        return
    message = choice["message"]
    text = message.get("content")
    if text is not None and not isinstance(text, str | list):
        raise _invalid("has content that is not text")
    _check_tool_calls(message.get("tool_calls"))


def _check_tool_calls(calls: Any) -> None:
    if calls is not None and not isinstance(calls, list):
        raise _invalid("has tool calls that are no list", "upstream_invalid_tool_call")
    for call in calls or ():
        function = call.get("function") if isinstance(call, dict) else None
        if function is None:
            continue
        if not isinstance(function, dict) or not isinstance(function.get("arguments"), str):
            raise _invalid("has a tool call whose arguments are not text", "upstream_invalid_tool_call")


def _texts(choice: Any) -> list[str]:
    """The generated texts of one choice: content, reasoning, refusal, and the names and arguments of tool calls."""
    message = choice.get("message")
    if not isinstance(message, dict):
        return [text] if isinstance(text := choice.get("text"), str) else []
    texts = [text for name in _TEXTS for text in strings(message.get(name))]
    functions = [message.get("function_call"), *(call.get("function") for call in _objects(message.get("tool_calls")))]
    for function in _objects(functions):
        texts += [*strings(function.get("name")), *strings(function.get("arguments"))]
    for custom in _objects([call.get("custom") for call in _objects(message.get("tool_calls"))]):
        texts += [*strings(custom.get("name")), *strings(custom.get("input"))]
    return texts


def _objects(values: Any) -> list[dict[str, Any]]:
    return [value for value in (values if isinstance(values, list) else ()) if isinstance(value, dict)]


def _invalid(what: str, code: str = "upstream_invalid_response") -> Unavailable:
    """It has answered, and so may have worked: asking again may cost again."""
    return Unavailable(f"the provider's answer {what}", code=code, retriable=False)
