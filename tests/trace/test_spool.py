"""Nothing that a call has cost is lost with the worker that answered it, and nobody waits for that."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.core.tasks import Tasks
from gateway.trace.journal import open_journal
from gateway.trace.metrics.names import Known
from gateway.trace.metrics.observe import Observer
from gateway.trace.row import row_of
from gateway.trace.sink import Line
from gateway.trace.spool import files, leftovers
from gateway.trace.spool.files import FOLDER, Spool, open_spool
from gateway.trace.spool.leftovers import take_over
from gateway.trace.spool.under_way import UnderWay
from gateway.trace.sqlite.entry import foreign
from gateway.trace.story import tell
from tests.trace.stored import File, line
from tests.trace.test_journal import Opens, eventually, ids, opens, record

__all__ = ["opens"]

SPAWN = multiprocessing.get_context("spawn")
Work = Callable[[Path], Awaitable[None]]


async def _ends_a_call(folder: Path) -> None:
    """Nothing is handed over: the call file has nothing of it."""
    journal = open_journal(folder, stdout=None)
    journal.write(record("req_1"))
    await asyncio.sleep(0)
    (folder / "ready").touch()
    await asyncio.sleep(60)


async def _is_answering(folder: Path) -> None:
    journal = open_journal(folder, stdout=None)
    tasks = Tasks()
    tasks.start(journal.run(), name="journal")
    calls = [record(f"req_{number}") for number in range(3)]
    for each in calls:
        journal.begin(each)
    await eventually(lambda: any(path.stat().st_size for path in folder.glob(f"{FOLDER}/*/notes")))
    journal.write(calls[0])
    journal.begin(record("req_young"))
    await asyncio.sleep(0)
    (folder / "ready").touch()
    await asyncio.sleep(60)


def _run(work: Work, folder: Path) -> None:
    asyncio.run(work(folder))  # type: ignore[arg-type]


async def killed(work: Work, folder: Path) -> None:
    """A worker that was killed in the middle of it."""
    worker: BaseProcess = SPAWN.Process(target=_run, args=(work, folder))
    worker.start()
    async with asyncio.timeout(20.0):
        while not (folder / "ready").exists():
            await asyncio.sleep(0.01)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()


def spools(folder: Path) -> list[str]:
    return [path.name for path in (folder / FOLDER).iterdir()]


async def found(journal: Any, id: str) -> dict[str, Any]:
    """The record of this call, which is on its way."""
    async with asyncio.timeout(10.0):
        while (each := await journal.find(id)) is None:
            await asyncio.sleep(0.05)
    return dict(each)


async def test_the_record_of_a_call_that_has_just_ended_outlives_its_worker(tmp_path: Path, opens: Opens) -> None:
    await killed(_ends_a_call, tmp_path)

    journal = await opens()

    assert (await found(journal, "req_1"))["outcome"] == "upstream"
    await eventually(lambda: len(spools(tmp_path)) == 1)


async def test_a_call_whose_worker_died_has_a_record_like_any_other(tmp_path: Path, opens: Opens) -> None:
    await killed(_is_answering, tmp_path)

    journal = await opens()

    orphan = await found(journal, "req_1")
    assert (orphan["outcome"], orphan["status"], orphan["error_code"]) == ("orphaned", 500, "worker_died")
    assert (orphan["tenant"], orphan["model"], orphan["cost_nano_usd"]) == ("acme", "gpt-4o", None)
    assert orphan.keys() == row_of(record("req_1")).keys()
    assert (await found(journal, "req_0"))["outcome"] == "upstream"
    assert sorted(map(str, ids((await journal.latest()).records))) == ["req_0", "req_1", "req_2"]


def test_a_call_is_noted_anew_when_it_comes_to_hold_something_and_the_last_note_tells(
    tmp_path: Path, spool: Spool, file: File
) -> None:
    class Held:
        reserved_usd = 1_234
        is_stopped = False
        asked = ()
        refused_by = None

    calls, call = UnderWay(), record("a")
    calls.begin(call)
    spool.note(calls.notes(call.received + 1))
    assert calls.notes(call.received + 1) == b"", "nothing is new"
    call.budget(Held())
    spool.note(calls.notes(call.received + 2))
    spool.close(settled=False)

    assert taken(tmp_path, file) == ["a"]
    assert orjson.loads(file.reader.find("a") or b"")["reserved_nano_usd"] == 1_234


async def test_the_living_take_over_from_the_dead(
    tmp_path: Path, opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.trace.journal.TAKE_OVER", 0.1)
    journal = await opens()

    await killed(_is_answering, tmp_path)

    assert (await found(journal, "req_2"))["outcome"] == "orphaned"


async def test_a_worker_that_ends_well_leaves_nothing(tmp_path: Path, opens: Opens) -> None:
    journal = open_journal(tmp_path, stdout=None)
    for number in range(5):
        call = record(f"req_{number}")
        journal.begin(call)
        journal.write(call)

    await journal.close()

    assert spools(tmp_path) == []
    assert len((await (await opens()).latest()).records) == 5


async def test_the_spool_is_emptied_once_the_call_file_has_what_is_in_it(tmp_path: Path, opens: Opens) -> None:
    journal = await opens()
    for number in range(300):
        journal.write(record(f"req_{number}"))
    assert await journal.find("req_299")

    await eventually(lambda: sum(path.stat().st_size for path in (tmp_path / FOLDER).rglob("*")) < 20_000)
    await eventually(lambda: all(path.stat().st_size == 0 for path in (tmp_path / FOLDER).glob("*/[01n]*")))


async def test_notes_of_calls_that_have_ended_go(tmp_path: Path, opens: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.trace.journal.FEW", 10)
    journal = await opens()
    (notes,) = (tmp_path / FOLDER).glob("*/notes")
    calls = [record(f"req_{number}") for number in range(20)]
    for each in calls:
        journal.begin(each)
    await eventually(lambda: notes.read_bytes().count(b"\n") == 20)

    for each in calls[:-1]:
        journal.write(each)
    await eventually(lambda: notes.read_bytes().count(b"\n") == 1)
    journal.write(calls[-1])
    await eventually(lambda: notes.stat().st_size == 0)


def taken(folder: Path, file: File) -> list[object]:
    """The ids of the new records that were taken over."""
    found: list[object] = []

    def add(lines: Sequence[Line]) -> Sequence[Line]:
        fresh = file.writer.add(lines)
        found.extend(each.row["id"] for each in fresh)
        return fresh

    take_over(folder, add)
    return found


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return open_spool(tmp_path, "worker")


def test_what_a_living_worker_spools_is_its_own(tmp_path: Path, spool: Spool) -> None:
    spool.append(b'{"id": "a"}\n', 1)

    assert take_over(tmp_path, lambda _: pytest.fail("it was taken over")) == []
    spool.close(settled=False)


def test_what_cannot_be_added_is_left_for_the_next_time(tmp_path: Path, spool: Spool, file: File) -> None:
    spool.append(line("a").json + b"\n" + line("b").json + b'\n{"id": "to', 2)
    spool.note(b'{"id": "no note"}\n[]\nnothing\n')
    spool.close(settled=False)

    def fails(_: object) -> list[Any]:
        raise OSError("the disk is full")

    assert take_over(tmp_path, fails) == []
    assert taken(tmp_path, file) == ["a", "b"]
    assert taken(tmp_path, file) == []
    assert spools(tmp_path) == []


def test_large_records_are_taken_over_a_few_at_a_time(
    tmp_path: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "LARGEST", 3 * len(line("0").json))
    spool.append(b"".join(line(str(number)).json + b"\n" for number in range(7)), 7)
    spool.close(settled=False)
    sizes: list[int] = []

    def add(lines: Sequence[Line]) -> Sequence[Line]:
        sizes.append(len(lines))
        return lines

    assert take_over(tmp_path, add) == []
    assert sizes == [3, 3, 1]


def test_a_worker_that_ends_leaves_the_rest_to_others(
    tmp_path: Path, spool: Spool, file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "BATCH", 1)
    spool.append(line("a").json + b"\n" + line("b").json + b"\n", 2)
    spool.close(settled=False)

    take_over(tmp_path, file.writer.add, lambda: file.ids() == ["a"])

    assert (file.ids(), spools(tmp_path)) == (["a"], ["worker"])
    assert taken(tmp_path, file) == ["b"]


def test_what_was_dropped_before_the_call_file_had_it_is_taken_over_all_the_same(
    tmp_path: Path, spool: Spool, file: File
) -> None:
    spool.append(line("a").json + b"\n", 1)
    spool.turn(appended=1, settled=0, dropped=0)
    spool.append(line("b").json + b"\n", 1)
    spool.turn(appended=2, settled=1, dropped=1)

    assert taken(tmp_path, file) == ["a"]
    assert spools(tmp_path) == ["worker"]
    spool.turn(appended=2, settled=2, dropped=1)
    spool.close(settled=False)
    assert taken(tmp_path, file) == ["b"]


def test_a_full_disk_is_told_once_and_counted(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_: object, __: object) -> int:
        raise OSError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("gateway.trace.spool.files.os.write", full)
        spool.append(b"{}\n", 1)
        spool.append(b"{}\n", 1)
    spool.append(b"{}\n", 1)

    assert spool.missed == 2
    assert [each.message for each in caplog.records] == ["the spool of call records cannot be written"]
    spool.close(settled=True)


def test_a_spool_is_no_larger_than_it_may_be(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST", 5)
    for _ in range(4):
        spool.append(b"{}\n", 1)

    assert spool.missed == 2
    spool.close(settled=True)


ODD = (
    b'{"id": "no time"}',
    b'{"id": {"a": 1}, "at": null}',
    b'{"id": "far", "at": 1e300, "attempts": [{"deployment": "x"}]}',
    b"[1]",
    b"\x00\xff",
    b'{"id": "odd", "at": 1800014400, "attempts": [1], "org": 5, "cost_nano_usd": "a", "stream": 3, "status": [1]}',
)


def test_what_is_no_record_of_ours_is_left_out_and_the_rest_is_made_sound(
    tmp_path: Path, spool: Spool, file: File
) -> None:
    spool.append(b"\n".join(ODD) + b"\n" + line("a").json + b"\n", len(ODD) + 1)
    spool.close(settled=False)

    assert taken(tmp_path, file) == ["odd", "a"]
    file.writer.add([each for each in map(foreign, ODD) if each is not None])
    assert file.ids() == ["a", "odd"]
    assert file.totals("cost_nano_usd", by="org") == {("acme",): 1000, ("5",): 0}


def test_a_record_of_another_replica_is_one_line_whatever_it_was_sent_as() -> None:
    found = foreign(b'{"id": "a",\n\n"at": 1}')

    assert found is not None
    assert b"\n" not in found.json


def test_notes_that_cannot_be_written_anew_cost_no_descriptor(
    tmp_path: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("the disk is full")

    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", full)
        spool.note_anew(b'{"id": "old"}\n')

    assert len(os.listdir("/proc/self/fd")) == before
    spool.note_anew(b'{"id": "new"}\n')
    assert (tmp_path / FOLDER / "worker" / "notes").read_bytes() == b'{"id": "new"}\n'
    spool.close(settled=False)


async def test_an_orphan_is_counted_shown_as_spans_and_told(tmp_path: Path, opens: Opens) -> None:
    await killed(_is_answering, tmp_path)
    journal = await opens()

    orphan = await found(journal, "req_1")

    counting = Observer(lambda: None, Known)
    counting.observe(orphan)
    counted = counting.totals.counters["llmgw_calls_total"]
    assert {labels[0]: cell.value for labels, cell in counted.items()} == {"orphaned": 1}
    told = tell(orphan)
    assert "Its worker died" in " ".join(told["story"])
    assert [span["name"] for span in told["spans"]] == ["POST /v1/chat/completions"]
