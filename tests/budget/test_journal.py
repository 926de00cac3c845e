"""What a worker that died had spent is on the disk, whole up to where it died; what lives is left alone."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.budget import journal as journals
from gateway.budget.journal import FOLDER, Journal, left_behind, open_journal
from gateway.core.ledger.operations import Line, Settle, Settled
from tests.budget.cast import BookLedger, Worker, budget


def settle(id: str, amount: int) -> Settle:
    return Settle(id, (Line("org:acme:tokens/day|d", amount, 100),))


SINCE = 1_000
"""By the ledger's clock."""


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    journal = open_journal(tmp_path, "host:1:aa")
    yield journal
    await journal.close(heard=True)


async def dies(journal: Journal) -> None:
    """The file stays, its lock goes."""
    await journal.close(heard=False)


def found(data: Path) -> list[list[Settle]]:
    return [settled for _, settled in left_behind(data, SINCE)]


async def test_what_was_settled_and_what_is_open_is_found_by_the_next_worker(journal: Journal, tmp_path: Path) -> None:
    journal.note(settle("call:1", 5))
    await journal.write(lambda: [settle("slice:1", 3)])
    await dies(journal)

    assert found(tmp_path) == [[settle("call:1", 5), settle("slice:1", 3)]]


async def test_the_last_entry_of_an_id_holds(journal: Journal, tmp_path: Path) -> None:
    for amount in (1, 2, 3):
        await journal.write(lambda amount=amount: [settle("slice:1", amount)])  # type: ignore[misc]
    journal.note(settle("slice:1", 4))
    await journal.write(lambda: [])
    await dies(journal)

    assert found(tmp_path) == [[settle("slice:1", 4)]]


async def test_what_the_ledger_had_heard_long_ago_is_not_told_again(journal: Journal, tmp_path: Path) -> None:
    for number in range(3):
        journal.note(settle(f"call:{number}", 5))
    journal.heard(["call:0"], SINCE - 1)
    journal.heard(["call:1"], SINCE)
    await journal.write(lambda: [])
    await dies(journal)

    assert found(tmp_path) == [[settle("call:1", 5), settle("call:2", 5)]]


async def test_what_has_not_changed_is_not_written_again(journal: Journal, tmp_path: Path) -> None:
    (path,) = (tmp_path / FOLDER).iterdir()
    await journal.write(lambda: [settle("slice:1", 0)])
    assert path.stat().st_size == 0
    await journal.write(lambda: [settle("slice:1", 1)])
    size = path.stat().st_size
    await journal.write(lambda: [settle("slice:1", 1)])

    assert path.stat().st_size == size > 0
    await journal.write(lambda: [settle("slice:1", 0)])
    await dies(journal)
    assert found(tmp_path) == [[settle("slice:1", 0)]]


async def test_the_file_of_a_worker_that_lives_is_left_alone(journal: Journal, tmp_path: Path) -> None:
    journal.note(settle("call:1", 5))

    assert found(tmp_path) == []


async def test_a_worker_that_was_heard_leaves_nothing(journal: Journal, tmp_path: Path) -> None:
    journal.note(settle("call:1", 5))
    await journal.write(lambda: [])
    await journal.close(heard=True)

    assert list((tmp_path / FOLDER).iterdir()) == []
    await journal.write(lambda: [settle("late", 1)])


async def test_only_the_worker_itself_can_read_its_file(journal: Journal, tmp_path: Path) -> None:
    (path,) = (tmp_path / FOLDER).iterdir()

    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


ENTRIES = st.lists(st.builds(settle, st.sampled_from("abcdef"), st.integers(0, 2**53)), max_size=8)


@given(ENTRIES, st.data())
def test_of_a_file_that_ends_anywhere_every_whole_entry_counts(entries: list[Settle], data: st.DataObject) -> None:
    frames = [journals._frame(each) for each in entries]
    whole = b"".join(frames)
    end = data.draw(st.integers(0, len(whole)))

    read = journals._settlements(whole[:end], SINCE)

    count = sum(1 for number in range(1, len(frames) + 1) if len(b"".join(frames[:number])) <= end)
    assert read == {each.id: each for each in entries[:count]}


@given(ENTRIES.filter(bool), st.data())
def test_an_entry_that_was_damaged_ends_what_is_believed(entries: list[Settle], data: st.DataObject) -> None:
    frames = [journals._frame(each) for each in entries]
    damaged = data.draw(st.integers(0, len(frames) - 1))
    place = data.draw(st.integers(4, len(frames[damaged]) - 1))
    bytes = bytearray(frames[damaged])
    bytes[place] ^= data.draw(st.integers(1, 255))
    frames[damaged] = memoryview(bytes).tobytes()

    read = journals._settlements(b"".join(frames), SINCE)

    assert read == {each.id: each for each in entries[:damaged]}


@given(st.binary(max_size=200))
def test_a_file_that_is_none_of_ours_says_nothing(data: bytes) -> None:
    assert journals._settlements(data, SINCE) == {}


class SmallDisk:
    """The journal's file on a disk with room for so many more bytes."""

    def __init__(self, journal: Journal, *, room: int) -> None:
        self._file = journal._file
        self.room = room

    def write(self, data: bytes) -> int:
        taken = data[: self.room]
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= len(taken)
        return self._file.write(taken)

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


@pytest.mark.parametrize("room", [0, 1, 7, 30])
async def test_a_disk_that_was_full_for_a_while_loses_and_spoils_nothing(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, room: int
) -> None:
    await journal.write(lambda: [settle("slice:1", 1)])
    disk = SmallDisk(journal, room=room)
    monkeypatch.setattr(journal, "_file", disk)
    journal.note(settle("call:1", 5))
    for amount in (2, 3):
        await journal.write(lambda amount=amount: [settle("slice:1", amount)])  # type: ignore[misc]
    disk.room = 1_000_000
    await journal.write(lambda: [settle("slice:1", 3)])
    journal.note(settle("call:2", 6))
    await journal.write(lambda: [settle("slice:1", 3)])
    await dies(journal)

    assert {each.id: each for each in found(tmp_path)[0]} == {
        "call:1": settle("call:1", 5),
        "call:2": settle("call:2", 6),
        "slice:1": settle("slice:1", 3),
    }
    assert [each.levelname for each in caplog.records] == ["ERROR"]


async def test_a_file_that_has_grown_large_begins_again_with_what_is_open(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = (tmp_path / FOLDER).iterdir()
    monkeypatch.setattr(journals, "LARGEST", 500)
    for amount in range(1, 100):
        await journal.write(lambda amount=amount: [settle("slice:1", amount), settle("slice:2", 7)])  # type: ignore[misc]
        assert path.stat().st_size <= 500
    await dies(journal)

    assert {each.id: each for each in found(tmp_path)[0]} == {
        "slice:1": settle("slice:1", 99),
        "slice:2": settle("slice:2", 7),
    }


async def test_to_take_over_a_journal_twice_charges_once(
    journal: Journal, tmp_path: Path, worker: Worker, ledger: BookLedger
) -> None:
    daily = budget(1_000)
    reservation = await worker.reserve((daily, 100))
    reservation.parts[0].observe(40)
    await journal.write(worker.reserver.settlements)
    await dies(journal)

    for _ in range(2):
        for settled in found(tmp_path):
            for each in settled:
                await worker.teller.ask(each)

    assert (ledger.balance(daily).spent, ledger.balance(daily).held) == (40, 0)
    assert isinstance(await worker.teller.ask(settle("new", 1)), Settled)
