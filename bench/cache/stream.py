"""A stream of questions against an empty cache, decided by one rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.cache.data import Asked
from bench.cache.embedded import Embedded
from bench.cache.neighbours import Neighbours
from bench.cache.rules import Rule, Shelf


@dataclass(frozen=True, slots=True)
class Outcome:
    """Shares; `repeats` are the calls whose answer was already kept or served, `found` the share of them answered rightly;
    `compared` the calls that a rule sent upstream though it might have served them."""

    calls: int
    hits: float
    wrong_among_hits: float
    wrong_among_all: float
    late_hits: float
    late_wrong_among_hits: float
    found: float
    compared: int
    note: str

    @property
    def served(self) -> int:
        return round(self.hits * self.calls)


def run(
    asked: Sequence[Asked], rule: Rule, neighbours: Neighbours, embedded: Embedded, *, answers_repeat: bool = True
) -> Outcome:
    """What was served is never kept again. `late` is the stream's second half."""
    kept = neighbours.among(len(asked))
    shelf = Shelf(embedded, answers_repeat=answers_repeat)
    results: list[bool | None] = []
    labels: set[str] = set()
    repeats = 0
    for number, question in enumerate(asked):
        found = kept.search(question.text, least=rule.floor)
        served = rule.serve(question, found, shelf)
        results.append(None if served is None else shelf.asked[served].label == question.label)
        repeats += question.label in labels
        labels.add(question.label)
        if served is None and rule.learn(question, found, shelf):
            kept.add(str(number), question.text)
            shelf.asked[str(number)] = question
    return _outcome(results, repeats, rule)


def _outcome(results: list[bool | None], repeats: int, rule: Rule) -> Outcome:
    late = results[len(results) // 2 :]
    return Outcome(
        calls=len(results),
        hits=_hits(results),
        wrong_among_hits=_wrong(results),
        wrong_among_all=results.count(False) / len(results),
        late_hits=_hits(late),
        late_wrong_among_hits=_wrong(late),
        found=results.count(True) / max(1, repeats),
        compared=rule.compared,
        note=rule.note,
    )


def _hits(results: list[bool | None]) -> float:
    return 1 - results.count(None) / len(results)


def _wrong(results: list[bool | None]) -> float:
    return results.count(False) / max(1, len(results) - results.count(None))
