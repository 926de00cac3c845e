"""An answer that comes in one piece."""

from __future__ import annotations

from typing import Any

import jiter

from gateway.core.call import Call, Operation
from gateway.core.errors import Broken, Unavailable
from gateway.upstream.dialects.openai.usage import read_usage


class WholeAnswer:
    """The document, passed on byte for byte once it has been shown to be a complete answer."""

    __slots__ = ("_answer", "_call", "body", "usage")

    def __init__(self, call: Call, body: bytes) -> None:
        """Raises Unavailable when `body` is not a complete answer to `call`."""
        self._call = call
        self.body = body
        self._answer = _parse_answer(body, call.operation)
        self.usage = read_usage(self._answer.get("usage"), call.operation)

    def produced(self) -> str:
        """All text that was generated, for counting tokens when the provider did not."""
        return "".join(text for choice in self._answer.get("choices") or () for text in _texts(choice))


def _parse_answer(body: bytes, operation: Operation) -> dict[str, Any]:
    try:
        answer = jiter.from_json(body, allow_inf_nan=False, cache_mode="keys")
    except ValueError:
        raise _invalid("is not JSON") from None
    if not isinstance(answer, dict):
        raise _invalid("is not an object")
    if answer.get("error"):
        raise Unavailable("the provider answered 200 with an error", code="upstream_invalid_response")
    if operation is Operation.EMBEDDINGS:
        if not isinstance(answer.get("data"), list):
            raise _invalid("has no data")
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
    if not choice.get("finish_reason"):
        raise Broken("the provider's answer was cut off")
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
    texts = [message.get(name) for name in ("content", "reasoning_content", "reasoning", "refusal")]
    for call in message.get("tool_calls") or ():
        if isinstance(call, dict) and isinstance(function := call.get("function"), dict):
            texts += [function.get("name"), function.get("arguments")]
    return [text for text in texts if isinstance(text, str)]


def _invalid(what: str, code: str = "upstream_invalid_response") -> Unavailable:
    """It has answered, and so may have worked: asking again may cost again."""
    return Unavailable(f"the provider's answer {what}", code=code, retriable=False)
