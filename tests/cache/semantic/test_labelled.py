"""The benchmark's folders of labelled questions are told apart by their members, and what is wrong with one is said."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from bench.cache.__main__ import Report
from bench.cache.data import BadFolder, only, read, some
from gateway.cache.semantic.earned import Promise

PAIR = {"a": "How do I pay?", "b": "How can I pay?"}
OWN = Path(__file__).parents[3] / "bench" / "cache" / "own"


def write(folder: Path, name: str, *rows: Any) -> Path:
    (folder / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return folder


def test_a_file_is_known_by_the_members_of_its_rows_and_not_by_its_name(tmp_path: Path) -> None:
    write(tmp_path, "a.jsonl", {**PAIR, "cat": "x", "label": 1}, {**PAIR, "cat": "x", "label": 0})
    write(tmp_path, "b.jsonl", {**PAIR, "cat": "x", "label": 0})
    write(tmp_path, "c.jsonl", {**PAIR, "entail": "CONTRADICTION"})
    write(tmp_path, "d.jsonl", {**PAIR, "label": 1, "cluster_a": "1", "cluster_b": "1"})
    (tmp_path / "e.jsonl.gz").write_bytes(gzip.compress(b'{"text": "How do I pay?", "label": "pay"}\n'))
    write(tmp_path, "README.md", "not a row")

    found = read(tmp_path)

    assert [list(part) for part in (found.written, found.generated, found.inferred, found.paraphrases)] == [
        *(["a"], ["b"], ["c"], ["d"])
    ]
    assert list(found.intents) == ["e"]
    assert [one.text for one in found.open_traffic["d"]] == ["How do I pay?", "How can I pay?"]
    assert list(only(found, ["e", "a"]).pairs) == ["a"]
    assert len(some(found, pairs=1, questions=1).written["a"]) == 1


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([], "x.jsonl is empty"),
        ([[1]], "x.jsonl, line 1: not an object"),
        ([{**PAIR, "label": 1}, {**PAIR, "label": 2}], "line 2: `label` must be 0 or 1"),
        ([{**PAIR}], "line 1: `label` must be 0 or 1"),
        ([{"a": "x", "label": 1}], "line 1: `b` must be a text"),
        ([{"text": 3, "label": "x"}], "line 1: `text` must be a text"),
        ([{"text": "x"}], "line 1: `label` must name"),
        ([{**PAIR, "entail": "maybe"}], "line 1: `entail` must be one of"),
        ([{**PAIR, "label": 1, "cluster_a": "1"}], "line 1: `cluster_a` and `cluster_b` go together"),
        ([{**PAIR, "label": 1}, {"text": "x", "label": "y"}], "mixes rows of several shapes"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(tmp_path: Path, rows: list[Any], told: str) -> None:
    with pytest.raises(BadFolder, match=told):
        read(write(tmp_path, "x.jsonl", *rows))


def test_what_is_wrong_with_a_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadFolder, match="is not a folder"):
        read(tmp_path / "absent")
    with pytest.raises(BadFolder, match="has no files"):
        read(tmp_path)
    (tmp_path / "x.jsonl").write_text('{"a": \n')
    with pytest.raises(BadFolder, match=r"x\.jsonl, line 1: not a line of JSON"):
        read(tmp_path)
    (tmp_path / "x.jsonl").rename(tmp_path / "x.jsonl.gz")
    with pytest.raises(BadFolder, match=r"x\.jsonl\.gz: cannot be read"):
        read(tmp_path)


def test_a_report_ends_with_the_goals_that_the_folder_can_judge() -> None:
    report = Report(some(read(OWN), pairs=60, questions=0), Promise(), streams=0, length=0)

    text = "\n".join(report.parts())

    goals = {goal.text.partition(":")[0]: goal.reached for goal in report.goals}
    assert goals["near-misses, written by hand served"] is True
    assert goals["paraphrases, written by hand served"] is True
    assert goals["near-misses, generated served"] is None
    assert text.endswith("| reached |")
    assert "## Pairs: written_a" in text


def test_our_own_pairs_are_such_a_folder() -> None:
    found = read(OWN)

    assert sum(not pair.same for pairs in found.written.values() for pair in pairs) == 200
    assert only(found, ["written_a"]).written.keys() == {"written_a"}
    with pytest.raises(BadFolder, match="there is no written_c"):
        only(found, ["written_c"])
