"""Identical calls to several workers that share a Redis are one call to the provider, whoever leaves or dies meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.auth.virtual_key import mint
from gateway.auth.wanted import Wanted
from gateway.core.errors import Overloaded
from gateway.store.open import open_store
from tests.admin.conftest import on_redis, opened
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import HANG, Finish, Say, Until, Usage
from tests.flow.client import chunks
from tests.flow.process import POLICY, Served, served
from tests.flow.raw import Reached, chat, connected, request
from tests.redis_server import RedisServer, redis_server

CACHE = "cache: {default: {exact: {ttl: 1h}}}\n"
BUDGET = "tenants: {default: {budget: [{usd: 1000, per: day}]}}\n"
PATIENCE = 30.0
"""Seconds for which a test waits, whatever the machine does."""


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """Each call that is under way has a connection of its own."""
    async with httpx.AsyncClient(timeout=PATIENCE, limits=httpx.Limits()) as client:
        yield client


@asynccontextmanager
async def serving(folder: Path, provider: Chaosprov, redis: RedisServer, *, workers: int) -> AsyncIterator[Served]:
    """As processes."""
    flags = ("--workers", str(workers), "--store", redis.url, "--drain-delay", "0")
    async with served(folder, provider, *flags, more=CACHE, key=await made_key(redis, folder)) as house:
        await heard(redis, workers)
        yield house


async def made_key(redis: RedisServer, folder: Path) -> str:
    """A virtual key of the organisation `default`."""
    store = await open_store(redis.url, folder)
    key, credential = mint(Wanted(name="test", tenant="default"), store.pepper, now=0)
    await store.keys.create(key)
    await store.close()
    return credential.reveal()


async def heard(redis: RedisServer, workers: int) -> None:
    """Until so many workers hear what others tell them."""
    async with asyncio.timeout(PATIENCE):
        while redis.send("PUBSUB", "CHANNELS", "llmgw:w:*").count(b"llmgw:w:") < workers:
            await asyncio.sleep(0.05)


@dataclass
class Place:
    """A worker, and the key to show it."""

    url: str
    key: str


class Client:
    """One stream on a connection of its own, to whichever worker takes it."""

    def __init__(self, house: Reached, client: httpx.AsyncClient) -> None:
        self._house = house
        self._client = client
        self.has_begun = asyncio.Event()
        self.got = b""
        self.reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        url, body = f"{self._house.url}/v1/chat/completions", chat(stream=True)
        headers = {"authorization": f"Bearer {self._house.key}"}
        async with self._client.stream("POST", url, json=body, headers=headers) as response:
            assert response.status_code == 200
            async for piece in response.aiter_bytes():
                self.got += piece
                self.has_begun.set()

    def text(self) -> str:
        return "".join(each["choices"][0]["delta"].get("content") or "" for each in chunks(self.got))


async def spent(redis: RedisServer, folder: Path) -> int:
    """What the ledger has for the organisation, in nano-USD; -1 while it does not say."""
    store = await open_store(redis.url, folder)
    try:
        return sum(each.settled for each in await store.ledger.balances() if each.account.startswith("org:default:usd"))
    except Overloaded:
        return -1
    finally:
        await store.close()


async def agrees(redis: RedisServer, folder: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """The ledger has what the records say, once all workers have told it."""
    cost = sum(record["cost_nano_usd"] for record in records)
    assert cost > 0
    async with asyncio.timeout(PATIENCE):
        while await spent(redis, folder) != cost:
            await asyncio.sleep(0.2)


async def followed(redis: RedisServer) -> None:
    """Until a worker has written to the one that asks."""
    async with asyncio.timeout(PATIENCE):
        while b"cmdstat_publish:calls=" not in redis.send("INFO", "commandstats"):
            await asyncio.sleep(0.05)


def worker_that_asks(house: Served, provider: Chaosprov) -> int:
    """The process that has a connection to the provider."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{row[9]}]" for row in rows if row[2].endswith(f":{provider.port:04X}") and row[3] == "01"}
    (found,) = [
        worker
        for worker in house.workers()
        if any(os.readlink(place) in sockets for place in Path(f"/proc/{worker}/fd").iterdir() if place.is_symlink())
    ]
    return found


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("workers", [2, 4])
async def test_a_hundred_streams_are_one_call_though_the_client_of_the_first_leaves(
    tmp_path: Path,
    provider: Chaosprov,
    redis: RedisServer,
    http: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
) -> None:
    for limit in ("cache.shared.flights.ALLOWANCE", "cache.purges.MISSED"):
        monkeypatch.setattr(f"gateway.{limit}", PATIENCE)
    goes_on = asyncio.Event()
    provider.will(Say("Hel"), Until(goes_on), Say("lo"), Finish(), Usage(9, 2))
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "policy.yaml").write_text(POLICY.format(provider=provider.base_url) + CACHE + BUDGET)
    key = await made_key(redis, tmp_path)
    async with AsyncExitStack() as closing:
        houses = []
        for number in range(workers):
            chosen = on_redis(tmp_path / "policies", tmp_path / str(number), redis)
            houses.append(await closing.enter_async_context(opened(chosen, number=number)))
        await heard(redis, workers)
        places = [Place(house.url, key) for house in houses]
        async with connected(places[0]) as leader:
            leader.writer.write(request(places[0], chat(stream=True)))
            await leader.until(b"Hel")
            others = [Client(places[number % workers], http) for number in range(99)]
            await asyncio.gather(*[other.has_begun.wait() for other in others])
            leader.reset()
        await asyncio.sleep(0.5)
        goes_on.set()
        await asyncio.gather(*[other.reading for other in others])

        assert {other.text() for other in others} == {"Hello"}
        assert all(other.got.endswith(b"data: [DONE]\n\n") for other in others)
        assert len(provider.calls) == 1
        records = {each["id"]: each for house in houses for each in await house.records()}
        assert [each["cost_nano_usd"] > 0 for each in records.values()].count(True) == 1
        assert [each["outcome"] for each in records.values()].count("cache_joined") == 99
        await agrees(redis, tmp_path, records.values())


