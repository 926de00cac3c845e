"""The order in which a model's deployments are tried: by its strategy, by weight between equals, and as a conversation began."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from gateway.core.call import Call
from gateway.core.deployment import Abilities, Deployment, Model, Strategy
from gateway.core.money import NANO, Price
from gateway.route import plan
from gateway.route.decision import Decision, Memory, Pin
from gateway.route.strategies import EXPLORED
from tests.route.cast import call, deployment

A, B, C = deployment("p/a"), deployment("p/b"), deployment("q/c")
LAST = deployment("q/last", 0)
FALLBACK = deployment("q/fallback")


@dataclass
class Watched:
    """What is known of deployments, by name."""

    under_way: dict[str, int] = field(default_factory=dict)
    seconds: dict[tuple[str, bool], float] = field(default_factory=dict)
    stale: set[str] = field(default_factory=set)

    def busy(self, deployment: str) -> int:
        return self.under_way.get(deployment, 0)

    def first_token(self, deployment: str, *, stream: bool) -> float | None:
        return self.seconds.get((deployment, stream))

    def is_fresh(self, deployment: str, *, stream: bool) -> bool:
        return (deployment, stream) in self.seconds and deployment not in self.stale


def usd(input: float, output: float) -> Price:
    """USD per million tokens."""
    return Price(int(input * NANO), int(output * NANO))


def model(strategy: Strategy, *deployments: Deployment, sticky: bool = False) -> Model:
    return Model("m", deployments or (A, B, C), (FALLBACK,), strategy=strategy, is_sticky=sticky)


def orders(
    of: Model,
    seen: Watched | None = None,
    *,
    asked: Call | None = None,
    decision: Decision | None = None,
    times: int = 2000,
) -> list[list[str]]:
    random, watched = Random(1), seen or Watched()
    plans = [plan.order(of, random, asked or call(), watched, decision) for _ in range(times)]
    return [[each.name for each in planned] for planned in plans]


def firsts(planned: list[list[str]]) -> Counter[str]:
    return Counter(each[0] for each in planned)


@pytest.mark.parametrize("strategy", list(Strategy))
def test_weight_nothing_and_fallbacks_stand_last_in_every_strategy(strategy: Strategy) -> None:
    seen = Watched({"p/a": 9, "p/b": 9}, {("q/last", False): 0.001, ("p/a", False): 5.0})
    free = replace(LAST, price=Price(0, 0))

    planned = orders(model(strategy, free, A, B), seen)

    assert all(each[2:] == ["q/last", "q/fallback"] for each in planned)


@pytest.mark.parametrize("strategy", list(Strategy))
def test_weights_decide_between_equals(strategy: Strategy) -> None:
    much, little = deployment("p/much", 9), deployment("p/little", 1)

    first = firsts(orders(model(strategy, little, much)))

    assert 0.87 < first["p/much"] / 2000 < 0.93


def test_the_cheapest_for_the_calls_own_tokens_comes_first_and_unknown_prices_last() -> None:
    long_prompts = deployment("p/prompts", price=usd(0.1, 9))
    long_answers = deployment("p/answers", price=usd(1, 1))
    of = model(Strategy.CHEAPEST, A, long_answers, long_prompts)

    long, short = orders(of, asked=call(body=b" " * 40_000)), orders(of, asked=call(body=b" " * 40))
    capped = orders(of, asked=call(body=b" " * 400, fields={"max_tokens": 1}))

    assert all(each[:3] == ["p/prompts", "p/answers", "p/a"] for each in long)
    assert all(each[:3] == ["p/answers", "p/prompts", "p/a"] for each in short)
    assert all(each[0] == "p/prompts" for each in capped)


def test_prices_in_tiers_count_for_prompts_as_long_as_that() -> None:
    tiered = deployment("p/tiered", price=replace(usd(0.1, 0.1), tiers=((1000, usd(9, 9)),)))
    flat = deployment("p/flat", price=usd(0.2, 0.2))
    of = model(Strategy.CHEAPEST, tiered, flat)

    assert firsts(orders(of, asked=call(body=b" " * 400))) == {"p/tiered": 2000}
    assert firsts(orders(of, asked=call(body=b" " * 8000))) == {"p/flat": 2000}


def test_the_least_busy_comes_first() -> None:
    planned = orders(model(Strategy.LEAST_BUSY), Watched({"p/a": 3, "p/b": 1, "q/c": 2}))

    assert all(each == ["p/b", "q/c", "p/a", "q/fallback"] for each in planned)


def test_the_fastest_comes_first_by_the_kind_of_answer_that_is_asked_for() -> None:
    seen = Watched(seconds={(f"{name}", stream): 1.0 for name in ("p/a", "p/b", "q/c") for stream in (True, False)})
    seen.seconds["p/b", True], seen.seconds["q/c", False] = 0.2, 0.3

    assert firsts(orders(model(Strategy.FASTEST), seen, asked=call(stream=True))) == {"p/b": 2000}
    assert firsts(orders(model(Strategy.FASTEST), seen)) == {"q/c": 2000}


@pytest.mark.parametrize("kind", ["unknown", "stale"])
def test_now_and_then_one_is_tried_of_which_nothing_new_is_known(kind: str) -> None:
    seen = Watched(seconds={("p/a", False): 0.1, ("p/b", False): 0.2})
    if kind == "stale":
        seen.seconds["q/c", False] = 9.0
        seen.stale.add("q/c")

    planned = orders(model(Strategy.FASTEST), seen, times=10_000)

    assert firsts(planned)["q/c"] / 10_000 == pytest.approx(EXPLORED, abs=0.01)
    assert all(each[:3] in (["p/a", "p/b", "q/c"], ["q/c", "p/a", "p/b"]) for each in planned)


def test_nobody_explores_what_has_weight_nothing() -> None:
    seen = Watched(seconds={("p/a", False): 0.1, ("p/b", False): 0.2})

    assert firsts(orders(model(Strategy.FASTEST, A, B, LAST), seen)) == {"p/a": 2000}


def in_conversation(id: str, *, pin: Pin | None = None, bound: bool = False, sent: int | None = None) -> Decision:
    memory = Memory("key", pin, bound) if pin is not None or bound else None
    return Decision(None, model(Strategy.WEIGHTED), conversation=id, memory=memory, sent=sent)


def test_a_conversation_keeps_its_deployment_and_conversations_are_spread_by_weight() -> None:
    of = model(Strategy.WEIGHTED, deployment("p/a", 3), deployment("p/b", 1), sticky=True)

    first: Counter[str] = Counter()
    for number in range(4000):
        planned = orders(of, decision=in_conversation(str(number)), times=2)
        assert planned[0] == planned[1]
        first[planned[0][0]] += 1

    assert 0.72 < first["p/a"] / 4000 < 0.78


def test_when_a_deployment_goes_only_its_own_conversations_move() -> None:
    three, two = model(Strategy.WEIGHTED, A, B, C, sticky=True), model(Strategy.WEIGHTED, A, B, sticky=True)

    for number in range(500):
        before = orders(three, decision=in_conversation(str(number)), times=1)[0]
        after = orders(two, decision=in_conversation(str(number)), times=1)[0]
        assert after[:2] == [name for name in before[:3] if name != "q/c"]


def test_without_sticky_a_conversation_is_spread_like_any_call() -> None:
    assert len(firsts(orders(model(Strategy.WEIGHTED), decision=in_conversation("c")))) == 3


def test_whoever_answered_before_is_tried_first_whatever_the_strategy_says() -> None:
    seen = Watched({"q/c": 5})
    pinned = in_conversation("c", pin=Pin("m", "m", "q/c"))

    kept = orders(model(Strategy.LEAST_BUSY, sticky=True), seen, decision=pinned)
    free = orders(model(Strategy.LEAST_BUSY), seen, decision=pinned)

    assert all(each[0] == "q/c" and len(each) == 4 for each in kept)
    assert "q/c" not in firsts(free)


def test_a_tools_result_goes_to_the_provider_that_asked_for_it_and_nowhere_else() -> None:
    bound = in_conversation("c", pin=Pin("m", "m", "p/b"), bound=True)
    unknown, gone = in_conversation("c", bound=True), in_conversation("c", pin=Pin("m", "m", "p/gone"), bound=True)

    assert all(each == ["p/b", "p/a"] for each in orders(model(Strategy.WEIGHTED), decision=bound))
    assert all(len(each) == 4 for each in orders(model(Strategy.WEIGHTED), decision=unknown))
    assert all(len(each) == 4 for each in orders(model(Strategy.WEIGHTED), decision=gone))


def test_a_tools_result_goes_to_a_fallback_that_asked_for_it() -> None:
    bound = in_conversation("c", pin=Pin("m", "m", "q/fallback"), bound=True)

    assert orders(model(Strategy.WEIGHTED), decision=bound, times=1) == [["q/fallback", "q/c"]]


def test_who_surely_cannot_serve_the_call_is_not_in_the_plan() -> None:
    blind = deployment("p/blind", abilities=Abilities(lacks=frozenset({"image"})))
    short = deployment("p/short", abilities=Abilities(context=1000))
    narrow = deployment("p/narrow", abilities=Abilities(prompt=2000))
    of = Model("m", (blind, short, narrow, A), (FALLBACK,))

    image = orders(of, asked=call(has=frozenset({"image"})), times=1)[0]
    long = orders(of, decision=in_conversation("c", sent=2100), times=50)

    assert "p/blind" not in image
    assert len(image) == 4
    assert all("p/short" not in each and len(each) == 4 for each in long)
    assert all(each[-1] == "p/narrow" for each in long), "it may be too long for that one, which is tried last"
