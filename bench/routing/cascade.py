"""Cascades on graded answers: the cheap model answers, another cheap one checks it, and the strong one is asked where they
disagree.

What is served is decided by the gateway's own checks. Costs are list prices, four characters to a token; the cheap answer, the
second one and the strong one where it was asked are all paid. Of answers whose length is not in the file, the mean is taken.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.routing.data import Row
from gateway.route.quality.agreement import Agreement, agree
from gateway.route.quality.answer import Answer, read
from gateway.route.quality.canonical import NotJson, json_in, parse
from gateway.route.quality.checks import CHECKS, first

PRICES = {
    "gpt-4o-mini": (0.15, 0.60),
    "gpt-4o": (2.50, 10.00),
    "claude-3-5-sonnet": (3.00, 15.00),
    "claude-3-haiku": (0.25, 1.25),
    "gemini-1.5-flash": (0.075, 0.30),
    "gemini-1.5-pro": (1.25, 5.00),
    "meta-llama-3-70b": (0.88, 0.88),
    "meta-llama-3-8b": (0.18, 0.18),
    "phi-3-mini": (0.13, 0.52),
}
"""Dollars for a million tokens in and out, by how the name of a model begins."""
SECONDS = ("gemini-1.5-flash", "Phi-3-mini-4k-instruct")
"""The models that check, the first that a row has an answer of."""

_CHARS = 4
_TYPICAL_OUT = 400
"""Characters of an answer where the file tells no length of any."""
_ON = Agreement("json", "answer")
_ASKED: dict[str, Any] = {"response_format": {"type": "json_object"}}
_RESAMPLED = 1_000
_SEED = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one prompt would have cost, in dollars, and been worth: asked of the strong model, of the cheap one, and of the
    cascade.
    `why` says for what the cascade asked the strong one; None where it did not."""

    row: Row
    strong: float
    cheap: float
    second: float
    why: str | None

    @property
    def quality(self) -> float:
        return self.row.q_weak if self.why is None else self.row.q_strong

    @property
    def cost(self) -> float:
        return self.cheap + self.second + (0.0 if self.why is None else self.strong)


@dataclass(frozen=True, slots=True)
class Goal:
    """Of the cascade, as shares of the strong model's quality and cost."""

    family: str
    strong: str
    quality: float
    cost: float


GOALS = (
    Goal("gsm8k", "gpt-4o", 0.995, 0.25),
    Goal("numersense", "gpt-4o", 0.99, 0.32),
    Goal("gsm8k", "claude-3-5-sonnet", 0.99, 0.35),
)


def outcomes(rows: Sequence[Row]) -> dict[str, list[Outcome]]:
    """By the names of the sets whose models have prices and of whose prompts a second model answered some."""
    sets: dict[str, list[Row]] = {}
    for row in rows:
        if price(row.strong) and price(row.weak):
            sets.setdefault(row.dataset, []).append(row)
    return {
        name: _outcomes(some) for name, some in sorted(sets.items()) if any(_second(row)[1] is not None for row in some)
    }


def price(model: str) -> tuple[float, float] | None:
    name = model.casefold().replace("llama-3.1", "llama-3").replace("llama-3_1", "llama-3")
    return next((prices for start, prices in PRICES.items() if name.startswith(start)), None)


def report(rows: Sequence[Row], *, quick: bool = False) -> Iterator[str]:
    yield f"## Cascades\n\n{__doc__}"
    resampled = 100 if quick else _RESAMPLED
    lines = [
        "| set | prompts | strong / cheap + second | cheap only: quality, cost | cascade: quality [95 %], cost "
        "| asked the strong one | gap recovered |",
        "|---|---|---|---|---|---|---|",
    ]
    found = outcomes(rows)
    lines += [_line(name, some, resampled) for name, some in found.items()]
    yield "\n".join(lines) + "\n"
    yield "\n".join(_goals(found)) + "\n"


def _outcomes(rows: Sequence[Row]) -> list[Outcome]:
    lengths = [chars for row in rows for chars in (row.weak_chars, row.strong_chars) if chars is not None]
    typical = sum(lengths) / len(lengths) if lengths else _TYPICAL_OUT
    return [_outcome(row, typical) for row in rows]


