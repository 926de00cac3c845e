"""The rollouts of all templates, as this worker knows them, kept in step with those of all the others.

Rows of calls come in, what they say is counted, and a version that is shown to be worse than its bounds allow is stepped back: at
once here, and everywhere within INTERVAL. `held` is asked by each call and costs a look into a table.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.core.clock import Clock
from gateway.template.rollout.board import Board, Change
from gateway.template.rollout.bounds import Measure, StepBack
from gateway.template.rollout.counted import SHADOW
from gateway.template.rollout.evidence import Shown, Watched, shown
from gateway.template.rollout.ledger import Ledger, States
from gateway.template.rollout.outcome import SHADOW as BESIDE
from gateway.template.rollout.outcome import Outcome, Row, outcome_of
from gateway.template.rollout.standing import Standing, Stepped, basis_of, key_of, trial_of
from gateway.template.rules import Rollout, Template, Version

INTERVAL = 1.0
"""Seconds between two looks at what other workers have said."""
WRITES = 2.0
"""Seconds after which what was counted here is added in the store."""
UNITS = 50_000
"""Conversations and end users that are remembered, so that each counts once."""
_NOBODY: frozenset[int] = frozenset()
OVERRIDE = "override"
"""Why a call has its version, where an admin said so: see core.prompt.Prompt."""

Templates = Mapping[str, Template]
Tell = Callable[[Mapping[str, object]], None]
"""Gets what operators should hear of; must not block."""


@dataclass(frozen=True, slots=True)
class Held:
    """`template` as it is in force: its file's, or, `is_overridden`, with an admin's word. `stepped_back` are versions that get
    no calls."""

    template: Template
    stepped_back: frozenset[int] = _NOBODY
    is_overridden: bool = False


@dataclass(slots=True)
class Followed:
    """A template of the policy in force. `watched` by the number of each new version of its rollout."""

    template: Template
    basis: str
    key: str
    ledger: Ledger
    held: Held
    standing: Standing = field(default_factory=Standing)
    watched: dict[int, Watched] = field(default_factory=dict)
    written: float = 0.0

    def trial(self, number: int) -> str:
        return trial_of(self.basis, self.standing, self.template.versions[number].hash)


class Rollouts:
    """`writer` gives names that no other writer has, ever: each call another."""

    def __init__(self, states: States, writer: Callable[[], str], clock: Clock, tell: Tell, *, pepper: bytes) -> None:
        self._states = states
        self._writer = writer
        self._clock = clock
        self._tell = tell
        self._pepper = pepper
        self._followed: dict[str, Followed] = {}
        self._units: OrderedDict[tuple[str, str, str], None] = OrderedDict()
        self._wakes = asyncio.Event()
        self.board = Board(self._told, pepper=pepper)
        self.stepped_back = 0
        """By this worker, ever."""

    def __iter__(self) -> Iterator[Followed]:
        return iter(list(self._followed.values()))

    def held(self, template: Template) -> Held:
        """What is in force for calls of this template, which need not be the policy's any more, or yet."""
        followed = self._followed.get(template.name)
        if followed is not None and followed.template is template:
            return followed.held
        return held_of(template, self.board.standing(key_of(template, basis_of(template))))

    def see(self, row: Row) -> None:
        """Of each call, once it has ended."""
        outcome = outcome_of(row)
        if outcome is not None and row["prompt"]["reason"] == BESIDE:
            self.observe_shadow(outcome)
        elif outcome is not None:
            self.observe(outcome)

    def hear(self, row: Row, *, is_good: bool) -> None:
        """A caller's word on the answer to the call of this row. Each call is judged once, as far as is remembered."""
        outcome = outcome_of(row)
        if outcome is not None and self._is_new((outcome.template, str(row["id"]), "judged")):
            self.judge(outcome, is_good=is_good)

    def observe(self, outcome: Outcome) -> None:
        """Of each call that had a template, once it has ended."""
        followed = self._followed.get(outcome.template)
        if followed is None:
            return
        now = self._clock.now()
        outcome.count(followed.ledger.news.tally(outcome.version, now))
        if outcome.unit:
            for measure, value in outcome.measured():
                self._compare(followed, outcome, measure, value, now)

    def observe_shadow(self, outcome: Outcome) -> None:
        """Of a call of ours that asked a new version beside a client's."""
        followed = self._followed.get(outcome.template)
        if followed is not None:
            outcome.count(followed.ledger.news.tally(SHADOW + outcome.version, self._clock.now()))

    def judge(self, outcome: Outcome, *, is_good: bool) -> None:
        """A caller's word on the answer to a call with this outcome."""
        followed = self._followed.get(outcome.template)
        if followed is None:
            return
        now = self._clock.now()
        tally = followed.ledger.news.tally(outcome.version, now)
        tally.rated += 1
        tally.good += is_good
        if outcome.unit:
            self._compare(followed, outcome, Measure.FEEDBACK, 0.0 if is_good else 1.0, now)

    async def begin(self, templates: Callable[[], Templates]) -> Coroutine[Any, Any, None]:
        """Learns what was said, so that no call goes to a version that was stepped back. What is returned is to run."""
        await self.flush(templates())
        return self.run(templates)

    async def run(self, templates: Callable[[], Templates]) -> None:
        """Writes and reads what there is, until it is cancelled. `templates` gives those in force."""
        while True:
            await self.flush(templates())
            self._wakes.clear()
            try:
                async with asyncio.timeout(INTERVAL):
                    await self._wakes.wait()
            except TimeoutError:
                continue

    def follow(self, templates: Templates) -> None:
        """These are the templates of the policy in force."""
        for name in self._followed.keys() - templates.keys():
            del self._followed[name]
        for template in templates.values():
            self._follow(template)

    async def flush(self, templates: Templates, *, everything: bool = False) -> None:
        """Of the templates that there are; the others are forgotten here, and not in the store. `everything`: also what was
        counted a moment ago, here and elsewhere."""
        now = self._clock.now()
        self.follow(templates)
        for followed in self:
            if everything or (followed.ledger.has_news and now - followed.written >= WRITES):
                followed.written = now
                await followed.ledger.flush(self._states, now)
                self._judge_all(followed, now)
        await self.board.flush(self._states, now)
        for followed in self:
            self._look(followed)

    async def order(self, followed: Followed, change: Change) -> Standing:
        """Changes what is said of a template, here at once and everywhere within INTERVAL. Raises Overloaded, and what `change`
        does."""
        standing = await self.board.change(self._states, followed.key, change, self._clock.now())
        self._look(followed)
        return standing

    def shown(self, followed: Followed, number: int, only: Measure | None = None) -> list[Shown]:
        """How near each bound of a new version, or that of one measure, is to being crossed."""
        rollout = followed.template.rollout
        if rollout is None:
            return []
        evidence = followed.ledger.evidence(followed.trial(number), only)
        return shown(evidence, rollout.step_back, versions=max(1, len(followed.watched)), only=only)

    def _compare(self, followed: Followed, outcome: Outcome, measure: Measure, value: float, now: float) -> None:
        """A conversation, or an end user, counts once: its later calls are like its first."""
        number = number_of(followed.template, outcome.version)
        rollout = followed.template.rollout
        if number is None or rollout is None or not self._is_first(followed, outcome.unit, measure):
            return
        new = followed.watched if number == rollout.baseline else [number]
        for each in new:
            watched = followed.watched.get(each)
            pair = None if watched is None else watched.note(measure, value, is_new=each == number)
            if watched is None or pair is None:
                continue
            followed.ledger.news.learn(followed.trial(each), watched.taken(), now)
            if pair > 0:  # no other makes a stake grow
                self._judge_one(followed, each, now, measure)

    def _is_first(self, followed: Followed, unit: str, measure: Measure) -> bool:
        return self._is_new((f"{followed.key}:{followed.standing.trial}", unit, measure.value))

    def _is_new(self, name: tuple[str, str, str]) -> bool:
        if name in self._units:
            self._units.move_to_end(name)
            return False
        self._units[name] = None
        if len(self._units) > UNITS:
            self._units.popitem(last=False)
        return True

    def _judge_all(self, followed: Followed, now: float) -> None:
        for number in followed.watched:
            self._judge_one(followed, number, now)

    def _judge_one(self, followed: Followed, number: int, now: float, only: Measure | None = None) -> None:
        rollout, version = followed.template.rollout, followed.template.versions[number].hash
        if rollout is None or version in followed.standing.stepped:
            return
        crossed = next((each for each in self.shown(followed, number, only) if each.is_crossed), None)
        if crossed is None:
            return
        stepped = Stepped(
            at=now,
            measure=crossed.measure,
            bound=crossed.bound,
            evidence=crossed.evidence,
            needed=crossed.needed,
            pairs=crossed.pairs,
            current=followed.template.versions[rollout.baseline].hash,
        )
        self.board.step_back(followed.key, version, stepped)
        self._look(followed)
        self._wakes.set()

    def _follow(self, template: Template) -> None:
        before = self._followed.get(template.name)
        if before is not None and before.template is template:
            return
        basis = basis_of(template)
        ledger = before.ledger if before is not None else Ledger(template.name, self._writer(), pepper=self._pepper)
        followed = Followed(template, basis, key_of(template, basis), ledger, Held(template))
        if before is not None and before.basis == basis:
            followed.watched = before.watched
        self._followed[template.name] = followed
        self._look(followed)

    def _look(self, followed: Followed) -> None:
        """Once for each change, and not for each call."""
        template, before = followed.template, followed.standing
        standing = followed.standing = self.board.standing(followed.key)
        followed.held = held_of(template, standing)
        kept = followed.watched if standing.trial == before.trial else {}
        bounds = StepBack() if template.rollout is None else template.rollout.step_back
        followed.watched = {each: kept.get(each) or Watched(bounds) for each in candidates(template, standing)}

    def _told(self, key: str, version: str, stepped: Stepped) -> None:
        self.stepped_back += 1
        name, _, _ = key.rpartition("|")
        followed = self._followed.get(name)
        number = None if followed is None else number_of(followed.template, version)
        self._tell(
            {
                "event": "template.stepped_back",
                "template": name,
                "version": number,
                "hash": version,
                "measure": stepped.measure,
                "bound": stepped.bound,
                "why": stepped.why,
            }
        )


