"""All that was counted of one template, as it is kept in the store, and what one worker has to add to it.

Both have one form: what is new is added to what is there. A worker numbers what it adds, and the store keeps the last number of
each, so that what was written although nobody said so is not added twice.
"""

from __future__ import annotations

import msgspec

from gateway.template.rollout.evidence import Evidence
from gateway.template.rollout.tally import Tally

HOUR = 3600
KEPT = 72
"""Hours for which calls are counted apart."""
ENDED = 30 * 86_400.0
"""Seconds after its last call for which what a rollout has shown is kept."""
RESTS = 86_400.0
"""Seconds after which a worker that adds nothing is forgotten: it knows by then what became of what it added."""


class Batch(msgspec.Struct, array_like=True):
    """The last that a worker added."""

    number: int
    at: float


class Trial(msgspec.Struct):
    """What calls have shown of one new version in one rollout. `at`: when the last pair was made, in UTC seconds."""

    evidence: Evidence = msgspec.field(default_factory=Evidence)
    at: float = 0.0


class Counted(msgspec.Struct):
    """`hours` by the hour since 1970 and the version's hash, behind SHADOW for calls whose answers nobody was served; `trials` by
    the rollout and the version, see standing.trial_of."""

    form: int = 1
    hours: dict[int, dict[str, Tally]] = {}
    trials: dict[str, Trial] = {}
    batches: dict[str, Batch] = {}

    def tally(self, version: str, at: float) -> Tally:
        """The one to count a call of this moment in."""
        return self.hours.setdefault(int(at // HOUR), {}).setdefault(version, Tally())

    def learn(self, trial: str, evidence: Evidence, at: float) -> None:
        held = self.trials.setdefault(trial, Trial())
        held.evidence.add(evidence)
        held.at = max(held.at, at)

    def add(self, other: Counted) -> None:
        """What a worker has to add; its batches are not looked at."""
        for hour, versions in other.hours.items():
            there = self.hours.setdefault(hour, {})
            for version, tally in versions.items():
                there.setdefault(version, Tally()).add(tally)
        for name, trial in other.trials.items():
            self.learn(name, trial.evidence, trial.at)

    def since(self, at: float) -> dict[str, Tally]:
        """By version, from the hour of that moment on."""
        found: dict[str, Tally] = {}
        for hour, versions in self.hours.items():
            if hour >= at // HOUR:
                for version, tally in versions.items():
                    found.setdefault(version, Tally()).add(tally)
        return found

    def forget(self, now: float) -> None:
        """What is too old to be asked for."""
        self.hours = {hour: each for hour, each in self.hours.items() if hour > now // HOUR - KEPT}
        self.trials = {name: each for name, each in self.trials.items() if each.at > now - ENDED}
        self.batches = {name: each for name, each in self.batches.items() if each.at > now - RESTS}

    @property
    def is_empty(self) -> bool:
        return not self.hours and not self.trials


SHADOW = "shadow:"
"""Before the hash of a version that was asked beside calls."""
