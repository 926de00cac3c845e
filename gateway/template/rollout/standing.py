"""What was said of a template's rollout beside its file: versions that were stepped back, and an admin's override.

It holds for one state of the file: `basis` is a digest of the rollout, the labels and the texts they name. Where one of them
changes, what was said before means nothing any more.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from gateway.template.rollout.bounds import StepBack
from gateway.template.rules import Template

KEPT = 30 * 86_400.0
"""Seconds after its last change for which a standing is kept."""


class Stepped(msgspec.Struct, frozen=True):
    """A version that was taken out of a rollout. `evidence` was what a stake of 1 became, `needed` what it takes, after so many
    `pairs` of its calls with those of `current`, a version's hash. `at` in UTC seconds."""

    at: float
    measure: str
    bound: str
    evidence: float
    needed: float
    pairs: int
    current: str

    @property
    def why(self) -> str:
        return f"{self.measure}: worse than {self.bound} allows, shown by {self.pairs} comparisons"


class Override(msgspec.Struct, frozen=True):
    """An admin's word: `version`, a hash, gets all calls. `before` got most of them until then. `kind`: promote or rollback."""

    kind: str
    version: str
    before: str
    who: str
    reason: str
    at: float


class Standing(msgspec.Struct, frozen=True):
    """`stepped` by the version's hash. `trial` is raised by a reset: what was shown before it counts no more."""

    stepped: dict[str, Stepped] = {}
    override: Override | None = None
    trial: int = 0
    at: float = 0.0

    def etag(self, basis: str) -> str:
        """What an admin who changes it says that it saw."""
        told = basis.encode() + _encode((sorted(self.stepped), self.override, self.trial))
        return blake2b(told, digest_size=8, person=b"template etag").hexdigest()


class Standings(msgspec.Struct):
    """Those of all templates, by their name and basis: workers that have another state of the file leave each other's alone."""

    form: int = 1
    of: dict[str, Standing] = {}

    def forget(self, now: float) -> None:
        self.of = {name: each for name, each in self.of.items() if each.at > now - KEPT}


_encode = msgspec.msgpack.Encoder().encode


def basis_of(template: Template) -> str:
    """Versions that neither a label nor the rollout names may come and go."""
    rollout = template.rollout
    named = {template.standing, *template.labels.values(), *(rollout.weights if rollout is not None else ())}
    told = (
        sorted((number, template.versions[number].hash) for number in named if number in template.versions),
        sorted(template.labels.items()),
        template.standing,
        None if rollout is None else _written(template, rollout.step_back),
    )
    return blake2b(_encode(told), digest_size=8, person=b"template basis").hexdigest()


def key_of(template: Template, basis: str) -> str:
    return f"{template.name}|{basis}"


def trial_of(basis: str, standing: Standing, version: str) -> str:
    """Under which the evidence about a new version, by its hash, is counted."""
    return f"{basis}:{standing.trial}:{version}"


def _written(template: Template, bounds: StepBack) -> object:
    rollout = template.rollout
    assert rollout is not None
    limits = [(measure.value, limit.ratio, limit.more) for measure, limit in bounds.limits()]
    return sorted(rollout.weights.items()), rollout.baseline, rollout.by.value, rollout.salt, limits, bounds.confidence