async def test_when_the_worker_that_asked_is_killed_before_the_first_chunk_one_other_asks(
    tmp_path: Path, provider: Chaosprov, redis: RedisServer, http: httpx.AsyncClient
) -> None:
    provider.will(HANG)
    for _ in range(39):
        provider.will(Say("Hel"), Say("lo"), Finish(), Usage(9, 2))
    async with serving(tmp_path, provider, redis, workers=4) as house:
        clients = [Client(house, http)]
        await provider.asked(1)
        clients += [Client(house, http) for _ in range(39)]
        await followed(redis)
        os.kill(worker_that_asks(house, provider), signal.SIGKILL)
        ends = await asyncio.gather(*[client.reading for client in clients], return_exceptions=True)
        told = [client for client, end in zip(clients, ends, strict=True) if end is None]

        assert all(isinstance(end, httpx.TransportError) for end in ends if end is not None)
        assert len(told) > 0
        assert {client.text() for client in told} == {"Hello"}
        assert 2 <= len(provider.calls) < len(told)  # more than 2 only where Redis was too slow for somebody


async def test_when_redis_dies_each_call_goes_its_own_way_and_all_are_answered(
    tmp_path: Path, provider: Chaosprov, redis: RedisServer, http: httpx.AsyncClient
) -> None:
    goes_on = asyncio.Event()
    for _ in range(20):
        provider.will(Until(goes_on), Say("Hello"), Finish(), Usage(9, 2))
    async with serving(tmp_path, provider, redis, workers=2) as house:
        clients = [Client(house, http)]
        await provider.asked(1)
        clients += [Client(house, http) for _ in range(19)]
        await followed(redis)
        redis.kill()
        await provider.asked(2)
        goes_on.set()
        await asyncio.gather(*[client.reading for client in clients])

        assert {client.text() for client in clients} == {"Hello"}
