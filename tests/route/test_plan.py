"""The first route that fits decides; what may not be used looks as if it were not there."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.call import Call, Operation
from gateway.core.deployment import Deployment, Model, Provider
from gateway.core.errors import NotFound
from gateway.core.tenant import Tenant
from gateway.route import plan
from gateway.route.decision import Circumstances, Decision
from gateway.route.rules import Match, Route, Routes, Span

PROVIDER = Provider("p", "openai")


def deployment(name: str, weight: int = 1) -> Deployment:
    return Deployment(name=name, provider=PROVIDER, upstream_model=name, price=None, weight=weight)


CHEAP, STRONG = Model("cheap", (deployment("p/cheap"),)), Model("strong", (deployment("p/strong"),))
ACME = Tenant("acme", "search", "k1", "billing-1")


def call(model: str = "auto", **fields: Any) -> Call:
    return Call(id="r", operation=Operation.CHAT, received=0, model=model, body=b"", fields={}, **fields)


def never() -> int:
    raise AssertionError("no route asked for the number of tokens")


NEVER = Circumstances(never)


@pytest.mark.parametrize(
    ("match", "fitting", "other"),
    [
        (Match(models=("au*",)), call(), call("cheap")),
        (Match(keys=("billing-*",)), call(), None),
        (Match(keys=("search-*",)), None, call()),
        (Match(tenants=("acme/*",)), call(), None),
        (Match(tags=frozenset({"a", "b"})), call(tags=("b", "a", "c")), call(tags=("a",))),
        (Match(headers=((b"x-app", "web*"),)), call(headers={b"x-app": b"web1"}), call(headers={b"x-app": b"cli"})),
        (Match(headers=((b"x-app", "*"),)), call(headers={b"x-app": b""}), call()),
        (Match(has=frozenset({"tools"})), call(has=frozenset({"tools", "n"})), call()),
        (Match(has_not=frozenset({"tools"})), call(), call(has=frozenset({"tools"}))),
        (Match(stream=True), call(stream=True), call()),
        (Match(stream=False), call(), call(stream=True)),
        (Match(), call(), None),
    ],
)
def test_each_condition(match: Match, fitting: Call | None, other: Call | None) -> None:
    if fitting is not None:
        assert plan.fits(match, fitting, ACME, NEVER)
    if other is not None:
        assert not plan.fits(match, other, ACME, NEVER)


@pytest.mark.parametrize(("tokens", "fits"), [(9, False), (10, True), (20, True), (21, False)])
def test_a_range_of_tokens_has_both_its_ends(tokens: int, fits: bool) -> None:
    assert plan.fits(Match(tokens_in=Span(10, 20)), call(), ACME, Circumstances(lambda: tokens)) is fits


def test_the_first_route_that_fits_decides_and_else_the_model_that_was_named() -> None:
    routes = Routes(
        rules=(
            Route("tools", Match(has=frozenset({"tools"})), STRONG),
            Route("auto", Match(models=("auto",)), CHEAP),
            Route("late", Match(models=("auto",)), STRONG),
        ),
        models={"cheap": CHEAP, "strong": STRONG},
        aliases=frozenset({"auto"}),
    )

    assert plan.decide(call(), ACME, routes, NEVER) == Decision("auto", CHEAP, reason="rule")
    assert plan.decide(call("cheap", has=frozenset({"tools"})), ACME, routes, NEVER) == Decision(
        "tools", STRONG, reason="rule"
    )
    assert plan.decide(call("strong"), ACME, routes, NEVER) == Decision(None, STRONG)


def test_an_unknown_and_a_forbidden_model_are_answered_alike() -> None:
    routes = Routes(rules=(Route("all", Match(), CHEAP),), models={"cheap": CHEAP, "strong": STRONG})
    narrow = Tenant("acme", None, "k1", "n", models=(("*",), ("cheap",)))

    answers = []
    for tenant, name in ((ACME, "nope-x"), (narrow, "strong")):
        with pytest.raises(NotFound) as refused:
            plan.decide(call(name), tenant, routes, NEVER)
        answers.append((refused.value.status, refused.value.code, refused.value.message.replace(name, "X")))

    assert answers[0] == answers[1]
    assert plan.visible(narrow, routes) == ["cheap"]


def test_a_wildcard_is_resolved_by_the_name_asked_for() -> None:
    routes = Routes(rules=(), models={}, wildcards=(("p/*", lambda name: Model(name, (deployment(name),))),))

    assert plan.decide(call("p/new"), ACME, routes, NEVER).model.name == "p/new"
    with pytest.raises(NotFound):
        plan.decide(call("q/new"), ACME, routes, NEVER)


def test_weights_decide_who_is_first_and_fallbacks_come_last_in_their_order() -> None:
    nine, one, never_first = deployment("nine", 9), deployment("one", 1), deployment("zero", 0)
    model = Model("m", (nine, one, never_first), (deployment("f1"), deployment("f2")))
    random = Random(7)

    plans = [plan.order(model, random) for _ in range(10_000)]

    first = sum(each[0] is nine for each in plans) / len(plans)
    assert 0.88 < first < 0.92
    assert all([d.name for d in each[2:]] == ["zero", "f1", "f2"] for each in plans)


@given(weights=st.lists(st.integers(0, 100), max_size=8), fallbacks=st.integers(0, 3), seed=st.integers())
def test_a_plan_is_every_deployment_once_and_those_of_weight_zero_behind_the_others(
    weights: list[int], fallbacks: int, seed: int
) -> None:
    model = Model(
        "m",
        tuple(deployment(f"d{place}", weight) for place, weight in enumerate(weights)),
        tuple(deployment(f"f{place}") for place in range(fallbacks)),
    )

    drawn = plan.order(model, Random(seed))

    assert drawn[len(weights) :] == model.fallbacks
    own = drawn[: len(weights)]
    assert sorted(each.name for each in own) == sorted(each.name for each in model.deployments)
    first_unweighted = next((place for place, each in enumerate(own) if not each.weight), len(own))
    assert not any(each.weight for each in own[first_unweighted:])


def test_the_same_seed_draws_the_same_plan() -> None:
    model = Model("m", tuple(deployment(str(place), place) for place in range(5)))

    assert plan.order(model, Random(3)) == plan.order(model, Random(3))


@pytest.mark.parametrize(
    ("levels", "name", "fine"),
    [
        ((), "anything", True),
        ((("*",),), "anything", True),
        ((("gpt-*",),), "gpt-4o", True),
        ((("gpt-*",),), "GPT-4o", False),
        ((("gpt-*",), ("*-mini",)), "gpt-4o-mini", True),
        ((("gpt-*",), ("*-mini",)), "gpt-4o", False),
        (((),), "gpt-4o", False),
        ((("a", "b"),), "b", True),
    ],
)
def test_every_level_must_let_a_model_through(levels: tuple[tuple[str, ...], ...], name: str, fine: bool) -> None:
    assert plan.may_use(Tenant("acme", None, "k", "n", models=levels), name) is fine


def test_a_name_that_only_routes_know_is_no_model_when_none_of_them_fits() -> None:
    routes = Routes(
        rules=(Route("tools", Match(models=("auto",), has=frozenset({"tools"})), STRONG),),
        models={"strong": STRONG},
        aliases=frozenset({"auto"}),
    )

    assert plan.check("auto", ACME, routes) is None
    with pytest.raises(NotFound):
        plan.decide(call(), ACME, routes, NEVER)
    assert plan.visible(ACME, routes) == ["auto", "strong"]
