"""Who answers a route's calls: who did so before, a canary, a candidate that has shown it may, or the reference."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from gateway.core.call import Call
from gateway.core.deployment import Abilities
from gateway.core.errors import InvalidRequest
from gateway.core.money import Price
from gateway.route.candidates import Canary, Candidate, Cascade, Check, Guarantee, Learned, Mirror, Standing
from gateway.route.choose import choose
from gateway.route.decision import Circumstances, Decision, Pin, Verdict
from gateway.route.rules import Match, Route
from tests.route.cast import ACME, REPLY, RESULT, call, deployment, knowing, model, user

BLIND = Abilities(lacks=frozenset({"image"}))
STRONG, CHEAP, OTHER = model("strong"), model("cheap"), model("other")
CASCADE = Cascade(model("checked"), CHEAP, STRONG, frozenset({Check.TRUNCATED}))
LEARNED = Learned("learned", CHEAP, STRONG, 0.4)
CERTIFIED = Standing.CERTIFIED
LATER = [user(), REPLY, user("And?")]


def route(*candidates: Candidate, sticky: bool = True, **more: object) -> Route:
    guarantee = Guarantee(STRONG) if candidates else None
    made = Route("r", Match(), STRONG, candidates=candidates, guarantee=guarantee, sticky=sticky)
    return replace(made, **more)  # type: ignore[arg-type]


def made(on: Route, asked: Call | None = None, given: Circumstances | None = None) -> Decision:
    return choose(on, asked or call(), ACME, given or knowing())


class Always:
    """Scores every call alike."""

    def __init__(self, *, is_strong: bool) -> None:
        self._score = 0.9 if is_strong else 0.1

    def judge(self, route: str, learned: Learned, call: Call) -> Verdict:
        return Verdict(self._score, 0.5)


def test_a_route_without_choice_is_answered_by_its_model() -> None:
    assert made(route()) == Decision("r", STRONG, reason="rule")


def test_the_first_certified_candidate_answers_and_until_then_the_reference() -> None:
    on = route(CHEAP, OTHER)

    nobody = made(on)
    second = made(on, given=knowing({"other": CERTIFIED, "cheap": Standing.REFUSED}))
    both = made(on, given=knowing({"other": CERTIFIED, "cheap": CERTIFIED}))

    assert (nobody.model, nobody.reason, nobody.candidate) == (STRONG, "reference", None)
    assert (second.model, second.reason, second.candidate) == (OTHER, "candidate", "other")
    assert both.model is CHEAP
    assert [each.reason for each in second.considered] == ["refused", None]


@pytest.mark.parametrize("standing", [Standing.UNCERTIFIED, Standing.REFUSED, Standing.REVOKED])
def test_whatever_is_not_certified_does_not_serve(standing: Standing) -> None:
    assert made(route(CHEAP), given=knowing({"cheap": standing})).model is STRONG


def test_a_cascade_is_not_for_streams_nor_for_what_cannot_be_checked() -> None:
    given = knowing({"checked": CERTIFIED})

    assert made(route(CASCADE), given=given).cascade is CASCADE
    assert made(route(CASCADE), call(stream=True), given).considered[0].reason == "a stream"
    several = made(route(CASCADE), call(has=frozenset({"n"})), given)
    assert (several.model, several.considered[0].reason) == (STRONG, "an answer that cannot be checked")


def test_a_learned_candidate_sends_each_call_where_its_score_says() -> None:
    given = knowing({"learned": CERTIFIED})

    assert made(route(LEARNED), given=given).considered[0].reason == "nothing is learned yet"
    weak = made(route(LEARNED), given=replace(given, scores=Always(is_strong=False)))
    strong = made(route(LEARNED), given=replace(given, scores=Always(is_strong=True)))

    assert (weak.model, weak.candidate, weak.reason) == (CHEAP, "learned", "score")
    assert (strong.model, strong.candidate, strong.verdict) == (STRONG, "learned", Verdict(0.9, 0.5))


def test_a_canary_has_its_share_of_the_conversations_and_all_of_each() -> None:
    on = route(canary=Canary(CHEAP, 0.2))

    models: Counter[tuple[str, str]] = Counter()
    for number in range(4000):
        begun = made(on, call([user(str(number))], id=f"a{number}"))
        goes_on = made(on, call([user(str(number)), REPLY, user()], id=f"b{number}"))
        assert begun.model is goes_on.model
        models[begun.model.name, begun.reason] += 1

    assert set(models) == {("cheap", "canary"), ("strong", "rule")}
    assert 0.17 < models["cheap", "canary"] / 4000 < 0.23


def test_a_canary_by_call_is_drawn_for_each_call_of_a_conversation() -> None:
    on = route(canary=Canary(CHEAP, 0.2, by_conversation=False))
    before = knowing(pin=Pin("strong", "strong", "p/strong"))

    drawn = Counter(made(on, call(LATER, id=str(number)), before).model.name for number in range(4000))

    assert 0.17 < drawn["cheap"] / 4000 < 0.23


@pytest.mark.parametrize("by_conversation", [True, False])
def test_a_conversation_that_was_answered_by_the_reference_is_not_drawn_later(by_conversation: bool) -> None:
    on = route(canary=Canary(CHEAP, 1.0, by_conversation))

    later = made(on, call(LATER), knowing(pin=Pin("strong", "strong", "p/strong")))

    assert (later.model, later.reason) == ((STRONG, "sticky") if by_conversation else (CHEAP, "canary"))


def test_a_running_conversation_keeps_its_model_when_a_candidate_is_certified_meanwhile() -> None:
    given = knowing({"cheap": CERTIFIED}, pin=Pin("strong", "strong", "p/strong"))

    later, new = made(route(CHEAP), call(LATER), given), made(route(CHEAP), call(), given)

    assert (later.model, later.reason) == (STRONG, "sticky")
    assert (new.model, new.reason) == (CHEAP, "candidate")


def test_one_that_began_with_a_candidate_keeps_it_while_that_is_certified() -> None:
    pin = Pin("other", "other", "p/other")

    kept = made(route(CHEAP, OTHER), call(LATER), knowing({"cheap": CERTIFIED, "other": CERTIFIED}, pin=pin))
    revoked = made(route(OTHER), call(LATER), knowing({"other": Standing.REVOKED}, pin=pin))

    assert (kept.model, kept.reason, kept.candidate) == (OTHER, "sticky", "other")
    assert (revoked.model, revoked.reason) == (STRONG, "reference")


@pytest.mark.parametrize("is_strong", [True, False])
def test_a_learned_candidate_does_not_change_the_model_of_a_conversation(is_strong: bool) -> None:
    given = knowing({"learned": CERTIFIED}, pin=Pin("learned", "cheap", "p/cheap"))

    later = made(route(LEARNED), call(LATER), replace(given, scores=Always(is_strong=is_strong)))

    assert (later.model, later.reason, later.candidate) == (CHEAP, "sticky", "learned")


def test_who_is_not_known_any_more_is_chosen_anew() -> None:
    later = made(route(CHEAP), call(LATER), knowing({"cheap": CERTIFIED}, pin=Pin("gone", "gone", "p/gone")))

    assert (later.model, later.reason) == (CHEAP, "candidate")


def test_a_tools_result_goes_to_who_asked_for_it_also_on_a_route_that_is_not_sticky() -> None:
    given = knowing({"cheap": CERTIFIED}, pin=Pin("strong", "strong", "p/strong"))

    bound = made(route(CHEAP, sticky=False), call([user(), *RESULT]), given)
    free = made(route(CHEAP, sticky=False), call(LATER), given)

    assert (bound.model, bound.reason) == (STRONG, "sticky")
    assert bound.memory is not None
    assert bound.memory.is_bound
    assert (free.model, free.reason) == (CHEAP, "candidate")


def test_a_candidate_that_lost_its_certificate_still_gets_its_tools_result() -> None:
    given = knowing({"cheap": Standing.REVOKED}, pin=Pin("cheap", "cheap", "p/cheap"))

    assert made(route(CHEAP), call([user(), *RESULT]), given).model is CHEAP


def test_a_canary_does_not_take_a_tools_result() -> None:
    on = route(canary=Canary(CHEAP, 1.0, by_conversation=False))

    bound = made(on, call([user(), *RESULT]), knowing(pin=Pin("strong", "strong", "p/strong")))

    assert bound.model is STRONG


@pytest.mark.parametrize(("answered", "asked"), [("p/cheap", "checked"), ("p/strong", "strong")])
def test_a_tools_result_goes_to_the_model_of_a_cascade_that_asked_for_it(answered: str, asked: str) -> None:
    given = knowing({"checked": CERTIFIED}, pin=Pin("checked", "checked", answered))

    assert made(route(CASCADE), call([user(), *RESULT]), given).model.name == asked


def test_who_is_not_sticky_stays_where_the_prompt_is_cached_if_leaving_costs_more() -> None:
    dear = Price(2500, 10_000, cached_input=250)
    at_home, near = model("strong", price=dear), model("cheap", price=Price(2000, 8000))
    on = Route("r", Match(), at_home, candidates=(near,), guarantee=Guarantee(at_home), sticky=False)
    given = knowing({"cheap": CERTIFIED}, pin=Pin("strong", "strong", "p/strong"))

    long = choose(on, call(LATER, body=b" " * 40_000), ACME, given)
    short = choose(on, call(LATER, body=b" " * 400), ACME, given)

    assert (long.model, long.reason) == (at_home, "sticky")
    assert (short.model, short.reason) == (near, "candidate")


def test_a_score_that_asks_for_the_strong_model_is_not_held_up_by_the_cache() -> None:
    strong, weak = model("strong", price=Price(2500, 10_000)), model("cheap", price=Price(150, 600, cached_input=1))
    learned = Learned("learned", weak, strong, 0.4)
    on = Route("r", Match(), strong, candidates=(learned,), guarantee=Guarantee(strong), sticky=False)
    given = knowing({"learned": CERTIFIED}, pin=Pin("learned", "cheap", "p/cheap"))

    later = choose(on, call(LATER, body=b" " * 40_000), ACME, replace(given, scores=Always(is_strong=True)))

    assert (later.model, later.reason) == (strong, "score")


def test_a_candidate_that_lacks_what_the_call_uses_is_passed_over_and_not_tried() -> None:
    blind = model("blind", abilities=BLIND)
    image = call(has=frozenset({"image"}))
    given = knowing({"blind": CERTIFIED, "cheap": CERTIFIED})

    decision = made(route(blind, CHEAP), image, given)
    tried = made(route(blind), image, knowing({"blind": Standing.UNCERTIFIED}, share=1.0))

    assert (decision.model, decision.considered[0].reason) == (CHEAP, "cannot: image")
    assert (tried.model, tried.trials) == (STRONG, ())


@pytest.mark.parametrize(
    "candidate",
    [
        Cascade(model("c"), model("blind", abilities=BLIND), STRONG, frozenset({Check.EMPTY})),
        Cascade(model("c"), CHEAP, model("blind", abilities=BLIND), frozenset({Check.EMPTY})),
        Cascade(model("c"), CHEAP, STRONG, frozenset({Check.EMPTY}), second=model("blind", abilities=BLIND)),
        Learned("c", model("blind", abilities=BLIND), STRONG, 0.4),
    ],
)
def test_a_candidate_needs_everybody_whom_it_may_ask(candidate: Candidate) -> None:
    given = replace(knowing({"c": CERTIFIED}), scores=Always(is_strong=True))

    assert made(route(candidate), call(has=frozenset({"image"})), given).considered[0].reason == "cannot: image"


def test_a_canary_that_cannot_serve_a_call_does_not() -> None:
    on = route(canary=Canary(model("blind", abilities=BLIND), 1.0))

    assert made(on, call(has=frozenset({"image"}))).model is STRONG
    assert made(on, call(has=frozenset({"tools"}))).model.name == "blind"


def test_a_call_that_nobody_can_serve_is_refused_and_says_what_is_missing() -> None:
    blind = model("blind", abilities=BLIND)

    for on in (Route("r", Match(), blind), Route("r", Match(), blind, canary=Canary(blind, 0.5))):
        with pytest.raises(InvalidRequest) as refused:
            made(on, call(has=frozenset({"image"})))
        assert (refused.value.code, refused.value.param) == ("unsupported_parameter", "messages")
        assert "'image'" in refused.value.message


def test_a_certified_candidate_serves_what_the_reference_cannot() -> None:
    blind = model("blind", abilities=BLIND)
    on = Route("r", Match(), blind, candidates=(CHEAP,), guarantee=Guarantee(blind))

    decision = made(on, call(has=frozenset({"image"})), knowing({"cheap": CERTIFIED}, share=1.0))

    assert (decision.model, decision.trials) == (CHEAP, ())  # the audit would ask the reference


def test_trials_have_their_share_of_calls_whoever_else_draws() -> None:
    on = route(CHEAP, mirror=Mirror(OTHER, 0.1))
    decisions = [made(on, call(id=str(number)), knowing(share=0.25)) for number in range(4000)]

    tried = Counter(trial.asks for decision in decisions for trial in decision.trials)

    assert 0.22 < tried[CHEAP] / 4000 < 0.28
    assert 0.08 < tried[OTHER] / 4000 < 0.12


def test_a_tools_call_of_a_model_with_several_deployments_is_remembered() -> None:
    several = replace(STRONG, deployments=(deployment("p/a"), deployment("q/a")))
    on = Route("r", Match(), several)

    assert made(on, call(has=frozenset({"tools"}))).memory is not None
    assert made(on, call()).memory is None
    assert made(route(), call(has=frozenset({"tools"}))).memory is None
