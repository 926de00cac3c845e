"""A route of the semantic cache: what it has earned, and what its calls looked like lately."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from gateway.cache.key import digest
from gateway.cache.semantic.asked import Asked, Found, SemanticRule
from gateway.cache.semantic.earned import Choice, Promise
from gateway.cache.semantic.proof.judge import MISSED_BY_JUDGE
from gateway.cache.semantic.proof.shared import Shared

EXAMPLES = 20
"""Of each kind, the last ones, of this worker."""
LOWEST = 0.7
STEP = 0.02
_BINS = 16
_SHOWN = 300
_VERSION = 1
"""Of the guard and the comparison: another one makes every route begin anew."""


@dataclass(frozen=True, slots=True)
class Example:
    """Two questions that were near, and what came of it."""

    org: str
    name: str
    question: str
    neighbour: str
    similarity: float
    what: str


@dataclass(slots=True)
class Lately:
    """Since this worker started. `bins` counts candidates by similarity, from LOWEST in steps of STEP."""

    reasons: Counter[str] = field(default_factory=Counter)
    bins: list[int] = field(default_factory=lambda: [0] * _BINS)
    near_misses: deque[Example] = field(default_factory=lambda: deque(maxlen=EXAMPLES))
    wrong: deque[Example] = field(default_factory=lambda: deque(maxlen=EXAMPLES))


class Route:
    """One for each set of all that what is earned depends on: see `name_of`."""

    def __init__(self, asked: Asked, embedder: str, name: str, random: Callable[[], float], *, pepper: bytes) -> None:
        self.route = asked.route
        self.rule = asked.rule
        self.embedder = embedder
        self.model = asked.target.model
        self.template = asked.target.template
        self.shared = Shared(name, promise(asked.rule), random, pepper=pepper)
        self.lately = Lately()

    @property
    def floor(self) -> float:
        """Below it there are no candidates."""
        floor = self.shared.promise.floor
        return floor if self.rule.threshold is None else min(floor, self.rule.threshold)

    def choose(self, score: float) -> Choice:
        if self.rule.threshold is not None:
            return self.shared.choose_above(score, self.rule.threshold)
        return self.shared.choose(score)

    def note(self, found: Found) -> None:
        """Counts what was found."""
        self.lately.reasons[found.reason] += 1
        if found.similarity is None:
            return
        place = int((found.similarity - LOWEST) / STEP + 1e-6)
        self.lately.bins[min(max(place, 0), _BINS - 1)] += 1
        if found.verdict in ("pass", "none"):
            self.lately.near_misses.append(_example(found, found.reason))

    def note_wrong(self, found: Found) -> None:
        self.lately.wrong.append(_example(found, "the answers differ"))

    def forget(self, *, names: frozenset[str] = frozenset(), org: str | None = None) -> None:
        """Takes the texts of these from the examples."""
        for some in (self.lately.near_misses, self.lately.wrong):
            kept = [one for one in some if one.name not in names and one.org != org]
            some.clear()
            some.extend(kept)

    def state(self) -> dict[str, Any]:
        """`state` is `learning`, `earned`, `off` (it has learnt, and earned nothing) or `unproven` (the policy has a threshold).

        `hits`, `compared` and `wrong` are those of all workers; `bound` is the share of wrong hits that hits from `threshold` on
        stay under with `confidence`, or all candidates while there is no threshold. The rest is of this worker since it
        started: `reasons`, `histogram` (pairs of a similarity and a count), and examples, the newest last, each with the `name`
        of the entry that is kept for its `neighbour`.
        """
        state, threshold = self.shared.state, self.threshold
        return {
            "route": self.route,
            "model": self.model,
            "template": self.template,
            "embedder": self.embedder,
            "max_error": self.rule.max_error,
            "judge": self.rule.judge,
            "state": self._word,
            "threshold": threshold,
            "hits": self.shared.served,
            "compared": state.compared,
            "wrong": state.found_wrong,
            "lost": state.lost,
            "labels": state.labels,
            "labels_to_learn": self.shared.promise.shadowed,
            "bound": min(
                1.0, self.shared.bound(self.floor if threshold is None else threshold) / (1 - missed(self.rule))
            ),
            "confidence": self.shared.promise.confidence,
            "reasons": dict(self.lately.reasons),
            "histogram": [[round(LOWEST + STEP * place, 2), count] for place, count in enumerate(self.lately.bins)],
            "near_misses": [_shown(one) for one in self.lately.near_misses],
            "wrong_examples": [_shown(one) for one in self.lately.wrong],
        }

    @property
    def threshold(self) -> float | None:
        return self.shared.threshold if self.rule.threshold is None else self.rule.threshold

    @property
    def _word(self) -> str:
        if self.rule.threshold is not None:
            return "unproven"
        if self.threshold is not None:
            return "earned"
        return "learning" if self.shared.state.learning else "off"


def name_of(asked: Asked, embedder: str, pepper: bytes) -> str:
    """Under which a route's state is kept. Another model, deployment, template, rule or embedder makes another name, and so the
    route begins anew."""
    rule, target = asked.rule, asked.target
    parts = (
        *(_VERSION, asked.route, target.operation, target.model, target.route, target.template, target.deployments),
        *(embedder, rule.max_error, rule.threshold, rule.judge, asked.hottest),
    )
    return digest(pepper, b"earned" + orjson.dumps(parts)).hex()


def promise(rule: SemanticRule) -> Promise:
    """The promise that the comparisons are held to. Of wrong answers, `missed` are taken for right ones; so if the share that is
    seen stays below max_error x (1 - missed), the share that is there stays below max_error."""
    kept = Promise()
    return kept if rule.max_error is None else replace(kept, max_error=rule.max_error * (1 - missed(rule)))


def missed(rule: SemanticRule) -> float:
    """The share of wrong answers that the comparison of this rule may take for right ones: none, where no judge errs."""
    return 0.0 if rule.judge is None else MISSED_BY_JUDGE


def _example(found: Found, what: str) -> Example:
    return Example(
        found.asked.org,
        found.name or "",
        found.question[:_SHOWN],
        found.neighbour[:_SHOWN],
        found.similarity or 0.0,
        what,
    )


def _shown(one: Example) -> dict[str, Any]:
    return {
        "name": one.name,
        "question": one.question,
        "neighbour": one.neighbour,
        "similarity": round(one.similarity, 4),
        "what": one.what,
    }