def _outcome(row: Row, typical: float) -> Outcome:
    model, answer = _second(row)
    cheap_chars = typical if row.weak_chars is None else row.weak_chars
    strong_chars = typical if row.strong_chars is None else row.strong_chars
    return Outcome(
        row=row,
        strong=_cost(row.strong, row.prompt, strong_chars),
        cheap=_cost(row.weak, row.prompt, cheap_chars),
        second=_cost(model, row.prompt, cheap_chars),
        why=_why(row, answer),
    )


def _why(row: Row, second: str | None) -> str | None:
    """What the gateway would have asked the strong model for."""
    fired = first(CHECKS, _answer(_constrained(row)), _ASKED)
    if fired is None and not (row.weak_ans or "").strip():
        fired = "empty"
    if fired is None and not agree(_answer(_written(row.weak_ans)), _answer(_written(second)), _ON):
        fired = "disagrees"
    return fired


def _constrained(row: Row) -> str:
    """The cheap answer without the prose round its JSON: models were asked for that in words, and not by `response_format`."""
    if not row.weak_out:
        return _written(row.weak_ans)
    try:
        return json.dumps(parse(json_in(row.weak_out), strict=False))
    except NotJson:
        return row.weak_out


def _written(answer: str | None) -> str:
    """The file has what was read out of answers, which came as a member of this name."""
    return json.dumps({} if answer is None else {"answer": answer})


def _answer(text: str) -> Answer:
    return read({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})


def _second(row: Row) -> tuple[str, str | None]:
    answers: Mapping[str, str | None] = row.aux_ans or {}
    return next(((model, answers[model]) for model in SECONDS if model in answers), (SECONDS[0], None))


def _cost(model: str, prompt: str, chars: float) -> float:
    per_in, per_out = price(model) or (0.0, 0.0)
    return (len(prompt) * per_in + chars * per_out) / _CHARS / 1e6


def _line(name: str, some: Sequence[Outcome], resampled: int) -> str:
    quality, cost = shares(some)
    low, high = _interval(some, resampled)
    cheap_quality = _share([one.row.q_weak for one in some], [one.row.q_strong for one in some])
    cheap_cost = _share([one.cheap for one in some], [one.strong for one in some])
    why = Counter(one.why for one in some if one.why is not None)
    reasons = ", ".join(f"{reason} {count / len(some):.1%}" for reason, count in why.most_common())
    models = f"{some[0].row.strong} / {some[0].row.weak} + {_second(some[0].row)[0]}"
    gap = f"{(quality - cheap_quality) / (1 - cheap_quality):.2f}" if cheap_quality < 1 else ""
    return (
        f"| {name} | {len(some)} | {models} | {cheap_quality:.1%}, {cheap_cost:.1%} "
        f"| {quality:.1%} [{low:.1%}, {high:.1%}], {cost:.1%} | {why.total() / len(some):.1%}: {reasons} | {gap} |"
    )


def shares(some: Sequence[Outcome]) -> tuple[float, float]:
    """The cascade's quality and cost, as shares of the strong model's."""
    quality = _share([one.quality for one in some], [one.row.q_strong for one in some])
    return quality, _share([one.cost for one in some], [one.strong for one in some])


def _share(some: Sequence[float], whole: Sequence[float]) -> float:
    return sum(some) / sum(whole) if sum(whole) else 1.0


def _interval(some: Sequence[Outcome], resampled: int) -> tuple[float, float]:
    draw = random.Random(_SEED)
    pairs = [(one.quality, one.row.q_strong) for one in some]
    found = []
    for _ in range(resampled):
        drawn = draw.choices(pairs, k=len(pairs))
        found.append(_share([one for one, _ in drawn], [strong for _, strong in drawn]))
    found.sort()
    return found[int(0.025 * len(found))], found[int(0.975 * len(found))]


def _goals(found: Mapping[str, Sequence[Outcome]]) -> Iterator[str]:
    for goal in GOALS:
        some = [one for each in found.values() for one in each if _fits(goal, one.row)]
        text = (
            f"- {goal.family}, {goal.strong}: quality at least {goal.quality:.1%} at a cost of at most {goal.cost:.0%}"
        )
        if not some:
            yield f"{text}: no data"
            continue
        quality, cost = shares(some)
        word = "reached" if quality >= goal.quality and cost <= goal.cost else "MISSED"
        yield f"{text}: {quality:.1%} at {cost:.1%}, {word}"


def _fits(goal: Goal, row: Row) -> bool:
    return row.family == goal.family and row.strong.startswith(goal.strong)
