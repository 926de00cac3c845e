"""What labels teach, and what is kept of their prompts."""

from __future__ import annotations

import json
import os
import random
import string
import subprocess
import sys
from collections.abc import Sequence
from statistics import fmean

import pytest

from gateway.route.score.fit import fit
from gateway.route.score.prompt import Label, Prompt
from gateway.route.score.score import Score
from gateway.route.score.state import save
from tests.route.score.pairs import EASY, HARD, planted


def ranks_right(score: Score, labels: Sequence[Label]) -> float:
    """The share of pairs of a prompt that loses and one that does not in which the first scores higher; 0.5 for no knowledge."""
    lost = [score.of(label.prompt).loss for label in labels if label.loss > 0]
    kept = [score.of(label.prompt).loss for label in labels if label.loss <= 0]
    return fmean((one > other) + (one == other) / 2 for one in lost for other in kept)


def test_words_that_lost_are_told_from_words_that_did_not() -> None:
    unseen = planted(200, seed=2)

    learned = [ranks_right(fit(planted(count)), unseen) for count in (20, 300)]

    assert ranks_right(Score(), unseen) < 0.7
    assert learned[0] > 0.75
    assert learned[1] > 0.85


def test_a_score_of_a_hard_prompt_is_near_what_it_loses() -> None:
    score = fit(planted(1_000))

    assert score.of(Prompt(" ".join(HARD), "maths", "plain")).loss == pytest.approx(0.9, abs=0.15)
    assert score.of(Prompt(" ".join(EASY), "maths", "plain")).loss == pytest.approx(0.1, abs=0.15)


@pytest.mark.parametrize("part", ["route", "category"])
def test_what_is_known_without_the_prompt_is_learned(part: str) -> None:
    text = "Which of these is it?"
    bad, good, new = (
        Prompt(text, name if part == "route" else "r", name if part == "category" else "c")
        for name in ("bad", "good", "new")
    )
    score = fit([Label(bad, 1, 0), Label(good, 1, 1)] * 100)

    assert score.of(bad).loss > score.of(good).loss + 0.5
    assert getattr(score.of(bad), part) > 0.2 > getattr(score.of(new), part) == 0


def test_a_category_counts_within_its_route_only() -> None:
    labels = [Label(Prompt("x", "a", "same"), 1, 0), Label(Prompt("x", "b", "same"), 1, 1)] * 50

    score = fit(labels)

    assert score.of(Prompt("x", "a", "same")).category > 0 > score.of(Prompt("x", "b", "same")).category


def test_lengths_are_compared_within_a_route() -> None:
    """What is long in one route is short in another; the longer half of each loses."""
    chance = random.Random(3)
    labels = []
    for route, usual in (("short", 20), ("long", 400)):
        for _ in range(200):
            words = chance.randrange(usual // 2, usual * 2)
            labels.append(Label(Prompt("word " * words, route), 1, float(words < usual)))

    score = fit(labels)

    for route, usual in (("short", 20), ("long", 400)):
        long, short = (score.of(Prompt("word " * words, route)) for words in (usual * 2, usual // 2))
        assert long.length > 0 > short.length
        assert long.loss > short.loss + 0.1


def test_without_labels_the_longer_prompt_scores_higher() -> None:
    score = fit([])

    losses = [score.of(Prompt("many words " * count)).loss for count in (1, 10, 100)]

    assert score == Score()
    assert losses == sorted(losses)
    assert losses[0] < losses[-1]


def test_one_label_moves_the_score_a_little_and_in_its_direction() -> None:
    prompt = Prompt("What is the capital of France?", "geography")
    before = Score().of(prompt).loss

    assert before < fit([Label(prompt, 1, 0)]).of(prompt).loss < before + 0.5
    assert before - 0.5 < fit([Label(prompt, 0, 1)]).of(prompt).loss < before


def test_the_newest_labels_count() -> None:
    old, new = planted(50), planted(30, seed=4)

    assert save(fit([*old, *new], most=30)) == save(fit(new))
    assert fit([*old, *new], most=30).labels == 30


def test_a_label_that_is_no_number_is_passed_over() -> None:
    labels = planted(20)

    wrong = [Label(Prompt("x"), float("nan"), 0), Label(Prompt("x"), 1, float("inf"))]

    assert fit([*labels, *wrong]) == fit(labels)


def test_the_same_labels_give_the_same_score_in_every_process() -> None:
    code = (
        "import json; from gateway.route.score.fit import fit; from gateway.route.score.state import save; "
        "from tests.route.score.pairs import planted; print(json.dumps(save(fit(planted(60)))))"
    )
    states = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }

    assert states == {json.dumps(save(fit(planted(60))))}


def test_only_words_that_two_different_prompts_share_are_kept() -> None:
    mine = Prompt("the launch of Bluebird is secret")
    score = fit([*[Label(mine, 1, 0)] * 9, Label(Prompt("the launch was a success"), 1, 1)])

    assert set(score.words) <= {"the", "launch", ("the", "launch")}
    assert score.words


def test_no_number_and_no_key_is_ever_kept() -> None:
    key = string.ascii_lowercase
    text = f"account 4929123412341234 ref AB{12345} token {key} pin 42"

    kept = json.dumps(save(fit([Label(Prompt(f"{text} {word}"), 1, 0) for word in ("one", "two", "three")])))

    assert "account 0000000000000000" in kept
    assert key not in kept
    assert not any(digits in kept for digits in ("4929", "12345"))


def test_labels_of_which_all_are_alike_teach_their_mean() -> None:
    score = fit([Label(Prompt("the same"), 1, 0)] * 200)

    assert score.of(Prompt("the same")).loss == pytest.approx(1, abs=0.05)
