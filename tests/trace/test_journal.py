from __future__ import annotations

import asyncio
import fcntl
import logging
import multiprocessing
import os
import signal
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import orjson
import pytest

from gateway.core.call import Call, Operation
from gateway.core.clock import Clock
from gateway.core.errors import Overloaded, RateLimited
from gateway.core.span import SpanContext
from gateway.core.tasks import Tasks
from gateway.core.tenant import Tenant
from gateway.ingress.openai import OpenAIArrival
from gateway.ingress.request import Request
from gateway.trace.journal import PENDING, Journal, open_journal
from gateway.trace.record import Record
from gateway.trace.retention import Retention
from gateway.trace.row import row_of, storable
from gateway.trace.rules import TraceRules
from gateway.trace.sink import LINES
from gateway.trace.sqlite.schema import FILE


class Arrived(OpenAIArrival):
    def __init__(self, id: str) -> None:
        super().__init__(Request(received=time.monotonic()), operation=Operation.CHAT, id=id)


Opens = Callable[..., Awaitable[Journal]]


def record(
    id: str, *, tenant: str = "acme", model: str = "gpt-4o", refused: bool = False, clock: Clock | None = None
) -> Record:
    """A call that has ended."""
    record = Record(
        Arrived(id),
        "policy-1",
        TraceRules(),
        span=SpanContext(1, 2, is_sampled=True),
        parent=None,
        clock=clock or Clock(),
        write=lambda _: None,
    )
    record.tenant = Tenant(tenant, None, f"key-of-{tenant}", "")
    record.call = Call(id=id, operation=Operation.CHAT, received=0.0, model=model, body=b"{}", fields={})
    if refused:
        record.status, record.error, record.outcome = 429, RateLimited("slow down"), "rejected_rate"
    record.ended = time.monotonic()
    return record


@pytest.fixture
async def opens(tmp_path: Path) -> AsyncIterator[Opens]:
    """Opens the journal of the data folder and runs it."""
    tasks, journals = Tasks(), []

    async def opens(*, stdout: int | None = None, retention: Retention | None = None) -> Journal:
        journal = open_journal(tmp_path, stdout=stdout, retention=retention)
        journals.append(journal)
        tasks.start(journal.run(), name="journal")
        return journal

    yield opens
    await tasks.close()
    for journal in journals:
        await journal.close()


def ids(records: tuple[Mapping[str, object], ...]) -> list[object]:
    return [each["id"] for each in records]


async def eventually(holds: Callable[[], bool]) -> None:
    """Waits for what a thread does, five seconds at most."""
    async with asyncio.timeout(5.0):
        while not holds():
            await asyncio.sleep(0.01)


async def test_a_record_can_be_found_as_soon_as_it_is_written(opens: Opens) -> None:
    journal = await opens()
    written = record("req_1")

    journal.write(written)

    assert await journal.find("req_1") == row_of(written) | {"overhead_ms": pytest.approx(0, abs=1000)}
    assert await journal.find("req_2") is None


async def test_the_latest_records_come_first_and_page_by_page(opens: Opens) -> None:
    journal = await opens()
    for number in range(5):
        journal.write(record(f"req_{number}"))

    first = await journal.latest(limit=2)
    second = await journal.latest(limit=2, before=first.before)
    third = await journal.latest(limit=2, before=second.before)

    assert [ids(page.records) for page in (first, second, third)] == [["req_4", "req_3"], ["req_2", "req_1"], ["req_0"]]
    assert third.before is None


async def test_the_file_is_readable_by_its_owner_alone(opens: Opens, tmp_path: Path) -> None:
    journal = await opens()
    journal.write(record("req_1"))
    await journal.find("req_1")

    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


async def test_text_that_cannot_be_utf_8_is_recorded_all_the_same(opens: Opens) -> None:
    journal = await opens()
    journal.write(record("req_1", model="\ud800 \u2028"))

    found = await journal.find("req_1")

    assert found is not None
    assert found["model"] == "? \u2028"


async def test_each_record_is_one_line_on_standard_output_without_control_characters(opens: Opens) -> None:
    read, write = os.pipe()
    journal = await opens(stdout=write)

    journal.write(record("req_1", model="a\nb\x1b[31m %s \u2028\u2029\x85 é"))
    journal.write(record("req_2", model="\ud800"))
    lines = (await asyncio.to_thread(lambda: os.read(read, 65536))).decode().splitlines()

    assert [orjson.loads(line)["id"] for line in lines] == ["req_1", "req_2"]
    assert orjson.loads(lines[0])["model"] == "a\nb\x1b[31m %s \u2028\u2029\x85 é"
    assert all(character.isprintable() for character in lines[0])
    os.close(read)
    os.close(write)


