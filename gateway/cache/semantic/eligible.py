"""Which calls have a question that may be answered with another's answer, and which part of the store it may be looked for in.

Only the last thing the user says is compared by meaning. Everything else of the call, to the byte, makes the partition.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.cache.admission import TOOLS
from gateway.cache.key import Target, digest, encode
from gateway.cache.semantic.reading import Reading, is_thing, read

_LONGEST = 400
_FEWEST_THINGS = 2
_FEWEST_THINGS_IN_A_CONVERSATION = 3
_FOREIGN_SCRIPT = re.compile(r"[^\W\d_A-Za-z\u00aa-\u024f\u0400-\u052f\u1e00-\u1eff]|[\ud800-\udfff]")
_TIME_BOUND = frozenset(
    "today tonight now currently current latest newest recent recently yesterday tomorrow upcoming live nowadays".split()
)
_POINTING = frozenset(
    "it this that these those they them he she him her one ones above previous same again continue more".split()
)
_OWN = frozenset("my mine me i our us we".split())
_ACCOUNT = frozenset(
    "account balance order orders password invoice bill salary name email address phone card payment subscription contract"
    " statement transaction transactions refund appointment booking reservation ticket medication prescription".split()
)

REFUSALS: Mapping[str, str] = {
    "not_text": "the last message is not the user's, or not text alone",
    "has_tools": "the call offers tools",
    "needs_exactness": "the call asks for a schema, a seed, logprobs, several choices, sound or a search",
    "too_hot": "the temperature asked for is above the policy's",
    "too_long": "the question is longer than what is compared",
    "too_short": "the question says too little to be compared",
    "points_back": "the question leans on what was said before",
    "foreign_script": "the question has letters that the embedder misreads",
    "time_bound": "the answer changes with the day",
    "personal": "the answer depends on who asks, and answers are shared",
}
"""What the words mean."""


@dataclass(frozen=True, slots=True)
class Question:
    """The text that is compared, as the guard reads it, and the fields of the call without it."""

    text: str
    reading: Reading
    rest: Mapping[str, Any]


def question(fields: Mapping[str, Any], *, hottest: float = 0.3, shared: bool = True) -> Question | str:
    """The call's question, or the word in REFUSALS for why it has none.

    `hottest` is held against a temperature that the client asks for, not against the API's own. `shared`: others than the
    holder of this key may be given the answer.
    """
    if word := _refuse_fields(fields, hottest):
        return word
    messages = fields.get("messages")
    text = _last_text(messages)
    if text is None or not isinstance(messages, list):
        return "not_text"
    if len(text) > _LONGEST:
        return "too_long"
    reading = read(text)
    is_conversation = any(isinstance(one, dict) and one.get("role") == "assistant" for one in messages)
    if word := _refuse_text(text, reading, is_conversation=is_conversation, shared=shared):
        return word
    bare = {name: value for name, value in messages[-1].items() if name != "content"}
    return Question(text, reading, {**fields, "messages": [*messages[:-1], bare]})


def partition(pepper: bytes, scope: tuple[str, ...], target: Target, asked: Question, embedder: str) -> bytes:
    """32 bytes that stand for everything that must be equal. `embedder` is its name, for vectors of two are not comparable."""
    language = asked.reading.language or "en"
    place = ("semantic", embedder, language, *scope)
    return digest(pepper, encode(place, target, asked.rest))


def _refuse_fields(fields: Mapping[str, Any], hottest: float) -> str | None:
    if any(fields.get(name) for name in TOOLS):
        return "has_tools"
    form = fields.get("response_format")
    if (isinstance(form, dict) and form.get("type") == "json_schema") or fields.get("n") not in (None, 1):
        return "needs_exactness"
    exact = ("seed", "web_search_options", "audio", "previous_response_id", "conversation", "prediction")
    if any(fields.get(name) is not None for name in exact) or fields.get("logprobs"):
        return "needs_exactness"
    if "audio" in (fields.get("modalities") or ()):
        return "needs_exactness"
    return "too_hot" if (fields.get("temperature") or 0) > hottest else None


def _last_text(messages: Any) -> str | None:
    last = messages[-1] if isinstance(messages, list) and messages else None
    if not isinstance(last, dict) or last.get("role") != "user":
        return None
    content = last.get("content")
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        content = content[0].get("text") if content[0].get("type") == "text" else None
    return content.strip() if isinstance(content, str) else None


def _refuse_text(text: str, reading: Reading, *, is_conversation: bool, shared: bool) -> str | None:
    said = frozenset(reading.tokens)
    things = sum(map(is_thing, reading.tokens))
    if _FOREIGN_SCRIPT.search(text):
        return "foreign_script"
    if things < (_FEWEST_THINGS_IN_A_CONVERSATION if is_conversation else _FEWEST_THINGS):
        return "too_short"
    if is_conversation and said & _POINTING:
        return "points_back"
    if said & _TIME_BOUND:
        return "time_bound"
    return "personal" if shared and said & _OWN and said & _ACCOUNT else None
