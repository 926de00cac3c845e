"""Recorded calls under another policy: every figure of a report, by records of which it is known."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from random import Random
from statistics import mean
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from gateway.policy.snapshot import Snapshot
from gateway.replay.comparison import Comparison
from gateway.replay.report import document
from gateway.route.candidates import Standing
from tests.replay.records import PLAIN, TRIED, call, result, snapshot, tried


def replayed(
    old: Snapshot, new: Snapshot, lines: Iterable[bytes], states: dict[str, Standing] | None = None
) -> dict[str, Any]:
    comparison = Comparison(old, new, states)
    for line in lines:
        comparison.take(line)
    found = document(comparison)
    orjson.dumps(found)
    return found


@pytest.fixture
def old(tmp_path: Path) -> Snapshot:
    return snapshot(tmp_path, PLAIN, "old")


def test_a_cheaper_model_changes_every_call_and_the_cost_by_its_prices(old: Snapshot, tmp_path: Path) -> None:
    new = snapshot(tmp_path, PLAIN.replace("strong", "cheap"))

    (route,) = replayed(old, new, [call(number, old) for number in range(10)])["routes"]

    assert (route["route"], route["calls"], route["changed"]) == ("all", 10, 10)
    # 1000 x 10 + 100 x 40 = 14,000 USD per million calls, and a tenth of that
    assert route["cost_usd"] == {"old": "0.14", "new": "0.014", "unpriced": {"old": 0, "new": 0}}
    assert route["loss"] is None
    assert route["changes"] == [{"old": "all: strong", "new": "all: cheap", "calls": 10}]


def test_calls_that_another_route_takes_are_told_under_that_one(old: Snapshot, tmp_path: Path) -> None:
    new = snapshot(tmp_path, "routes:\n  - {name: tagged, match: {tags: [a]}, model: cheap}\n" + PLAIN[8:])

    lines = [call(number, old, tags=["a"] if number < 3 else []) for number in range(10)]
    report = replayed(old, new, lines)

    assert [(each["route"], each["calls"], each["changed"]) for each in report["routes"]] == [
        ("all", 7, 0),
        ("tagged", 3, 3),
    ]
    assert (report["total"]["calls"], report["total"]["changed"]) == (10, 3)
    assert report["old_policy"] == {"agreed": 10, "of_another_policy": 0}


def test_a_model_without_a_price_makes_the_cost_unknown(old: Snapshot, tmp_path: Path) -> None:
    new = snapshot(tmp_path, PLAIN.replace("strong", "free"))

    cost = replayed(old, new, [call(0, old)])["total"]["cost_usd"]

    assert cost == {"old": "0.014", "new": None, "unpriced": {"old": 0, "new": 1}}


def test_a_hard_budget_refuses_what_its_window_has_no_room_for(old: Snapshot, tmp_path: Path) -> None:
    """A call costs 0.014 USD; AT is 07:20 UTC, and a call is made every second."""
    budget = "tenants: {acme: {teams: {search: {budget: [{usd: 0.03, per: minute}]}}}}\n"
    new = snapshot(tmp_path, PLAIN + budget)

    total = replayed(old, new, [call(number, old) for number in range(120)])["total"]

    assert total["over_budget"] == {"old": 0, "new": 120 - 2 * 2}
    assert total["cost_usd"]["new"] == "0.056"


def test_a_model_or_tenant_that_is_not_in_the_policy_any_more_is_refused(old: Snapshot, tmp_path: Path) -> None:
    lines = [call(0, old), call(1, old, model="cheap", route=None, reason="named")]

    without = snapshot(tmp_path, PLAIN.replace("auto", "other"))
    stranger = snapshot(tmp_path, PLAIN + "tenants: {somebody: {}}\n", "stranger")

    assert replayed(old, without, lines)["total"]["refused"] == {"old": 0, "new": 1}
    assert replayed(old, stranger, lines)["total"]["refused"] == {"old": 0, "new": 2}


def test_a_call_that_its_key_was_refused_stays_refused(old: Snapshot, tmp_path: Path) -> None:
    """The policy lets everybody ask for the model, so it was not the policy that refused it."""
    new = snapshot(tmp_path, PLAIN.replace("strong", "cheap"))
    refused = {"failed_in": "route", "error_code": "model_not_found", "route": None, "reason": None}

    total = replayed(old, new, [call(0, old, **refused)])["total"]

    assert (total["refused"], total["changed"], total["unknown"]) == ({"old": 1, "new": 1}, 0, {})
    other = replayed(new, new, [call(0, old, **refused)])["total"]
    assert other["unknown"] == {"why it was refused": 1}


def test_hits_are_lost_where_somebody_else_would_answer(old: Snapshot, tmp_path: Path) -> None:
    new = snapshot(tmp_path, PLAIN.replace("strong", "cheap"))
    lines = [
        call(0, old, cache="hit", cache_kind="exact", saved_nano_usd=14_000_000, input_tokens=0, output_tokens=0),
        call(1, old, cache="hit", cache_kind="replay", saved_nano_usd=14_000_000, input_tokens=0, output_tokens=0),
        call(2, old, cache="miss"),
    ]

    total = replayed(old, new, lines)["total"]

    assert (total["hits"], total["lost_hits"]) == (1, 1)
    assert total["cost_usd"]["old"] == "0.014"
    assert total["cost_usd"]["new"] == "0.0028"  # the hit's own call is paid now, the repeated one's is not


def test_the_loss_is_that_of_trials_of_just_this_change(tmp_path: Path) -> None:
    """1000 calls, each fourth tried, of which one in ten was worse."""
    old, new = snapshot(tmp_path, TRIED, "old"), snapshot(tmp_path, PLAIN.replace("strong", "cheap"))
    lines = []
    for number in range(1000):
        lines.append(tried(number, old, 0.25, is_drawn=number % 4 == 0))
        if number % 4 == 0:
            lines.append(result(number, 0.25, 0.0 if number % 40 == 0 else 1.0))

    (route,) = replayed(old, new, lines)["routes"]

    assert (route["labelled"], route["answered_otherwise"], route["loss"]["covered"]) == (250, 1000, 1.0)
    assert route["loss"]["estimate"] == pytest.approx(0.1)
    assert 0.04 < route["loss"]["lower_95"] < 0.1 < route["loss"]["upper_95"] < 0.18


def test_going_back_to_the_reference_wins_what_the_candidate_lacked(tmp_path: Path) -> None:
    old, new = snapshot(tmp_path, TRIED, "old"), snapshot(tmp_path, PLAIN)
    certified = {"candidates": [{"name": "cheap", "standing": "certified", "skipped": None}], "candidate": "cheap"}
    lines = []
    for number in range(400):
        trials = [{"asks": "strong", "of": "cheap", "probability": 0.5}] if number % 2 else []
        told = {**certified, "offered": {"cheap": 0.5}, "trials": trials}
        lines.append(call(number, old, reason="candidate", decision=told))
        if number % 2:
            lines.append(result(number, 0.5, 0.8, is_audit=True, asked="strong"))

    loss = replayed(old, new, lines)["total"]["loss"]

    assert loss["estimate"] == pytest.approx(-0.2)
    assert loss["lower_95"] < -0.2 < loss["upper_95"] < 0


def test_calls_that_could_not_be_tried_count_as_lost_whole_in_the_bound(tmp_path: Path) -> None:
    old, new = snapshot(tmp_path, TRIED, "old"), snapshot(tmp_path, PLAIN.replace("strong", "cheap"))
    lines = []
    for number in range(800):
        is_tried = number % 2 == 0
        lines.append(tried(number, old, 1.0, is_drawn=True) if is_tried else call(number, old, reason="reference"))
        lines += [result(number, 1.0, 1.0)] if is_tried else []

    loss = replayed(old, new, lines)["total"]["loss"]

    assert (loss["estimate"], loss["covered"]) == (0.0, 0.5)
    assert 0.5 < loss["upper_95"] < 0.53


def test_trials_of_something_else_by_the_same_name_say_nothing(tmp_path: Path) -> None:
    old, new = snapshot(tmp_path, TRIED, "old"), snapshot(tmp_path, PLAIN.replace("strong", "cheap"))

    report = replayed(
        old, new, [tried(0, old, 1.0, is_drawn=True), result(0, 1.0, 1.0, candidate_is="acme/cheap-of-last-week")]
    )

    assert report["total"]["loss"] is None
    assert report["total"]["labelled"] == 0
    assert any("something else by the same name" in each for each in report["told"])


def test_trials_without_a_label_are_told_and_not_counted(tmp_path: Path) -> None:
    old, new = snapshot(tmp_path, TRIED, "old"), snapshot(tmp_path, PLAIN.replace("strong", "cheap"))

    total = replayed(old, new, [tried(0, old, 1.0, is_drawn=True), result(0, 1.0, None, reason="unavailable")])["total"]

    assert (total["labelled"], total["unscored"], total["loss"]) == (0, 1, None)


def test_estimates_are_right_on_average_whatever_the_shares_of_trials(tmp_path: Path) -> None:
    """Hard calls, on which the cheap model loses 60 %, are seldom tried, and easy ones, on which it loses 5 %, often: a mean of
    the labels would say 0.11."""
    old, new = snapshot(tmp_path, TRIED, "old"), snapshot(tmp_path, PLAIN.replace("strong", "cheap"))
    random = Random(7)
    estimates, plain, within = [], [], 0
    for _ in range(40):
        lines, losses, labels = [], [], []
        for number in range(400):
            is_hard = random.random() < 0.4
            probability = 0.1 if is_hard else 0.5
            loss = float(random.random() < (0.6 if is_hard else 0.05))
            is_drawn = random.random() < probability
            losses.append(loss)
            lines.append(tried(number, old, probability, is_drawn=is_drawn))
            if is_drawn:
                labels.append(loss)
                lines.append(result(number, probability, 1.0 - loss))
        found = replayed(old, new, lines)["total"]["loss"]
        estimates.append(found["estimate"] - mean(losses))
        plain.append(mean(labels) - mean(losses))
        within += found["lower_95"] <= mean(losses) <= found["upper_95"]

    assert abs(mean(estimates)) < 0.03
    assert mean(plain) < -0.08
    assert within >= 38


CASCADE = """
policies: {checked: {try: cheap, escalate_to: strong, when: [truncated]}}
routes:
  - {name: all, match: {model: auto}, model: strong, candidates: [checked], guarantee: {shadow: 50%}}
