from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.trace.metrics import instruments as of
from gateway.trace.metrics import shared
from gateway.trace.metrics.series import Labels, Sample, Totals, add_sampled, counter, encode, histogram, take
from gateway.trace.metrics.shared import Share, begin_run

ALL: Labels = ()
CALLS: Labels = ("upstream", "gpt-4o", "acme", "")


def totals(*, calls: float = 0, active: float | None = None) -> bytes:
    found = Totals()
    counter(found, of.CALLS, CALLS).value = calls
    if active is not None:
        take(found, [(of.CALLS_ACTIVE, ALL, active)])
    return encode(found)


def calls(found: Totals) -> float:
    return counter(found, of.CALLS, CALLS).value


def test_what_workers_have_counted_is_added_up(tmp_path: Path) -> None:
    one, two = Share(tmp_path, 0), Share(tmp_path, 1)

    one.write(totals(calls=3, active=1))
    two.write(totals(calls=4, active=2))

    assert calls(one.read()) == 7
    assert one.read().gauges[of.CALLS_ACTIVE.name] == {ALL: 3}


def test_a_gauge_that_workers_share_is_told_once(tmp_path: Path) -> None:
    for number, value in enumerate((0, 1)):
        found = Totals()
        take(found, [(of.RESTING, ("openai/gpt-4o",), value)])
        Share(tmp_path, number).write(encode(found))

    assert Share(tmp_path, 0).read().gauges[of.RESTING.name] == {("openai/gpt-4o",): 1}


def test_histograms_are_added_bucket_by_bucket_and_keep_the_latest_example(tmp_path: Path) -> None:
    for number, at in enumerate((20.0, 10.0)):
        found = Totals()
        cell = histogram(found, of.SERVER_DURATION, ("chat", "openai", "gpt-4o", ""))
        add_sampled(cell, of.SERVER_DURATION.buckets, Sample(0.3, at, f"{number:032x}", "1" * 16))
        add_sampled(cell, of.SERVER_DURATION.buckets, Sample(100.0, at, f"{number:032x}", "1" * 16))
        Share(tmp_path, number).write(encode(found))

    (cell,) = Share(tmp_path, 2).read().histograms[of.SERVER_DURATION.name].values()

    assert (sum(cell.counts), cell.counts[5], cell.counts[-1], cell.sum) == (4, 2, 2, 200.6)
    assert cell.samples is not None
    assert [each.at for each in cell.samples if each is not None] == [20.0, 20.0]


def test_a_worker_that_is_started_again_makes_no_counter_fall(tmp_path: Path) -> None:
    Share(tmp_path, 0).write(totals(calls=3))
    Share(tmp_path, 1).write(totals(calls=4))
    seen = []

    for own in (1, 2):
        again = Share(tmp_path, 1)
        seen.append(calls(again.read()))
        again.write(totals(calls=0))
        seen.append(calls(again.read()))
        again.write(totals(calls=own))
        seen.append(calls(again.read()))

    assert seen == [7, 7, 8, 8, 8, 10]


def test_gauges_of_a_worker_that_died_go_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    died = subprocess.Popen([sys.executable, "-c", ""])
    died.wait()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: died.pid)
        Share(tmp_path, 1).write(totals(calls=4, active=2))
    here = Share(tmp_path, 0)
    here.write(totals(calls=1, active=1))

    assert calls(here.read()) == 5
    assert here.read().gauges[of.CALLS_ACTIVE.name] == {ALL: 1}


@pytest.mark.parametrize("left", [b"", b"torn", encode({"process": "x"}), encode([1, 2])])
def test_a_file_that_cannot_be_read_counts_for_nothing(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "worker-1").write_bytes(left)

    here = Share(tmp_path, 1)

    assert not here.read().counters
    here.write(totals(calls=1))
    assert calls(here.read()) == 1


def test_what_an_earlier_run_has_left_is_removed_and_what_goes_on_is_not(tmp_path: Path) -> None:
    goes_on = begin_run(tmp_path)
    (goes_on.folder / "worker-0").write_bytes(totals(calls=1))
    crashed = tmp_path / shared.FOLDER / "crashed"
    crashed.mkdir()
    (crashed / "worker-0").write_bytes(totals(calls=1))

    new = begin_run(tmp_path)

    assert {each.name for each in (tmp_path / shared.FOLDER).iterdir()} == {goes_on.folder.name, new.folder.name}
    new.close()
    goes_on.close()
    assert not list((tmp_path / shared.FOLDER).iterdir())


def test_a_run_goes_on_as_long_as_one_of_its_workers(tmp_path: Path) -> None:
    parent = begin_run(tmp_path)
    wakes, wake = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.read(wakes, 1)
        os._exit(0)
    os.close(parent._lock)  # as when the parent has been killed

    begin_run(tmp_path).close()
    assert parent.folder.exists()

    os.write(wake, b"x")
    os.waitpid(worker, 0)
    begin_run(tmp_path).close()
    assert not parent.folder.exists()


def test_a_folder_that_cannot_be_written_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "llmgw.trace")
    here = Share(tmp_path / "gone", 0)

    for number in range(3):
        here.write(totals(calls=number))

    assert [each.message for each in caplog.records] == ["metrics cannot be told to the other workers"]
