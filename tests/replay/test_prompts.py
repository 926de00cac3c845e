"""What templates of a changed policy make of recorded calls: which version, which text, and what is not known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.policy.snapshot import Snapshot
from gateway.replay.comparison import Comparison
from gateway.replay.report import document
from gateway.replay.table import table
from tests.replay.records import PLAIN, call, snapshot

ONE = """
mode: prepend
variables: {x: {default: a}}
versions: {1: {messages: [{system: "one {{ x }}"}]}}
"""
TWO = """
mode: prepend
variables: {x: {default: a}}
versions: {1: {messages: [{system: "one {{ x }}"}]}, 2: {messages: [{system: "one and two and three {{ x }}"}]}}
labels: {production: 2, old: 1}
"""
MORE = 4
"""Tokens of the second version beside those of the first."""


def policy(folder: Path, name: str, template: str = ONE, more: str = PLAIN, **others: str) -> Snapshot:
    templates = folder / name / "templates"
    templates.mkdir(parents=True)
    for file, text in {"t": template, **others}.items():
        if text:
            (templates / f"{file}.yaml").write_text(text)
    return snapshot(folder, more, name)


def prompt(old: Snapshot, number: int = 1, **changes: Any) -> dict[str, Any]:
    version = old.templates.named["t"].versions[number]
    told = {"name": "t", "version": number, "hash": version.hash, "reason": "only", "drawn": None, "unit": ""}
    return {**told, "route": None, "wanted": None, "is_model": False, **changes}


def said(**variables: Any) -> dict[str, Any]:
    return {"input": [], "output": [], "variables": variables, "variables_cut": [], "variables_redacted": []}


def replayed(old: Snapshot, new: Snapshot, *lines: bytes) -> dict[str, Any]:
    comparison = Comparison(old, new)
    for line in lines:
        comparison.take(line)
    found = document(comparison)
    assert list(table(found))
    assert not found["traffic"]["bad_lines"]
    return found


def only(report: dict[str, Any]) -> dict[str, Any]:
    (found,) = report["templates"]
    assert isinstance(found, dict)
    return found


def test_the_bare_name_means_what_it_means_in_the_new_policy_and_a_number_what_it_meant(tmp_path: Path) -> None:
    old, new = policy(tmp_path, "old"), policy(tmp_path, "new", TWO)
    lines = [
        call(0, old, prompt=prompt(old), content=said(x="b")),
        call(1, old, prompt=prompt(old, wanted="1", reason="number"), content=said(x="b")),
        call(2, old, prompt=prompt(old, wanted=old.templates.named["t"].versions[1].hash[:8]), content=said()),
        call(3, old),
    ]

    report = replayed(old, new, *lines)

    same, other = sorted(report["templates"], key=lambda each: each["changed"])
    assert (same["calls"], same["changed"], same["new"]) == (2, 0, same["old"])
    assert (other["calls"], other["changed"], other["new"]["version"]) == (1, 1, 2)
    assert other["input_tokens"]["delta"] == MORE
    # 1000 tokens at 10 USD and 100 at 40 for a million, and four more
    assert other["cost_usd"] == {"old": "0.014", "new": "0.01404", "delta": "0.00004", "calls": 1, "unpriced": 0}
    assert report["total"]["cost_usd"]["new"] == "0.05604"


def test_a_template_or_version_that_is_gone_is_a_refusal(tmp_path: Path) -> None:
    old = policy(tmp_path, "old", TWO)
    gone = policy(tmp_path, "gone", "")
    one = policy(tmp_path, "one", ONE)
    line = call(0, old, prompt=prompt(old, 2, wanted="2"), content=said())

    for new in (gone, one):
        report = replayed(old, new, line)

        (failure,) = only(report)["failures"]
        assert (failure["code"], failure["calls"], failure["examples"]) == ("template_not_found", 1, ["req_0"])
        assert report["total"]["refused"] == {"old": 0, "new": 1}


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"content": None}, "their variables"),
        ({"content": {"input": [], "output": []}}, "their variables"),
        ({"content": {**said(x="b"), "variables_cut": ["x"]}}, "the whole of their variables"),
        ({"prompt": "unset", "content": said(x="b")}, "which version was asked for"),
        ({"prompt": "unknown", "content": said(x="b")}, "the version that they had"),
    ],
)
def test_what_the_records_lack_is_told_and_counted(tmp_path: Path, changes: dict[str, Any], missing: str) -> None:
    old, new = policy(tmp_path, "old"), policy(tmp_path, "new", TWO, other=ONE)
    asked = prompt(old)
    if changes.get("prompt") == "unset":
        del asked["wanted"], asked["is_model"]
    if changes.get("prompt") == "unknown":
        asked |= {"name": "other", "hash": "0123456789ab"}

    report = replayed(old, new, call(0, old, **{**changes, "prompt": asked}))

    told = only(report)
    assert told["unjudged"] == {missing: 1}
    assert (told["counted"], told["cost_usd"]["calls"]) == (0, 0)
    assert report["total"]["refused"] == {"old": 0, "new": 0}


def test_a_template_without_variables_is_known_without_content(tmp_path: Path) -> None:
    old = policy(tmp_path, "old", ONE.replace("variables: {x: {default: a}}", "").replace(" {{ x }}", ""))
    new = policy(tmp_path, "new", TWO.replace("variables: {x: {default: a}}", "").replace(" {{ x }}", ""))

    told = only(replayed(old, new, call(0, old, prompt=prompt(old))))

    assert (told["counted"], told["input_tokens"]["delta"], told["unjudged"]) == (1, MORE, {})


def test_a_version_that_is_not_in_the_old_policy_any_more_is_what_it_chooses_now_and_that_is_told(
    tmp_path: Path,
) -> None:
    old, new = policy(tmp_path, "old"), policy(tmp_path, "new", TWO)

    report = replayed(old, new, call(0, old, prompt=prompt(old, hash="0123456789ab"), content=said()))

    assert only(report)["input_tokens"]["delta"] == MORE
    assert any("was not in the old policy any more" in each for each in report["told"])


def test_another_mode_makes_another_use_of_messages_that_nobody_recorded(tmp_path: Path) -> None:
    old = policy(tmp_path, "old")
    appended = policy(tmp_path, "appended", ONE.replace("prepend", "append"))
    replaced = policy(tmp_path, "replaced", ONE.replace("prepend", "replace_system"))
    line = call(0, old, prompt=prompt(old), content=said())

    told = only(replayed(old, appended, line))
    assert (told["counted"], told["reworded"], told["input_tokens"]["delta"]) == (1, 1, 0)
    assert list(only(replayed(old, replaced, line))["unjudged"]) == [
        "the client's own messages, of which another mode makes another use"
    ]


def test_a_version_with_tools_refuses_calls_that_have_their_own(tmp_path: Path) -> None:
    old = policy(tmp_path, "old")
    tools = "{1: {tools: [{type: function, function: {name: f}}], messages"
    new = policy(tmp_path, "new", ONE.replace("{1: {messages", tools))
    plain = call(0, old, prompt=prompt(old), content=said())
    own = call(1, old, prompt=prompt(old), content=said(), basis={"has": ["tools"]})

    told = only(replayed(old, new, plain, own))

    assert told["counted"] == 1
    assert [(each["code"], each["param"], each["examples"]) for each in told["failures"]] == [
        ("template_conflict", "tools", ["req_1"])
    ]


def test_a_template_that_is_asked_for_as_a_model_brings_another_model(tmp_path: Path) -> None:
    old = policy(tmp_path, "old", "model: strong\n" + ONE)
    new = policy(tmp_path, "new", "model: cheap\n" + ONE)
    none = policy(tmp_path, "none", ONE)
    line = call(0, old, model="strong", route=None, reason="named", prompt=prompt(old, is_model=True), content=said())

    report = replayed(old, new, line)

    assert report["total"]["changes"] == [{"old": "strong", "new": "cheap", "calls": 1}]
    assert report["total"]["cost_usd"]["new"] == "0.0014"
    assert only(report)["reworded"] == 0
    (failure,) = only(replayed(old, none, line))["failures"]
    assert failure["code"] == "template_model"


ROUTED = PLAIN.replace("match: {model: auto}", "match: {model: auto}, template: t")


def test_a_route_that_puts_a_template_round_calls_now_and_one_that_does_not_any_more(tmp_path: Path) -> None:
    plain, routed = policy(tmp_path, "plain"), policy(tmp_path, "routed", more=ROUTED)
    bare = call(0, plain)
    put = call(1, routed, prompt=prompt(routed, route="all"), content=said())

    came, went = replayed(plain, routed, bare), replayed(routed, plain, put)

    tokens = only(came)["input_tokens"]["delta"]
    assert (only(came)["old"], only(came)["new"]["version"]) == (None, 1)
    assert (only(went)["old"]["version"], only(went)["new"]) == (1, None)
    assert tokens > 3
    assert only(went)["input_tokens"]["delta"] == -tokens
    assert only(went)["cost_usd"]["delta"] == f"-{tokens / 1e5:.5f}".rstrip("0")
    assert came["total"]["refused"] == went["total"]["refused"] == {"old": 0, "new": 0}


def test_calls_with_a_template_of_their_own_are_refused_by_a_route_that_has_another(tmp_path: Path) -> None:
    old = policy(tmp_path, "old", other=ONE)
    new = policy(tmp_path, "new", more=ROUTED.replace("template: t", "template: other"), other=ONE)

    report = replayed(old, new, call(0, old, prompt=prompt(old), content=said()))

    assert report["total"]["changes"] == [{"old": "all: strong", "new": "refused (template_conflict)", "calls": 1}]


ROLLED = TWO + "rollout: {weights: {1: WEIGHT, 2: 10}}\n"


def test_a_rollout_s_new_weights_draw_anew_and_conversations_keep_what_they_began_with(tmp_path: Path) -> None:
    old = policy(tmp_path, "old", ROLLED.replace("WEIGHT", "90"))
    new = policy(tmp_path, "new", ROLLED.replace("WEIGHT", "10"))
    lines = []
    for number in range(40):
        unit = f"{number:032x}"
        told = prompt(old, reason="rollout", unit=unit, drawn=1)
        lines.append(call(2 * number, old, prompt=told, content=said()))
        told["reason"] = "sticky"
        lines.append(call(2 * number + 1, old, prompt=told, content=said()))

    report = replayed(old, new, *lines)

    moved = [each for each in report["templates"] if each["changed"]]
    assert sum(each["calls"] for each in report["templates"]) == 80
    assert moved[0]["new"]["version"] == 2
    assert 20 <= moved[0]["calls"] <= 60
    assert moved[0]["calls"] % 2 == 0  # the second call of a conversation goes where the first went
    assert moved[0]["input_tokens"]["delta"] == MORE * moved[0]["calls"]


def test_what_an_admin_said_beside_the_file_holds_until_the_file_changes(tmp_path: Path) -> None:
    old = policy(tmp_path, "old", ROLLED.replace("WEIGHT", "90"))
    same = policy(tmp_path, "same", ROLLED.replace("WEIGHT", "90"), PLAIN.replace("strong", "cheap"))
    other = policy(tmp_path, "other", TWO.replace("production: 2", "production: 1"))
    line = call(0, old, prompt=prompt(old, 2, reason="override", unit="0" * 32), content=said())

    assert only(replayed(old, same, line))["changed"] == 0
    assert only(replayed(old, other, line))["new"]["version"] == 1


def test_hits_are_lost_with_another_version_and_are_not_in_the_cost_of_the_text(tmp_path: Path) -> None:
    old, new = policy(tmp_path, "old"), policy(tmp_path, "new", TWO)
    hit = {"cache": "hit", "cache_kind": "exact", "saved_nano_usd": 14_000_000, "input_tokens": 0, "output_tokens": 0}

    report = replayed(old, new, call(0, old, prompt=prompt(old), content=said(), **hit))

    assert (report["total"]["hits"], report["total"]["lost_hits"]) == (1, 1)
    assert report["total"]["cost_usd"]["new"] == "0.014"
    assert (only(report)["counted"], only(report)["cost_usd"]["calls"]) == (1, 0)
    assert any("1 calls are not in the cost" in line for line in table(report))


def test_a_longer_prompt_passes_a_context_that_the_shorter_one_did_not(tmp_path: Path) -> None:
    small = PLAIN.replace("strong", "small")
    long = TWO.replace("one and two and three", "word " * 3000)
    old, new = policy(tmp_path, "old", more=small), policy(tmp_path, "new", long, small)

    report = replayed(
        old, new, call(0, old, input_tokens=300, prompt=prompt(old), content=said(), basis={"tokens_in": 300})
    )

    assert report["total"]["too_long"] == {"old": 0, "new": 1}
    assert (only(report)["counted"], only(report)["cost_usd"]["calls"]) == (1, 0)
