"""A model that is asked which of two answers serves better, without being told whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core import judge
from gateway.route.quality.answer import Answer
from gateway.route.quality.checks import first
from gateway.route.quality.scores import Unscored, unusable

LONGEST_QUESTION = 32_000
"""Characters of all messages together."""

_TASK = "You compare two answers to one request."
_QUESTION = r"""Which answer serves whoever asked better? Count what is wrong, missing or not as the request wants it. Wording,
order \ and length do not matter: a longer answer is not a better one.
Reply with one word: FIRST, SECOND, or SAME if neither is better."""


def prompt(
    candidate: Answer, reference: Answer, asked: Mapping[str, Any], *, candidate_first: bool
) -> str | float | Unscored:
    """What the judge is asked; or the quality, where there is nothing to ask. `candidate_first` is to be drawn at random:
    judges like one place better than the other."""
    reason = unusable(reference, asked)
    if reason is not None:
        return reason
    question = _question(asked)
    if question is None or reference.tool_calls or len(reference.text) > judge.LONGEST:
        return Unscored("too_long")
    if candidate.text == reference.text and candidate.is_whole and not candidate.tool_calls:
        return 1.0
    if candidate.tool_calls or len(candidate.text) > judge.LONGEST or _is_bad(candidate, asked):
        return 0.0
    answers = (candidate, reference) if candidate_first else (reference, candidate)
    texts = (("Request", question), ("First answer", answers[0].text), ("Second answer", answers[1].text))
    return judge.fenced(_TASK, texts, _QUESTION)


def quality(reply: str, *, candidate_first: bool) -> float:
    """1 where the candidate is as good or better. Whatever else was replied is a 0: a bad answer might bring it about."""
    better = "first" if candidate_first else "second"
    return float(judge.word(reply) in ("same", better))


def _is_bad(candidate: Answer, asked: Mapping[str, Any]) -> bool:
    return first(("truncated", "empty", "refused", "schema_invalid"), candidate, asked) is not None


def _question(asked: Mapping[str, Any]) -> str | None:
    """All that was said before the answer; None where that is too long, or more than words."""
    messages = asked.get("messages")
    if not isinstance(messages, list) or not messages:
        return None
    lines = []
    for message in messages:
        content = message.get("content") if isinstance(message, Mapping) else None
        if not isinstance(content, str):
            return None
        lines.append(f"{message.get('role')}: {content}")
    question = "\n\n".join(lines)
    return question if len(question) <= LONGEST_QUESTION else None
