"""Conversations of responses go on at whichever worker takes the next call, on either store, and for their own team alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.auth.virtual_key import mint
from gateway.auth.wanted import Wanted
from gateway.store.open import open_store
from tests.faults.chaosprov import Chaosprov
from tests.flow.process import Served, served
from tests.flow.test_shared_calls import made_key
from tests.redis_server import RedisServer

POLICY = """
tenants: {default: {}, acme: {}}
"""
CALLS = 12


@pytest.fixture
async def house(tmp_path: Path, provider: Chaosprov, either_store: RedisServer | None) -> AsyncIterator[Served]:
    """Two workers."""
    flags, key = ["--workers", "2", "--drain-delay", "0"], ""
    async with AsyncExitStack() as closing:
        if either_store is not None:
            flags += ["--store", either_store.url]
            key = await made_key(either_store, tmp_path)
        yield await closing.enter_async_context(served(tmp_path, provider, *flags, more=POLICY, key=key))


async def ask(house: Served, method: str, path: str, body: Any = None, *, key: str = "") -> httpx.Response:
    """Over a connection of its own, so that either worker may take it."""
    headers = {"authorization": f"Bearer {key or house.key}"}
    async with httpx.AsyncClient(timeout=20) as client:
        return await client.request(method, f"{house.url}/v1/responses{path}", json=body, headers=headers)


async def key_of(tenant: str, redis: RedisServer | None, folder: Path) -> str:
    """A virtual key that is made while the gateway runs."""
    store = await open_store("embedded" if redis is None else redis.url, folder / "data")
    key, credential = mint(Wanted(name="theirs", tenant=tenant), store.pepper, now=0)
    await store.keys.create(key)
    await store.close()
    return credential.reveal()


async def test_a_conversation_goes_on_at_whichever_worker(house: Served, provider: Chaosprov) -> None:
    previous = None
    for number in range(CALLS):
        said = {"model": "ok", "input": f"say {number}"}
        answer = await ask(house, "POST", "", said if previous is None else {**said, "previous_response_id": previous})
        assert answer.status_code == 200, answer.text
        previous = answer.json()["id"]

    heard = [message["content"] for message in provider.calls[-1].json["messages"] if message["role"] == "user"]
    assert heard == [f"say {number}" for number in range(CALLS)]
    assert [(await ask(house, "GET", f"/{previous}")).status_code for _ in range(4)] == [200] * 4
    assert (await ask(house, "DELETE", f"/{previous}")).status_code == 200
    gone = [await ask(house, "GET", f"/{previous}") for _ in range(4)]
    assert {(each.status_code, each.json()["error"]["code"]) for each in gone} == {(404, "response_not_found")}


async def test_another_tenant_s_conversation_is_unknown_to_every_worker(
    house: Served, either_store: RedisServer | None, tmp_path: Path, provider: Chaosprov
) -> None:
    mine = (await ask(house, "POST", "", {"model": "ok", "input": "a secret"})).json()["id"]
    theirs = await key_of("acme", either_store, tmp_path)
    asked = len(provider.calls)

    told = set()
    for id in (mine, "resp_none"):
        for _ in range(4):
            going_on = {"model": "ok", "input": "what was it?", "previous_response_id": id}
            answers = [
                await ask(house, "POST", "", going_on, key=theirs),
                await ask(house, "GET", f"/{id}", key=theirs),
                await ask(house, "DELETE", f"/{id}", key=theirs),
            ]
            told.add(tuple((each.status_code, each.text.replace(id, "ID")) for each in answers))

    ((going_on_answer, got, removed),) = told
    assert (going_on_answer[0], got[0], removed[0]) == (404, 404, 404)
    assert len(provider.calls) == asked
    assert (await ask(house, "GET", f"/{mine}")).status_code == 200