"""


def cascaded(number: int, policy: Snapshot, *, is_escalated: bool | None) -> list[bytes]:
    """A call that the cascade was tried on, and what came of that; None: it was not."""
    told: dict[str, Any] = {"candidates": [{"name": "checked", "standing": "uncertified", "skipped": "uncertified"}]}
    told["offered"] = {"checked": 0.5}
    if is_escalated is None:
        return [call(number, policy, reason="reference", decision=told)]
    told["trials"] = [{"asks": "checked", "of": "checked", "probability": 0.5}]
    reason = "truncated" if is_escalated else None
    is_a = "try acme/cheap unless truncated then acme/strong"
    return [
        call(number, policy, reason="reference", decision=told),
        result(number, 0.5, 1.0, candidate="checked", candidate_is=is_a, reason=reason),
    ]


def test_a_cascade_costs_what_it_tries_and_its_strong_model_as_often_as_its_trials_escalated(tmp_path: Path) -> None:
    """10 calls at 0.0014 USD for the cheap model, and a quarter of them at 0.014 besides."""
    policy = snapshot(tmp_path, CASCADE)
    lines = [line for number in range(8) for line in cascaded(number, policy, is_escalated=number < 2)]
    lines += [line for number in (8, 9) for line in cascaded(number, policy, is_escalated=None)]

    total = replayed(policy, policy, lines, {"all": Standing.CERTIFIED})["total"]

    assert total["changes"] == [{"old": "all: strong", "new": "all: checked", "calls": 10}]
    assert total["cost_usd"] == {"old": "0.14", "new": "0.049", "unpriced": {"old": 0, "new": 0}}
    assert (total["labelled"], total["loss"]["estimate"], total["loss"]["covered"]) == (8, 0.0, 1.0)


def test_what_a_cascade_costs_that_was_never_tried_is_unknown(tmp_path: Path) -> None:
    policy = snapshot(tmp_path, CASCADE)

    total = replayed(policy, policy, cascaded(0, policy, is_escalated=None), {"all": Standing.CERTIFIED})["total"]

    assert (total["cost_usd"]["new"], total["loss"]) == (None, None)


def test_a_conversation_goes_on_with_whom_it_began_with_under_the_new_policy(old: Snapshot, tmp_path: Path) -> None:
    """Of 40 conversations each has two calls; the later ones go where the canary sent the first, though no record says so."""
    new = snapshot(tmp_path, PLAIN.replace("strong", "strong, canary: {model: cheap, share: 50%}"))
    lines = [
        call(turn * 40 + number, old, basis={"conversation": f"talk {number}", "is_new": not turn})
        for turn in range(2)
        for number in range(40)
    ]

    began = replayed(old, new, lines[:40])["total"]["changed"]

    assert 10 < began < 30
    assert replayed(old, new, lines)["total"]["changed"] == 2 * began


def test_a_score_is_the_recorded_one_and_unknown_where_there_is_none(tmp_path: Path) -> None:
    learned = "policies: {learned: {choose: [cheap, strong]}}\n" + TRIED.replace("[cheap]", "[learned]")
    policy = snapshot(tmp_path, learned)
    candidate = {"candidates": [{"name": "learned", "standing": "certified", "skipped": None}], "candidate": "learned"}
    lines = [
        call(0, policy, reason="score", decision={**candidate, "score": 0.1, "threshold": 0.2}),
        call(1, policy, reason="score", decision={**candidate, "score": 0.3, "threshold": 0.2}),
    ]
    plain = snapshot(tmp_path, PLAIN, "plain")

    report = replayed(policy, plain, lines)

    assert report["old_policy"]["agreed"] == 2
    assert report["total"]["changes"] == [{"old": "all: cheap", "new": "all: strong", "calls": 1}]
    nothing = replayed(plain, policy, [call(0, plain)], {"all": Standing.CERTIFIED})["total"]["unknown"]
    assert nothing == {"a score of the prompt": 1}


def test_prompts_that_surely_do_not_fit_are_counted(old: Snapshot, tmp_path: Path) -> None:
    small = snapshot(tmp_path, PLAIN.replace("model: strong", "model: small"))

    total = replayed(old, small, [call(0, old), call(1, old, input_tokens=400)])["total"]

    assert (total["too_long"], total["refused"]) == ({"old": 0, "new": 1}, {"old": 0, "new": 1})


def test_standings_are_those_recorded_unless_the_caller_says_otherwise(tmp_path: Path) -> None:
    old = snapshot(tmp_path, TRIED, "old")
    new = snapshot(tmp_path, TRIED.replace("candidates:", "guarantee: {shadow: 50%}, candidates:"))
    lines = [tried(number, old, 0.25, is_drawn=False) for number in range(5)]

    assert replayed(old, new, lines)["total"]["changed"] == 0
    assert replayed(old, new, lines, {"all": Standing.CERTIFIED})["total"]["changed"] == 5


def test_a_certificate_is_not_inherited_by_another_model_of_the_same_name(tmp_path: Path) -> None:
    old = snapshot(tmp_path, TRIED, "old")
    told = {"candidates": [{"name": "cheap", "standing": "certified", "skipped": None}], "candidate": "cheap"}
    line = call(0, old, reason="candidate", decision=told)
    other = snapshot(tmp_path, TRIED.replace("[cheap]", "[free]"))

    assert replayed(old, old, [line])["total"]["changed"] == 0
    changes = replayed(old, other, [line])["total"]["changes"]
    assert changes == [{"old": "all: cheap", "new": "all: strong", "calls": 1}]


@pytest.mark.parametrize(
    ("rule", "basis", "unknown"),
    [
        ("headers: {x-app: a}", {}, "the header x-app"),
        ("headers: {x-app: a}", {"headers": {"x-app": "a"}}, None),
        ("headers: {x-app: a}", {"headers": {"x-app": None}}, None),
        ('tokens_in: "< 400"', {}, "the number of input tokens"),
        ('tokens_in: "< 400"', {"tokens_in": 5}, None),
    ],
)
def test_what_a_rule_asks_for_and_no_record_has_is_unknown(
    old: Snapshot, tmp_path: Path, rule: str, basis: dict[str, Any], unknown: str | None
) -> None:
    new = snapshot(tmp_path, f"routes:\n  - {{name: some, match: {{{rule}}}, model: cheap}}\n" + PLAIN[8:])

    total = replayed(old, new, [call(0, old, basis=basis, input_tokens=None, output_tokens=None)])["total"]

    assert total["unknown"] == ({} if unknown is None else {unknown: 1})


def test_records_of_an_older_version_are_replayed_as_far_as_they_go(old: Snapshot, tmp_path: Path) -> None:
    older = orjson.loads(call(0, old))
    del older["basis"]
    lines = [orjson.dumps(older), orjson.dumps({**older, "of_a_newer_version": {"x": [1]}})]
    cheap = snapshot(tmp_path, PLAIN.replace("strong", "cheap"), "cheap")
    features = snapshot(tmp_path, "routes:\n  - {name: t, match: {has: [tools]}, model: cheap}\n" + PLAIN[8:], "f")

    assert replayed(old, cheap, lines)["total"]["changed"] == 2
    assert replayed(old, features, lines)["total"]["unknown"] == {"the features of the call": 2}


def test_lines_that_are_no_records_are_counted_and_the_first_is_told(old: Snapshot) -> None:
    lines = [call(0, old), b"{", b"[1]", b'{"id": 5, "at": 1}', b"\xff\xfe", call(1, old), result(0, 0.0, 1.0)]

    report = replayed(old, old, lines)

    traffic = report["traffic"]
    assert (traffic["lines"], traffic["calls"], traffic["bad_lines"]) == (7, 2, 5)
    assert traffic["first_bad"].startswith("line 2: ")


def test_what_is_no_client_s_call_of_a_model_is_left_out_with_the_reason(old: Snapshot) -> None:
    lines = [
        call(0, old, org="llmgw"),
        call(1, old, operation="models"),
        call(2, old, model=None, failed_in="auth"),
        call(3, old),
    ]

    traffic = replayed(old, old, lines)["traffic"]

    assert traffic["calls"] == 1
    assert traffic["left_out"] == {
        "the gateway's own calls": 1,
        "no calls of a model": 1,
        "refused before they were decided about": 1,
    }


ROUTED = """
routes:
  - {name: app, match: {model: auto, headers: {x-app: "a*"}}, model: cheap}
  - {name: short, match: {tokens_in: "< 500"}, model: cheap, canary: {model: strong, share: 30%}}
  - {name: tools, match: {has: [tools]}, model: strong, candidates: [cheap]}
  - {name: night, match: {time: "22:00-08:00"}, model: strong, shadow: {model: cheap, share: 50%}}
  - {name: rest, model: strong}
