"""A model that is asked whether two answers to a question agree."""

from __future__ import annotations

from gateway.core import judge

MISSED_BY_JUDGE = 0.1
"""Of wrong answers, the share that a model may take for right ones: an assumption, by which the promise is made stricter."""

_TASK = "You compare two answers to two questions that were asked in other words."
_QUESTION = """Would whoever asked the second question be served as well by the answer to the first one: no fact, number, name, \
instruction or conclusion that matters differs, and nothing asked for is missing? Wording, length and order do not matter.
Reply with one word: SAME or DIFFERENT."""


def prompt(question: str, neighbour: str, kept: str, real: str) -> str | None:
    """What the judge is asked; None when an answer is too long: it is not judged, and counts as different."""
    if max(len(kept), len(real)) > judge.LONGEST:
        return None
    texts = (
        ("First question", neighbour),
        ("Answer to the first question", kept),
        ("Second question", question),
        ("Answer to the second question", real),
    )
    return judge.fenced(_TASK, texts, _QUESTION)


def agrees(reply: str) -> bool:
    """Only the one word counts, and whatever else was replied is a no."""
    return judge.word(reply) == "same"
