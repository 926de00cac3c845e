"""A request for a response, in chat's terms: every member is forwarded, mapped, kept for us, or named as dropped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.cache.key import canonical
from gateway.core.errors import InvalidRequest
from gateway.ingress.responses.items import Messages
from gateway.ingress.responses.tools import choice_of, tools_of
from gateway.ingress.responses.written import written
from gateway.template.wanted import names_template, of_prompt


@dataclass(slots=True)
class Reading:
    """`chat` has what chat says, `template` the prompt template that was named, `dropped` what chat has no word for.

    `unsaid` has the values of that, and of what the history has of it, as JSON.
    """

    chat: dict[str, Any] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    template: str | None = None
    unsaid: bytes = b""


def read(fields: Mapping[str, Any], history: Sequence[Any], *, is_templated: bool = False) -> Reading:
    """`history` are the items that came before the input's; `is_templated`: there need be no input. Raises InvalidRequest."""
    reading = Reading()
    chat, dropped = reading.chat, reading.dropped
    instructions = fields.get("instructions")
    if not isinstance(instructions, str | None):
        raise _wrong("instructions", "a string")
    messages = Messages(instructions)
    messages.take(history)
    before = written(messages.dropped, {"input": history})
    messages.dropped.clear()  # told when they were new
    messages.take(input_of(fields, is_templated=is_templated))
    messages.end()
    chat["messages"] = messages.messages
    dropped += messages.dropped
    for name, value in fields.items():
        if name not in _KNOWN and name.casefold() in _KNOWN:  # some servers read names without regard to case
            raise InvalidRequest(f"{name[:64]!r} is spelt {name.casefold()}", code="unknown_parameter", param=name[:64])
        if value is None or name in _ELSEWHERE:
            continue
        if name in FORWARDED:
            chat[name] = value
        elif (mapped := _MAPPED.get(name)) is not None:
            mapped(value, fields, reading)
        else:
            dropped.append(name)
    tools_of(fields.get("tools"), fields.get("tool_choice"), chat, dropped)
    if chat.get("tools"):
        choice_of(fields.get("tool_choice"), chat, dropped)
    elif fields.get("tool_choice") not in (None, "auto", "none"):
        dropped.append("tool_choice")
    if chat.get("stream"):
        chat["stream_options"] = {"include_usage": True}
    after = written(dropped, fields)
    reading.unsaid = canonical([before, after]) if before or after else b""
    return reading


def input_of(fields: Mapping[str, Any], *, is_templated: bool = False) -> list[Any]:
    """The items of the input. `is_templated`: there need be none, as with a template in the place of the model. Raises
    InvalidRequest."""
    value = fields.get("input")
    if isinstance(value, str):
        return [{"type": "message", "role": "user", "content": value}]
    is_templated = is_templated or names_template(fields.get("model"))
    if value is None and (
        is_templated or any(fields.get(name) is not None for name in ("prompt", "previous_response_id"))
    ):
        return []
    if value is None:
        raise InvalidRequest("input is required", code="missing_required_parameter", param="input")
    if not isinstance(value, list):
        raise _wrong("input", "a string or an array of items")
    return value


def _text(value: Any, fields: Mapping[str, Any], reading: Reading) -> None:
    if not isinstance(value, dict):
        raise _wrong("text", "an object")
    for name, each in value.items():
        if name == "format" and each is not None:
            form = response_format(each)
            if form is not None:
                reading.chat["response_format"] = form
        elif name == "verbosity" and each is not None:
            reading.chat["verbosity"] = each
        elif each is not None:
            reading.dropped.append(f"text.{name}")


def response_format(form: Any) -> dict[str, Any] | None:
    """As chat has it; None: plain text."""
    if not isinstance(form, dict) or not isinstance(form.get("type"), str):
        raise _wrong("text.format", "an object with a type")
    if form["type"] == "text":
        return None
    if form["type"] != "json_schema":
        return {"type": form["type"]}
    if not isinstance(form.get("schema"), dict):
        raise InvalidRequest("text.format needs a schema", code="invalid_value", param="text.format.schema")
    schema = {name: value for name, value in form.items() if name != "type" and value is not None}
    return {"type": "json_schema", "json_schema": schema}


