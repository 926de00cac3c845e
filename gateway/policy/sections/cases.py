"""Cases: the policy's own tests, each with the place it is written at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.core.call import FEATURES
from gateway.policy import schema, schema_tests
from gateway.policy.mistakes import Mistakes, Path, Place, nearest
from gateway.policy.shapes import listed
from gateway.route.candidates import Standing
from gateway.template.choose import named
from gateway.template.prompts import Templates
from gateway.template.wanted import PREFIX, split


@dataclass(frozen=True, slots=True)
class Case:
    """A call to decide about, and what must come of it. `state` is how candidates stand, by `route` or `route/candidate`;
    `answers` are what models say, by their names."""

    name: str
    place: Place
    request: schema_tests.Request
    state: Mapping[str, Standing]
    answers: Mapping[str, str]
    expect: schema_tests.Expectation


def compile_cases(
    policy: schema.Policy, at: Sequence[int], templates: Templates, mistakes: Mistakes
) -> tuple[Case, ...]:
    """`at` gives for each test its position among those written."""
    cases: dict[str, Case] = {}
    candidates = {
        name
        for route in policy.routes
        if route.candidates
        for name in (route.name, *(f"{route.name}/{each}" for each in route.candidates))
    }
    models = {*policy.models}
    for index, test in zip(at, policy.tests, strict=True):
        path: Path = ("tests", index)
        if test.name in cases:
            mistakes.add((*path, "name"), f"there is already a test {test.name!r}, at {cases[test.name].place}")
        if not test.expect.model_fields_set:
            mistakes.add(
                (*path, "expect"),
                "nothing is expected: say route, model, template, deployment, reason, candidate, because or error",
            )
        for feature in sorted(set(listed(test.request.has)) - FEATURES):
            mistakes.add((*path, "request", "has"), f"there is no feature {feature!r}{nearest(feature, FEATURES)}")
        for name in test.state:
            if name not in candidates:
                message = f"there is no route with candidates, or route/candidate, {name!r}{nearest(name, candidates)}"
                mistakes.add((*path, "state", name), message, key=True)
        for name in test.answers:
            if name not in models:
                mistakes.add((*path, "answers", name), f"there is no model {name!r}{nearest(name, models)}", key=True)
        _check_template(test, path, policy, templates, mistakes)
        state = {name: Standing(standing) for name, standing in test.state.items()}
        place = mistakes.place((*path, "name"))
        cases.setdefault(test.name, Case(test.name, place, test.request, state, test.answers, test.expect))
    return tuple(cases.values())


def _check_template(
    test: schema_tests.Test, path: Path, policy: schema.Policy, templates: Templates, mistakes: Mistakes
) -> None:
    """A test may ask for what is not there only to be refused."""
    request, expect = test.request, test.expect
    if request.template is not None and expect.error is None and (wrong := _unknown(request.template, templates)):
        mistakes.add((*path, "request", "template"), wrong)
    if expect.template is not None and (wrong := _unknown(expect.template, templates)):
        mistakes.add((*path, "expect", "template"), wrong)
    asks = request.template is not None or (request.model or "").startswith(PREFIX)
    if request.variables and not asks and not any(route.template for route in policy.routes):
        mistakes.add((*path, "request", "variables"), "no template is asked for: say `template`", key=True)


def _unknown(written: str, templates: Templates) -> str | None:
    name, version = split(written)
    template = templates.named.get(name)
    if template is None:
        return f"there is no template {name[:64]!r}{nearest(name, templates.named)}"
    if named(template, version) is None:
        return f"the template {name!r} has no version or label {version!r}"
    return None
