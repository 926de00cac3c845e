"""The nouns: money to the nano-dollar, secrets that are never printed, tasks that are never lost."""

from __future__ import annotations

import asyncio
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
