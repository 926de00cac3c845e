"""Lines are read one at a time, whatever the file."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from gateway.replay import traffic
from gateway.replay.comparison import Comparison
from gateway.replay.report import document
from gateway.replay.table import table
from gateway.replay.traffic import from_file
from tests.replay.records import PLAIN, call, snapshot


@pytest.mark.parametrize("is_packed", [False, True])
def test_empty_lines_are_passed_over_and_long_ones_are_cut(
    is_packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic, "LONGEST", 10)
    content = b"one\n\n  \n" + b"x" * 35 + b"\n" + b"y" * 10 + b"\ntwo"
    file = tmp_path / "calls"
    file.write_bytes(gzip.compress(content) if is_packed else content)

    assert list(from_file(file)) == [b"one\n", b"x" * 10, b"y" * 10, b"two"]


def test_what_a_client_wrote_cannot_steer_a_terminal(tmp_path: Path) -> None:
    policy = snapshot(tmp_path, PLAIN + '  - {name: named, model: "free"}\n')
    comparison = Comparison(policy, policy)
    comparison.take(call(0, policy))
    comparison.take(b'{"id": "\x1b[2J"')
    report = document(comparison)
    report["traffic"]["first_bad"] = "line 2: \x1b[2J"

    assert "\x1b" not in "".join(table(report))
