"""Closing ends every task, whatever it does about it."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from gateway.core import tasks
from gateway.core.tasks import Tasks


async def test_a_task_that_loses_its_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "AGAIN", 0.01)
    running, ended = Tasks(), asyncio.Event()

    async def stubborn() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    running.start(stubborn(), name="stubborn")
    await asyncio.sleep(0)
    await running.close()

    assert ended.is_set()
    assert not len(running)
