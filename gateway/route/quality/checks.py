"""What shows that an answer should not be served, though nobody knows the right one: reasons for a cascade to ask a better
model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gateway.route.quality.answer import Answer
from gateway.route.quality.canonical import NotJson, parse
from gateway.route.quality.schema import Uncheckable, asks_for_json, meets

LONGEST_REFUSAL = 400
"""Characters: a longer text says more than that it will not answer."""

_APOLOGIES = (
    "i'm sorry",
    "i am sorry",
    "sorry",
    "i apologize",
    "i apologise",
    "unfortunately",
    "as an ai",
    "as a language model",
)
_REFUSALS = (
    "i can't",
    "i cannot",
    "i can not",
    "i'm unable",
    "i am unable",
    "i'm not able",
    "i am not able",
    "i won't",
    "i will not",
    "i must decline",
    "i'm not comfortable",
    "i do not feel comfortable",
    "i don't feel comfortable",
)
_REACH = 120
"""Characters after an apology in which the refusal begins, if it is one."""

Check = Callable[[Answer, Mapping[str, Any]], bool]
"""Of an answer and the body of the request that asked for it."""


def truncated(answer: Answer, asked: Mapping[str, Any]) -> bool:
    """It was cut at the limit of tokens, or by a filter."""
    return not answer.is_whole


def empty(answer: Answer, asked: Mapping[str, Any]) -> bool:
    """It says nothing and calls nothing."""
    return answer.is_empty


def refused(answer: Answer, asked: Mapping[str, Any]) -> bool:
    """It says that it will not answer: in the field for that, or in English at the beginning of a short text that is no
    JSON."""
    if answer.refusal.strip():
        return True
    text = " ".join(answer.text[: 2 * LONGEST_REFUSAL].replace("’", "'").casefold().split())
    if answer.tool_calls or len(text) > LONGEST_REFUSAL:
        return False
    if text.startswith(_REFUSALS):
        return True
    return text.startswith(_APOLOGIES) and any(phrase in text[:_REACH] for phrase in _REFUSALS)


def schema_invalid(answer: Answer, asked: Mapping[str, Any]) -> bool:
    """It is not what `response_format` asks for, or calls a tool with arguments that are no JSON. A schema that cannot be
    checked is no reason."""
    if answer.tool_calls:
        return not all(_is_json(call.arguments or "{}") for call in answer.tool_calls)
    if not asks_for_json(asked):
        return False
    try:
        return not meets(answer.text, asked)
    except Uncheckable:
        return False


CHECKS: dict[str, Check] = {
    "truncated": truncated,
    "refused": refused,
    "empty": empty,
    "schema_invalid": schema_invalid,
}


def first(names: Iterable[str], answer: Answer, asked: Mapping[str, Any]) -> str | None:
    """The name of the first of these checks that fires."""
    return next((name for name in names if CHECKS[name](answer, asked)), None)


def _is_json(text: str) -> bool:
    try:
        parse(text)
    except NotJson:
        return False
    return True