def held_of(template: Template, standing: Standing) -> Held:
    """What is in force of a template that stands so."""
    current = in_force(template, standing)
    if current is not template:
        return Held(current, is_overridden=True)
    numbers = {number_of(template, version) for version in standing.stepped}
    return Held(template, frozenset(number for number in numbers if number is not None))


def number_of(template: Template, version: str) -> int | None:
    """Of the version with this hash; where several have the same, the rollout's or the last."""
    found = [each.number for each in template.versions.values() if each.hash == version]
    weights = template.rollout.weights if template.rollout is not None else {}
    return next((number for number in found if number in weights), found[-1] if found else None)


def candidates(template: Template, standing: Standing) -> Iterable[int]:
    """The new versions of a rollout that are compared with its baseline."""
    rollout = template.rollout
    if rollout is None or standing.override is not None:
        return
    for number, weight in rollout.weights.items():
        if number != rollout.baseline and weight > 0 and number in template.versions:
            yield number


def in_force(template: Template, standing: Standing) -> Template:
    """With an override, one version gets all calls that name none."""
    override = standing.override
    number = None if override is None else number_of(template, override.version)
    if number is None:
        return template
    by = template.rollout or Rollout({number: 1}, number)
    return replace(template, standing=number, rollout=replace(by, weights={number: 1}, baseline=number, shadow=None))


def serving(template: Template, standing: Standing) -> Version:
    """The version that most calls get."""
    current = in_force(template, standing)
    number = current.standing if current.rollout is None else current.rollout.baseline
    return current.versions[number]


def shares(followed: Followed) -> Mapping[int, float]:
    """Of the calls that name no version, by the number of the version that gets them."""
    current = in_force(followed.template, followed.standing)
    if current.rollout is None:
        return {current.standing: 1.0}
    out = set() if followed.standing.override else {number_of(current, each) for each in followed.standing.stepped}
    weights = {number: weight for number, weight in current.rollout.weights.items() if number not in out}
    whole = sum(weights.values())
    if not whole:
        return {current.rollout.baseline: 1.0}
    return {number: round(weight / whole, 6) for number, weight in weights.items()}
