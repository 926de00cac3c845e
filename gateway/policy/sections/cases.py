"""Cases: the policy's own tests, each with the place it is written at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.call import FEATURES
from gateway.policy import schema
from gateway.policy.mistakes import Mistakes, Path, Place, nearest
from gateway.policy.shapes import listed


@dataclass(frozen=True, slots=True)
class Case:
    """A call to decide about, and what must come of it."""

    name: str
    place: Place
    request: schema.Request
    expect: schema.Expectation


def compile_cases(policy: schema.Policy, at: Sequence[int], mistakes: Mistakes) -> tuple[Case, ...]:
    """`at` gives for each test its position among those written."""
    cases: dict[str, Case] = {}
    for index, test in zip(at, policy.tests, strict=True):
        path: Path = ("tests", index)
        if test.name in cases:
            mistakes.add((*path, "name"), f"there is already a test {test.name!r}, at {cases[test.name].place}")
        if not test.expect.model_fields_set:
            mistakes.add((*path, "expect"), "nothing is expected: say route, model, deployment or error")
        for feature in sorted(set(listed(test.request.has)) - FEATURES):
            mistakes.add((*path, "request", "has"), f"there is no feature {feature!r}{nearest(feature, FEATURES)}")
        cases.setdefault(test.name, Case(test.name, mistakes.place((*path, "name")), test.request, test.expect))
    return tuple(cases.values())
