"""The benchmark measures what it says it does."""

from __future__ import annotations

import gzip
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from bench.routing.curve import CHANCE, rank
from bench.routing.data import BadFile, Row, by_pair, read
from bench.routing.score import report
from tests.route.score.pairs import planted


def row(weak: float, *, prompt: str = "p", app: str = "app", strong: float = 1.0, family: str = "f") -> Row:
    return Row(prompt, app, family, f"{app}/c", prompt, "gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", strong, weak)


def test_equal_scores_rank_as_chance_does() -> None:
    ranking = rank([row(0), row(1), row(1), row(0)], [0.0] * 4)

    assert (ranking.apgr, ranking.cpt50, ranking.cpt80) == pytest.approx((0.5, 50, 80))


def test_a_perfect_and_a_wrong_order() -> None:
    rows = [row(0), row(1), row(1), row(1)]

    best, worst = rank(rows, [3, 2, 1, 0]), rank(rows, [0, 1, 2, 3])

    assert (best.apgr, best.cpt80) == pytest.approx((0.875, 20))
    assert (worst.apgr, worst.cpt80) == pytest.approx((0.125, 95))


def test_calls_that_the_weak_model_answers_better_count_against() -> None:
    assert rank([row(0), row(0), row(1, strong=0)], [3, 2, 1]).apgr == pytest.approx((0.5 + 1.5 + 1.5) / 3)


def test_models_that_are_equally_good_leave_nothing_to_rank() -> None:
    assert rank([row(1), row(1)], [2, 1]) == CHANCE


def test_each_app_weighs_the_same() -> None:
    few = [row(0, app="a"), row(1, app="b")]
    more = [row(0, app="a")] * 3 + [row(1, app="b")]

    assert rank(few, [2, 1]) == rank(more, [2, 2, 2, 1])


def test_pairs_go_by_their_names_without_dates() -> None:
    names = (
        ("Meta-Llama-3_1-70B-Instruct", "Meta-Llama-3_1-8B-Instruct"),
        ("Meta-Llama-3-70B-Instruct", "Meta-Llama-3-8B-Instruct"),
    )

    rows = [row(0), *(Row("i", "d", "f", "a/c", "p", *pair, 1, 0) for pair in names)]

    assert {pair: len(of) for pair, of in by_pair(rows).items()} == {
        "gpt-4o / gpt-4o-mini": 1,
        "llama-3-70b-instruct / llama-3-8b-instruct": 2,
    }


def written(path: Path, rows: list[Row]) -> Path:
    members = ("id", "dataset", "family", "route", "prompt", "strong", "weak", "q_strong", "q_weak")
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps({name: getattr(one, name) for name in members} | {"more": 1}) + "\n" for one in rows)
    return path


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = [row(0), row(1, prompt="other")]

    assert read(written(tmp_path / "rows.jsonl.gz", rows)) == rows


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("{", "after line 1"),
        ("[]", "line 1: a row is"),
        ('{"id": "1"}', "line 1: .*missing"),
        (
            json.dumps(dict.fromkeys("id dataset family route prompt strong weak q_strong q_weak".split(), "")),
            "from 0 to 1",
        ),
    ],
)
def test_a_file_that_cannot_be_read_says_where(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(text)

    with pytest.raises(BadFile, match=says):
        read(path)


def test_a_report_has_every_section_and_finds_what_was_planted() -> None:
    rows = [
        row(label.weak, prompt=f"{number} {label.prompt.text}", family=random.Random(number).choice("fg"))
        for number, label in enumerate(planted(240))
    ]

    text = "\n".join(report(rows, labels=None, draws=1, most_tested=50))

    assert "G1, 200 labels" in text
    assert "reached" in next(line for line in text.splitlines() if line.startswith("- G1, 200 labels"))
    for section in ("APGR / CPT50 / CPT80", "G8", "G6"):
        assert section in text


def test_labels_of_another_file_that_are_tested_are_not_learned_from() -> None:
    """All that is tested has been seen; what was not allowed to be learned cannot help."""
    rows = [row(label.weak, prompt=f"{number} {label.prompt.text}") for number, label in enumerate(planted(60))]

    text = "\n".join(report(rows, labels=rows, draws=1, most_tested=60))

    cold, learned = (
        next(line.split(" | ")[-1] for line in text.splitlines() if line.startswith(f"| {method} | ") and "/" in line)
        for method in ("length", "score, 200 labels")
    )
    assert learned == cold


def test_a_pair_without_labels_is_left_out_and_named() -> None:
    rows = [row(label.weak, prompt=f"{number}") for number, label in enumerate(planted(20))]
    others = [replace(one, weak="other", prompt=f"other {one.prompt}") for one in rows]

    text = "\n".join(report([*rows, *others], labels=rows, draws=1, most_tested=20))

    assert "no labels: gpt-4o / other." in text
    assert "|  | gpt-4o / gpt-4o-mini | mean |" in text
