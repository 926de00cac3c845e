"""A caller judges its answer right after it, and whichever worker it reaches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from tests.faults.chaosprov import Chaosprov
from tests.flow.process import Served, served
from tests.flow.test_shared_calls import CACHE, heard, made_key
from tests.redis_server import RedisServer

CALLS = 30


@pytest.fixture
async def house(tmp_path: Path, provider: Chaosprov, either_store: RedisServer | None) -> AsyncIterator[Served]:
    """Two workers."""
    flags, key = ["--workers", "2", "--drain-delay", "0"], ""
    async with AsyncExitStack() as closing:
        if either_store is not None:
            flags += ["--store", either_store.url]
            key = await made_key(either_store, tmp_path)
        house = await closing.enter_async_context(served(tmp_path, provider, *flags, more=CACHE, key=key))
        if either_store is not None:
            await heard(either_store, 2)
        yield house


async def judge(house: Served, id: str) -> httpx.Response:
    """Over a connection of its own, so that either worker may take it."""
    async with httpx.AsyncClient(timeout=20) as client:
        body = {"request_id": id, "rating": "bad"}
        return await client.post(f"{house.url}/v1/feedback", json=body, headers=house.headers)


async def test_an_answer_can_be_judged_at_once_whichever_worker_gave_it(house: Served) -> None:
    said = []
    for number in range(CALLS):
        answer = await house.ask(messages=[{"role": "user", "content": f"question {number}"}])
        assert answer.status_code == 200
        said.append(await judge(house, answer.headers["x-request-id"]))

    assert [(each.status_code, each.json().get("forgotten")) for each in said] == [(200, True)] * CALLS


async def test_a_call_that_nobody_made_is_not_found(house: Served) -> None:
    answer = await judge(house, "req_0")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "call_not_found")