async def test_a_blocked_standard_output_delays_nothing_and_its_losses_are_counted(opens: Opens) -> None:
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    journal = await opens(stdout=write)

    for number in range(LINES + 3000):
        journal.write(record(f"req_{number}"))
        if number % 1000 == 0:
            await journal.find("req_0")

    assert await journal.find(f"req_{LINES + 2999}") is not None
    assert journal.dropped.stdout >= 1000
    assert (journal.dropped.file, journal.dropped.queue) == (0, 0)
    os.close(read)
    await eventually(lambda: journal.dropped.stdout >= LINES + 2900)
    os.close(write)


async def test_a_closed_standard_output_is_told_once(opens: Opens, caplog: pytest.LogCaptureFixture) -> None:
    read, write = os.pipe()
    os.close(read)
    journal = await opens(stdout=write)

    for number in range(3):
        journal.write(record(f"req_{number}"))
        assert await journal.find(f"req_{number}") is not None
    await eventually(lambda: journal.dropped.stdout == 3)

    assert [each.message for each in caplog.records] == ["call records cannot be written"]
    os.close(write)


async def test_records_wait_while_the_file_cannot_be_written(
    opens: Opens, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "llmgw.trace")
    (tmp_path / FILE).mkdir()
    journal = await opens()

    journal.write(record("req_1"))
    with pytest.raises(Overloaded):
        await journal.find("req_1")
    (tmp_path / FILE).rmdir()
    await eventually(lambda: len(caplog.records) == 2)

    assert await journal.find("req_1") is not None
    assert [each.message for each in caplog.records] == [
        "call records cannot be written",
        "call records are written again",
    ]
    assert journal.dropped.file == 0


async def test_no_more_than_a_bounded_number_of_records_waits(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, stdout=None)
    for number in range(PENDING + 10):
        journal.write(record(f"req_{number}"))

    assert journal.dropped.queue == 10
    assert await journal.find("req_9") is None
    assert await journal.find("req_10") is not None
    await journal.close()


async def test_closing_writes_what_is_left(tmp_path: Path, opens: Opens) -> None:
    journal = open_journal(tmp_path, stdout=None)
    journal.write(record("req_1"))

    await journal.close()

    assert await (await opens()).find("req_1") is not None


async def test_old_records_are_removed(tmp_path: Path, opens: Opens) -> None:
    old = Clock(now=lambda: time.time() - 8 * 86400)
    journal = open_journal(tmp_path, stdout=None, clock=old)
    journal.write(record("req_old", clock=old))
    await journal.close()

    journal = await opens()
    journal.write(record("req_new"))

    await journal.find("req_new")
    assert ids((await journal.latest()).records) == ["req_new"]


async def test_only_so_many_records_are_kept(opens: Opens) -> None:
    journal = await opens(retention=Retention(rows=3))
    for number in range(5):
        journal.write(record(f"req_{number}"))

    await journal.find("req_4")
    assert ids((await journal.latest()).records) == ["req_4", "req_3", "req_2"]


def _write_and_wait(folder: Path, name: str, count: int) -> None:
    """What a worker process does."""

    async def work() -> None:
        journal = open_journal(folder, stdout=None)
        tasks = Tasks()
        tasks.start(journal.run(), name="journal")
        for number in range(count):
            journal.write(record(f"{name}_{number}"))
            if number % 100 == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(1.0)
        (folder / f"{name}.written").touch()
        await asyncio.sleep(60)

    asyncio.run(work())


async def test_workers_share_the_file_and_a_killed_one_loses_nothing_older_than_a_second(
    tmp_path: Path, opens: Opens
) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write_and_wait, args=(tmp_path, name, 500)) for name in ("a", "b")]
    for worker in workers:
        worker.start()
    async with asyncio.timeout(20.0):
        while not all((tmp_path / f"{name}.written").exists() for name in ("a", "b")):
            await asyncio.sleep(0.05)
    for worker in workers:
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()

    found = ids((await (await opens()).latest(limit=2000)).records)

    assert sorted(map(str, found)) == sorted(f"{name}_{number}" for name in ("a", "b") for number in range(500))


async def test_a_number_that_no_file_can_hold_costs_no_other_call_its_record(opens: Opens) -> None:
    journal = await opens()
    odd = record("req_odd")
    odd.call = Call(
        id="req_odd",
        operation=Operation.CHAT,
        received=0.0,
        model="m",
        body=b"{}",
        fields={"seed": 10**400, "n": 10**30},
    )
    for _ in range(3):
        journal.write(odd)
        journal.write(record("req_next"))
        await journal.find("req_next")

    found = await journal.find("req_odd")
    assert found is not None
    assert found["parameters"] == {"seed": None, "n": 1e30}
    journal.write(record("req_last"))
    assert await journal.find("req_last") is not None


def test_text_that_is_no_unicode_can_be_stored_wherever_it_stands() -> None:
    assert orjson.dumps(storable({"a\ud800": ["\udfff", {"\ud800": 1}]})) == b'{"a?":["?",{"?":1}]}'