tenants:
  acme: {models: [auto, cheap, strong], budget: [{usd: 0.05, per: minute}, {tokens: 3k, per: 60s}]}
  other: {blocked: true}
  llmgw: {}
"""


@settings(max_examples=60, deadline=None)
@given(
    some.lists(
        some.fixed_dictionaries(
            {
                "model": some.sampled_from(["auto", "cheap", "free", "nobody"]),
                "org": some.sampled_from(["acme", "other", "llmgw"]),
                "stream": some.booleans(),
                "input_tokens": some.none() | some.integers(0, 10**6),
                "cache": some.sampled_from([None, "hit", "miss"]),
                "basis": some.fixed_dictionaries(
                    {
                        "has": some.lists(some.sampled_from(["tools", "n", "image"])),
                        "tokens_in": some.none() | some.integers(0, 1000),
                        "headers": some.sampled_from([{}, {"x-app": "abc"}, {"x-app": None}]),
                        "conversation": some.none() | some.text(max_size=4),
                        "is_new": some.booleans(),
                    }
                ),
            }
        ),
        max_size=20,
    )
)
def test_a_policy_against_itself_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, changes: list[dict[str, Any]]
) -> None:
    policy = snapshot(tmp_path_factory.mktemp("self"), ROUTED)
    lines = [call(number, policy, **{**each, "tenant": each["org"]}) for number, each in enumerate(changes)]

    report = replayed(policy, policy, lines)

    for figures in (*report["routes"], report["total"]):
        assert figures["changed"] == figures["lost_hits"] == 0
        for pair in ("refused", "over_budget", "cost_usd"):
            assert figures[pair]["old"] == figures[pair]["new"]
        assert figures["loss"]["upper_95"] == 0