def _reasoning(value: Any, fields: Mapping[str, Any], reading: Reading) -> None:
    if not isinstance(value, dict):
        raise _wrong("reasoning", "an object")
    for name, each in value.items():
        if name == "effort" and each is not None:
            reading.chat["reasoning_effort"] = each
        elif each is not None:
            reading.dropped.append(f"reasoning.{name}")


def _include(value: Any, fields: Mapping[str, Any], reading: Reading) -> None:
    if not isinstance(value, list):
        raise _wrong("include", "an array")
    for index, each in enumerate(value):
        if each == "message.output_text.logprobs":
            reading.chat["logprobs"] = True
        elif each != "reasoning.encrypted_content":  # whoever seals reasoning sends it
            reading.dropped.append(f"include[{index}]")


def _top_logprobs(value: Any, fields: Mapping[str, Any], reading: Reading) -> None:
    reading.chat["logprobs"] = True
    reading.chat["top_logprobs"] = value


def _output_cap(value: Any, fields: Mapping[str, Any], reading: Reading) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidRequest(
            "max_output_tokens must be a positive integer", code="invalid_value", param="max_output_tokens"
        )
    reading.chat["max_completion_tokens"] = value


def _truncation(value: Any, fields: Mapping[str, Any], reading: Reading) -> None:
    """`disabled` is how everybody else does it."""
    if value != "disabled":
        reading.dropped.append("truncation")


def _stream_options(value: Any, fields: Mapping[str, Any], reading: Reading) -> None:
    """Nothing is padded here, which is what most clients want of it."""
    if not isinstance(value, dict):
        raise _wrong("stream_options", "an object")
    reading.dropped += [f"stream_options.{name}" for name, each in value.items() if each not in (None, False)]


def _prompt(value: Any, fields: Mapping[str, Any], reading: Reading) -> None:
    """A template of the policy's, its version behind an `@`, and its variables."""
    if not isinstance(value, dict):
        raise _wrong("prompt", "an object")
    reading.template, variables = of_prompt(value)
    if variables:
        _give(reading, {"variables": variables})


def _own(value: Any, fields: Mapping[str, Any], reading: Reading) -> None:
    if not isinstance(value, dict):
        raise _wrong("llmgw", "an object")
    _give(reading, value)


def _give(reading: Reading, own: Mapping[str, Any]) -> None:
    there = reading.chat.get("llmgw") or {}
    if "variables" in own and "variables" in there:
        raise InvalidRequest(
            "variables stand in `prompt` or in `llmgw`: leave one of them out",
            code="template_conflict",
            param="variables",
        )
    reading.chat["llmgw"] = {**there, **own}


def _background(value: Any, fields: Mapping[str, Any], reading: Reading) -> None:
    if value is not False:
        raise _not_here("background", "responses in the background are not served: leave it out, or stream")


def _conversation(value: Any, fields: Mapping[str, Any], reading: Reading) -> None:
    raise _not_here("conversation", "conversations are not kept here: use previous_response_id")


FORWARDED = frozenset(
    {
        *("model", "stream", "temperature", "top_p", "parallel_tool_calls", "metadata", "service_tier", "user"),
        *("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "safety_identifier"),
    }
)
"""What chat says by the same name."""

_ELSEWHERE = frozenset({"input", "instructions", "tools", "tool_choice", "previous_response_id", "store"})
"""Read by itself: items and tools above, and what is kept in `kept.py`."""

_MAPPED: Mapping[str, Callable[[Any, Mapping[str, Any], Reading], None]] = {
    "text": _text,
    "reasoning": _reasoning,
    "include": _include,
    "top_logprobs": _top_logprobs,
    "max_output_tokens": _output_cap,
    "truncation": _truncation,
    "stream_options": _stream_options,
    "prompt": _prompt,
    "llmgw": _own,
    "background": _background,
    "conversation": _conversation,
}


_KNOWN = FORWARDED | _ELSEWHERE | _MAPPED.keys()


def _wrong(name: str, kind: str) -> InvalidRequest:
    return InvalidRequest(f"{name} must be {kind}", code="invalid_type", param=name)


def _not_here(name: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, code="unsupported_parameter", param=name)
