"""The scores of learned candidates: kept for each, learned anew from the labels of its trials, and shared with other workers.

A worker learns from the prompts that it has labelled itself and keeps no text of them anywhere else. It offers a score to the
others once it rests on as many labels as theirs; so after a restart the old score is used until there are labels enough again.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol

import orjson

from gateway.core.call import Call
from gateway.core.errors import Overloaded
from gateway.core.neighbour import Versioned
from gateway.core.seal import seal, unseal
from gateway.route.candidates import Learned
from gateway.route.decision import Verdict
from gateway.route.rules import Routes
from gateway.route.score.asked import asked
from gateway.route.score.fit import MOST_LABELS, fit
from gateway.route.score.prompt import Label
from gateway.route.score.score import Score
from gateway.route.score.state import load, save

ENOUGH = 50
"""Labels on which a score must rest before what comes of it counts for or against its certificate."""
INTERVAL = 5.0
"""Seconds between two looks at what other workers have learned."""
FIRST = 20
"""Labels with which a score is learned for the first time; then with each quarter more, and with 100 more at most."""
RECENT = 500
"""Calls by whose scores the share of strong ones is measured."""


class States(Protocol):
    """See gateway.store.contract.EarnedStore. Both raise Overloaded while the store is away."""

    async def get(self, name: str) -> Versioned | None: ...
    async def put(self, name: str, value: bytes, *, version: int) -> bool: ...


@dataclass(slots=True)
class _Kept:
    """Of one candidate on one route. `recent` are the scores of its last calls, and `ordered` the same, the least first."""

    name: str
    learned: Learned
    score: Score = field(default_factory=Score)
    labels: deque[Label] = field(default_factory=lambda: deque(maxlen=MOST_LABELS))
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    ordered: list[float] = field(default_factory=list)
    due: int = FIRST
    new: int = 0
    is_offered: bool = True

    def threshold(self) -> float:
        """Above which a call goes to the strong model, so that the share of these comes out as the policy wants it."""
        if not self.ordered:
            return float("inf") if self.learned.strong_share < 1 else float("-inf")
        place = round(len(self.ordered) * (1 - self.learned.strong_share))
        if not 0 < place < len(self.ordered):
            return float("-inf") if place == 0 else float("inf")
        return (self.ordered[place - 1] + self.ordered[place]) / 2

    def note(self, score: float) -> None:
        if len(self.recent) == RECENT:
            del self.ordered[bisect_left(self.ordered, self.recent[0])]
        self.recent.append(score)
        insort(self.ordered, score)


class LearnedScores:
    """Implements route.decision.Scores."""

    def __init__(self, states: States, *, pepper: bytes) -> None:
        self._states = states
        self._pepper = pepper
        self._kept: dict[tuple[str, str], _Kept] = {}

    def judge(self, route: str, learned: Learned, call: Call) -> Verdict:
        kept = self._of(route, learned)
        scored = kept.score.of(asked(call, route=route))
        threshold = kept.threshold()
        kept.note(scored.loss)
        parts = {
            "mean": scored.mean,
            "route": scored.route,
            "category": scored.category,
            "length": scored.length,
            "words": scored.words,
            "features": scored.features,
        }
        return Verdict(scored.loss, threshold, kept.score.labels, parts)

    def learn(self, route: str, learned: Learned, call: Call, *, weak: float) -> None:
        """A label: the weak model's quality, where the strong one's is 1."""
        kept = self._of(route, learned)
        kept.labels.append(Label(asked(call, route=route), 1.0, weak))
        kept.new += 1

    async def run(self, routes: Callable[[], Routes]) -> None:
        """Learns and shares until it is cancelled. `routes` gives those in force."""
        while True:
            await self.flush(routes())
            await asyncio.sleep(INTERVAL)

    async def flush(self, routes: Routes) -> None:
        wanted = {
            (route.name, candidate.name): (route.name, candidate)
            for route in routes.rules
            for candidate in route.candidates
            if isinstance(candidate, Learned)
        }
        for key in self._kept.keys() - wanted.keys():
            del self._kept[key]
        for name, learned in wanted.values():
            kept = self._of(name, learned)
            if kept.new >= kept.due:
                await self._fit(kept)
            await self._share(kept)

    async def _fit(self, kept: _Kept) -> None:
        labels = list(kept.labels)
        kept.new, kept.due = 0, max(FIRST, min(100, len(labels) // 4))
        score, recent = await asyncio.to_thread(_learned, labels)
        if score.labels >= kept.score.labels:
            kept.score, kept.is_offered = score, False
            kept.recent = deque(recent, maxlen=RECENT)
            kept.ordered = sorted(recent)

    async def _share(self, kept: _Kept) -> None:
        """Of two scores the one that rests on more labels is everybody's; of equal ones, the newer."""
        try:
            held = await self._states.get(kept.name)
            theirs = None if held is None else self._read(kept.name, held.value)
            if not kept.is_offered and (theirs is None or kept.score.labels >= theirs.labels):
                value = seal(orjson.dumps(save(kept.score)), place=kept.name, pepper=self._pepper)
                kept.is_offered = await self._states.put(kept.name, value, version=held.version if held else 0)
            elif theirs is not None and theirs.labels >= kept.score.labels and theirs != kept.score:
                kept.score, kept.is_offered = theirs, True
        except Overloaded:
            return

    def _read(self, name: str, value: bytes) -> Score | None:
        body = unseal(value, place=name, pepper=self._pepper)
        try:
            return None if body is None else load(orjson.loads(body))
        except orjson.JSONDecodeError:
            return None

    def _of(self, route: str, learned: Learned) -> _Kept:
        key = (route, learned.name)
        kept = self._kept.get(key)
        if kept is None or kept.learned is not learned:
            name = _name(route, learned, self._pepper)
            if kept is not None and kept.name == name:
                kept.learned = learned
            else:
                kept = self._kept[key] = _Kept(name, learned)
        return kept


def _learned(labels: list[Label]) -> tuple[Score, list[float]]:
    """The score, and what it says of the latest. It takes long: not for the event loop."""
    score = fit(labels)
    return score, [score.of(label.prompt).loss for label in labels[-RECENT:]]


def _name(route: str, learned: Learned, pepper: bytes) -> str:
    """Where its score is kept. Another share of strong calls is the same score."""
    models = [[each.name for each in model.deployments] for model in (learned.weak, learned.strong)]
    body = orjson.dumps([route, *models])
    return "score:" + blake2b(body, digest_size=32, key=pepper[:64], person=b"score").hexdigest()
