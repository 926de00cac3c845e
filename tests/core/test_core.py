"""The nouns: money to the nano-dollar, secrets that are never printed, tasks that are never lost."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.money import NANO, usd
from gateway.core.secret import Secret
from gateway.core.tasks import Tasks


@given(st.integers(0, 10**21))
def test_dollars_are_exact_to_the_nano(nano: int) -> None:
    assert Decimal(usd(nano)) * NANO == nano
    assert "e" not in usd(nano).lower()


def test_a_secret_is_printed_by_nothing() -> None:
    secret = Secret("hunter2")

    assert "hunter2" not in f"{secret} {secret!r} {secret!s} {[secret]} {{'a': {secret}}}"
    assert secret.reveal() == "hunter2"
    assert secret == Secret("hunter2") != Secret("other")


async def test_a_task_that_fails_is_logged_by_its_name(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise RuntimeError("broken")

    tasks = Tasks()
    with caplog.at_level(logging.ERROR):
        await asyncio.wait([tasks.start(fail(), name="sweeper")])
        await asyncio.sleep(0)

    assert [getattr(record, "task", None) for record in caplog.records] == ["sweeper"]
    assert len(tasks) == 0


async def test_closing_ends_every_task() -> None:
    tasks = Tasks()
    running = tasks.start(asyncio.Event().wait(), name="forever")

    await tasks.close()

    assert running.cancelled()
    assert len(tasks) == 0


async def test_work_that_must_not_be_left_half_done_is_done_although_its_caller_was_cancelled() -> None:
    tasks, may_end, done = Tasks(), asyncio.Event(), []

    async def work() -> int:
        await may_end.wait()
        done.append("work")
        return 7

    async def caller() -> None:
        done.append(str(await tasks.finish(work(), name="work")))
        await asyncio.sleep(0)
        done.append("went on")

    waiting = asyncio.ensure_future(caller())
    await asyncio.sleep(0)
    for _ in range(3):
        waiting.cancel()
        await asyncio.sleep(0)
    may_end.set()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert done == ["work", "7"]
    assert len(tasks) == 0


async def test_the_error_of_such_work_reaches_its_caller() -> None:
    async def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await Tasks().finish(fail(), name="fail")


@given(nano=st.integers(0, NANO * 1000))
def test_small_sums_are_exact_too(nano: int) -> None:
    assert Decimal(usd(nano)) * NANO == nano


@pytest.mark.parametrize(
    ("nano", "text"),
    [(0, "0"), (1, "0.000000001"), (NANO, "1"), (10 * NANO, "10"), (10**12, "1000"), (1_230, "0.00000123")],
)
def test_dollars_have_no_needless_zeros(nano: int, text: str) -> None:
    assert usd(nano) == text


def test_a_secret_is_hashed_and_copied_without_being_printed() -> None:
    assert {Secret("a"), Secret("a")} == {Secret("a")}
    assert "a1b2c3" not in repr(copy.deepcopy(Secret("a1b2c3")))
    with pytest.raises(TypeError):
        json.dumps({"key": Secret("a1b2c3")})
