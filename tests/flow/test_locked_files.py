"""A data folder whose files are locked delays no call that can do without them, and no other for long (R19, D6)."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.flow.client import post
from tests.flow.raw import chat

CALLS = "calls.sqlite"


@contextmanager
def locked(files: list[Path]) -> Iterator[None]:
    """Nobody else can write to these files meanwhile."""
    with ExitStack() as stack:
        for file in files:
            connection = sqlite3.connect(file, isolation_level=None, timeout=5)
            stack.callback(connection.close)
            connection.execute("BEGIN IMMEDIATE")
        yield


def files(house: House, *, calls: bool) -> list[Path]:
    return [file for file in house.data.glob("*.sqlite") if (file.name == CALLS) is calls]


@pytest.mark.parametrize("stream", [True, False])
async def test_calls_are_served_while_nothing_can_be_written_and_recorded_afterwards(
    house: House, provider: Chaosprov, stream: bool
) -> None:
    await post(house, chat())
    await house.only_record()
    with locked([*files(house, calls=True), *files(house, calls=False)]):
        async with asyncio.timeout(2):
            answers = [await post(house, chat(stream=stream)) for _ in range(20)]

    assert {answer.status_code for answer in answers} == {200}
    async with asyncio.timeout(5):
        while len(await house.records()) < 21:
            await asyncio.sleep(0.05)
    assert sum(record["cost_nano_usd"] for record in await house.records()) == house.account()[0]


async def test_a_call_with_an_idempotency_key_is_refused_in_time_while_no_key_can_be_kept(
    house: House, provider: Chaosprov
) -> None:
    await post(house, chat(), idempotency_key="before")
    assert files(house, calls=False)
    with locked(files(house, calls=False)):
        async with asyncio.timeout(3):
            refused = await post(house, chat(), idempotency_key="once")

    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "store_unavailable")
    assert len(provider.calls) == 1
    async with asyncio.timeout(5):
        while (answer := await post(house, chat(), idempotency_key="once")).status_code == 503:
            await asyncio.sleep(0.05)
    assert answer.status_code == 200
    assert len(provider.calls) == 2
