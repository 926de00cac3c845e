"""Which version of a template a call gets: the one it names, or the one that is drawn for its conversation or end user.

A draw gives each version a number of its own, evenly spread, and takes the version for which number and weight come to the
least (weighted rendezvous hashing). So a version whose weight grows takes conversations from others and gives none away, and one
that leaves gives away its own alone; who is with a version that nothing was changed about stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from hashlib import blake2b
from math import log

from gateway.template.rules import PRODUCTION, Rollout, Template, Version

_SHORTEST_HASH = 6
_NONE: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Choice:
    """`reason` and `drawn` as core.prompt.Prompt has them."""

    version: Version
    reason: str
    drawn: int | None = None


def choose(
    template: Template,
    asked: str | None,
    unit: str,
    *,
    stepped_back: Set[int] = _NONE,
    weights: Mapping[int, int] | None = None,
    kept: int | None = None,
) -> Choice | None:
    """`asked` is what stands behind the `@`: a number, a label, or the first six or more digits of a hash; None where there is
    none. `unit` is who keeps a version. None where there is no such version.

    Only calls that ask for `production`, or for no version, take part in a rollout. There, `stepped_back` are versions that get
    no calls, `weights` count in the place of the file's, and `kept` is the version that the conversation began with, which it
    keeps as long as that has any weight.
    """
    rollout = template.rollout
    if rollout is None or asked not in (None, PRODUCTION):
        return named(template, asked)
    if weights is None:
        weights = rollout.weights
    drawn = draw(template, rollout, unit, weights)
    if kept is not None and weights.get(kept, 0) > 0 and kept in template.versions and kept not in stepped_back:
        return Choice(template.versions[kept], "sticky", drawn)
    if drawn not in stepped_back:
        return Choice(template.versions[drawn], "rollout", drawn)
    left = {number: weight for number, weight in weights.items() if number not in stepped_back}
    number = draw(template, rollout, unit, left) if any(left.values()) else rollout.baseline
    return Choice(template.versions[number], "stepped_back", drawn)


def draw(template: Template, rollout: Rollout, unit: str, weights: Mapping[int, int]) -> int:
    """Always the same for the same unit and weights. Weights that are 0, or of versions that are gone, get nobody; without any
    other the baseline gets all."""
    best, least = rollout.baseline, float("inf")
    for number, weight in weights.items():
        if weight > 0 and number in template.versions:
            length = -log(_evenly(template.name, rollout.salt, str(number), unit)) / weight
            if length < least:
                best, least = number, length
    return best


def named(template: Template, asked: str | None) -> Choice | None:
    """What a call gets that takes part in no rollout; None where there is no such version."""
    if asked is None:
        reason = "label" if PRODUCTION in template.labels else "only"
        return Choice(template.versions[template.standing], reason)
    if asked in template.labels:
        return Choice(template.versions[template.labels[asked]], "label")
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < _SHORTEST_HASH else 0
    if number in template.versions:
        return Choice(template.versions[number], "number")
    if len(asked) >= _SHORTEST_HASH:
        found = [each for each in template.versions.values() if each.hash.startswith(asked)]
        if len(found) == 1:
            return Choice(found[0], "hash")
    return None


def _evenly(*names: str) -> float:
    """A number above 0 and at most 1, the same for the same names."""
    text = b"".join(b"%d:%b" % (len(part), part) for part in (name.encode("utf-8", "surrogatepass") for name in names))
    return (int.from_bytes(blake2b(text, digest_size=8).digest()) + 1) / 2**64
