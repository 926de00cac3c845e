"""The file of call records: each once, brought over from older versions, and no larger than it may be."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import orjson
import pytest

from gateway.trace.reading.search import Search
from gateway.trace.retention import DAY, Retention
from gateway.trace.sink import Line
from gateway.trace.sqlite import pruning, reader, writer
from gateway.trace.sqlite.schema import VERSION
from tests.trace.stored import NOON, File, line, row

FIRST_VERSION = """
CREATE TABLE calls(seq INTEGER PRIMARY KEY AUTOINCREMENT, id, at, tenant, key_id, operation, model, route, deployment,
  provider, status, outcome, error_code, cost_nano_usd, record TEXT NOT NULL);
CREATE INDEX calls_id ON calls(id);
CREATE INDEX calls_at ON calls(at);
"""


def kept_by_the_first_version(path: Path, records: list[dict[str, object]]) -> None:
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA journal_mode=WAL;" + FIRST_VERSION)
    with connection:
        for each in records:
            values = (each["id"], each["at"], orjson.dumps(each).decode())
            connection.execute("INSERT INTO calls(id, at, record) VALUES(?, ?, ?)", values)
    connection.close()


def tidied(file: File) -> None:
    """Until there is nothing left to do."""
    file.writer.write([])
    for _ in range(1000):
        file.writer._pruned = file.writer._rolled = -float("inf")
        file.writer.tidy()
        if not file.writer._has_old_rows and file.writer._pruned > 0:
            return
    raise AssertionError("it never ends")


def test_a_record_that_comes_again_is_kept_once_and_counted_once(file: File) -> None:
    assert [each.row["id"] for each in file.writer.add([line("a"), line("a"), line("b")])] == ["a", "b"]
    assert [each.row["id"] for each in file.writer.add([line("b"), line("c")], origin="another")] == ["c"]

    assert sorted(file.ids()) == ["a", "b", "c"]
    assert file.totals("calls") == {(): 3}


def test_two_calls_for_which_a_client_chose_the_same_id_are_two(file: File) -> None:
    file.writer.write([line("a", span_id="1", model="first"), line("a", span_id="2", model="second")])

    assert file.ids() == ["a", "a"]
    assert orjson.loads(file.reader.find("a") or b"")["model"] == "second"


def test_rows_of_the_first_version_are_brought_over_and_counted(tmp_path: Path) -> None:
    old: list[dict[str, object]] = [row(f"req_{number}", at=NOON + number) for number in range(1200)]
    for each in old[:600]:
        del each["span_id"]
    kept_by_the_first_version(tmp_path / "calls.sqlite", [*old, dict(old[0])])
    file = File(tmp_path)

    file.writer.write([line("new", at=NOON + 5000)])
    assert file.ids() == ["new"]
    tidied(file)

    assert len(file.ids()) == 1000
    assert [orjson.loads(each)["id"] for each in file.reader.own(0, limit=5000)[0]] == ["new"]
    assert [each["id"] for each in file.reader.latest(Search(), limit=3).records] == ["new", "req_1199", "req_1198"]
    assert file.totals("calls", until=str(NOON + 7200)) == {(): 1202}
    assert orjson.loads(file.reader.find("req_7") or b"") == old[7]
    with sqlite3.connect(file.path) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'calls_1'").fetchone() == (0,)
    connection.close()
    file.close()


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "calls.sqlite") as connection:
        connection.execute(f"PRAGMA user_version={VERSION + 1}")
    connection.close()
    file = File(tmp_path)

    with pytest.raises(OSError, match="newer"):
        file.writer.write([line("a")])
    with pytest.raises(OSError, match="newer"):
        file.reader.last()


def test_stored_text_is_data(file: File) -> None:
    hostile = "'); DROP TABLE calls; --"
    file.writer.write([line(hostile, model=hostile, tags=[hostile], user=hostile, error=hostile)])

    assert file.ids(model=hostile) == file.ids(tag=hostile) == file.ids(text="drop table") == [hostile]
    assert file.totals("calls", by="model") == {(hostile,): 1}
    assert file.totals("calls", by="tag") == {(hostile,): 1}


def test_numbers_and_texts_that_no_column_can_hold_lose_no_record(file: File) -> None:
    odd = row("odd", cost_nano_usd=2**63, user="\ud800", model={"not": "text"}, attempts="none")
    file.writer.write([Line(odd, b'{"id":"odd"}'), line("sound")])

    assert sorted(file.ids()) == ["odd", "sound"]


def test_what_is_too_old_goes_and_its_statistics_stay(tmp_path: Path) -> None:
    file = File(tmp_path, retention=Retention(age=DAY), now=lambda: NOON + 2 * DAY)
    file.writer.write([line("old"), line("new", at=NOON + 2 * DAY)])

    tidied(file)

    assert file.ids() == ["new"]
    assert file.totals("calls") == {(): 1}
    file.close()


@pytest.mark.parametrize("retention", [Retention(age=DAY), Retention(rows=6), Retention(bytes=1)])
def test_no_call_goes_before_it_has_been_counted(tmp_path: Path, retention: Retention) -> None:
    file = File(tmp_path, retention=retention, now=lambda: NOON + 2 * DAY)
    file.writer.write([line(str(number)) for number in range(10)])
    connection = file.writer._opened()
    file.statistics()  # counts them
    file.writer.write([line(str(number)) for number in range(10, 16)])

    while pruning.prune(connection, retention, now=NOON + 2 * DAY):
        pass

    assert len(file.ids()) == 6
    assert file.totals("calls") == {(): 16}
    file.close()


def test_statistics_go_when_their_time_has_come(tmp_path: Path) -> None:
    file = File(tmp_path, retention=Retention(statistics=DAY), now=lambda: NOON + 2 * DAY)
    file.writer.write([line("old"), line("new", at=NOON + 2 * DAY)])

    tidied(file)

    assert file.totals("calls") == {(): 0}
    assert file.totals("calls", until=str(NOON + 3 * DAY)) == {(): 1}
    file.close()


def test_the_oldest_go_when_there_are_too_many_in_whatever_order_they_came(tmp_path: Path) -> None:
    file = File(tmp_path, retention=Retention(rows=2))
    file.writer.write([line("second", at=NOON + 2), line("third", at=NOON + 3), line("first", at=NOON + 1)])

    tidied(file)

    assert file.ids() == ["third", "second"]
    file.close()


def test_the_file_keeps_to_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "STEP", 100)
    monkeypatch.setattr(writer, "STEP", 100)
    file = File(tmp_path, retention=Retention(bytes=2_000_000))
    for batch in range(20):
        each = [line(f"{batch}-{number}", at=NOON + batch, error="x" * 2000) for number in range(100)]
        file.writer.write(each)
        tidied(file)

    connection = sqlite3.connect(file.path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    assert file.path.stat().st_size < 3_000_000
    kept = file.ids()
    assert 100 <= len(kept) < 1000
    assert kept[0].startswith("19-")
    file.close()


def test_a_file_that_was_removed_is_made_anew_and_followed_from_its_beginning(file: File) -> None:
    file.writer.write([line("a"), line("b")])
    place = file.reader.last()

    file.path.unlink()
    file.writer.write([line("c")])
    followed = file.reader.since(Search(), place, limit=10)

    assert [orjson.loads(each)["id"] for each in followed.lines] == ["c"]
    file.writer.write([line("d")])
    following = file.reader.since(Search(), followed.seq, limit=10)
    assert [orjson.loads(each)["id"] for each in following.lines] == ["d"]


def test_a_page_of_large_records_is_a_short_one(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads gets all of them all the same, but what a slow follower has missed."""
    monkeypatch.setattr(reader, "LARGEST", 250_000)
    everything = [f"{number}" for number in range(7)]
    file.writer.write([line(id, content="é" * 50_000, at=NOON + int(id)) for id in everything])

    found: list[object] = []
    before = None
    for _ in range(4):
        page = file.reader.latest(Search(), limit=100, before=before)
        assert len(page.lines) <= 2
        found += [each["id"] for each in page.records]
        before = page.before
    assert (found, before) == (everything[::-1], None)

    lines, place = file.reader.next(Search(), file.reader.begin(), limit=100)
    following, _ = file.reader.next(Search(), place, limit=100)
    assert [orjson.loads(each)["id"] for each in (*lines, *following)] == everything[:4]

    own, reached = file.reader.own(0, limit=100)
    assert (len(own), reached) == (2, 2)

    followed = file.reader.since(Search(), 0, limit=100)
    assert [orjson.loads(each)["id"] for each in followed.lines] == everything[-2:]
    assert (followed.dropped, followed.seq) == (5, 7)


def test_a_question_that_takes_too_long_is_given_up(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.trace.sqlite.reader.LONGEST", 0.0)
    monkeypatch.setattr("gateway.trace.sqlite.reader._LOOK", 1)
    file.writer.write([line(str(number)) for number in range(500)])

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        file.ids(text="nothing")
    assert time.monotonic() - began < 5
