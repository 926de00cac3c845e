"""Identical calls of several workers are one call to a provider, and nothing that goes wrong between them harms a call."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import orjson
import pytest

from gateway.cache import flights as local
from gateway.cache.claim import Looked
from gateway.core.errors import Broken, Rejected, Unavailable, UpstreamError
from gateway.core.tasks import Tasks
from gateway.store.contract import Store
from gateway.store.open import open_store
from tests.cache.shelves import ACME, BODY, CHUNKS, DONE, Back, Held, Stage, Told, Upstreamed, call
from tests.redis_server import RedisServer, redis_server

STREAM = b"".join(CHUNKS) + DONE


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(autouse=True)
def slow(patient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine; that nobody waits for long is tested where a store is away."""
    gc.collect()
    monkeypatch.setattr("gateway.cache.shared.flights.ALLOWANCE", 10.0)
    monkeypatch.setattr("gateway.cache.shared.flights.LINGER", 0.05)
    monkeypatch.setattr(local, "GRACE", 0.0)


class Worker(Stage):
    """A worker's cache stage that hears of others."""

    def __init__(self, store: Store, told: Told) -> None:
        super().__init__(told=told, store=store)
        self.store = store
        self._loops = Tasks()

    async def begin(self) -> None:
        assert self.shared is not None
        for name, work in self.shared.loops().items():
            self._loops.start(work, name=name)
        while not self.shared.is_listening:
            await asyncio.sleep(0.001)

    async def die(self) -> None:
        """It says and hears nothing any more."""
        await self._loops.close()
        await self.tasks.close()
        await self.store.close()

    def is_idle(self) -> bool:
        assert self.shared is not None
        return not len(self.shared) and not len(self.tasks) and not len(self.cache.flights)


class Pause(asyncio.Event):
    """For a provider that is slow."""

    async def wait(self) -> Literal[True]:
        await asyncio.sleep(0.02)
        return True


@pytest.fixture
async def workers(server: RedisServer, tmp_path: Path) -> AsyncIterator[list[Worker]]:
    """Three. Afterwards nothing is left under way."""
    told = Told()
    async with AsyncExitStack() as closing:
        workers = []
        for _ in range(3):
            workers.append(worker := Worker(await open_store(server.url, tmp_path), told))
            closing.push_async_callback(worker.die)
            await worker.begin()
        yield workers
        async with asyncio.timeout(10):
            while not all(worker.is_idle() for worker in workers):
                await asyncio.sleep(0.01)


@pytest.fixture
def one(workers: list[Worker]) -> Worker:
    return workers[0]


@pytest.fixture
def other(workers: list[Worker]) -> Worker:
    return workers[1]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.001)


def followed(back: Back) -> bool:
    return back.audience is not None and back.audience.listeners > 0


@asynccontextmanager
async def leading(worker: Worker, **fields: Any) -> AsyncIterator[tuple[Looked, Back]]:
    """A call that leads, and its way back."""
    back = Back()
    async with worker.claim(call(**fields), reply=back) as claim:
        assert isinstance(claim, Looked)
        assert claim.hit is None
        worker.asked += 1
        yield claim, back


async def following(worker: Worker, back: Back, **fields: Any) -> asyncio.Task[Any]:
    """A call of another worker, once the leader knows of it."""
    task = asyncio.ensure_future(worker.answer(call(**fields)))
    await until(lambda: followed(back))
    return task


@pytest.mark.parametrize("stream", [True, False])
async def test_identical_calls_of_all_workers_are_one(workers: list[Worker], stream: bool) -> None:
    calls = [worker.answer(call(stream=stream)) for _ in range(10) for worker in workers]
    claims = await asyncio.gather(*calls)

    assert sum(worker.asked for worker in workers) == 1
    assert sorted(claim.result for claim, _ in claims) == ["hit"] * 29 + ["miss"]
    assert all(b"Paris" in got and got.endswith(DONE) == stream for _, got in claims)
    assert {claim.saved[0] for claim, _ in claims if claim.saved is not None} == {50}
    assert len({claim.answer for claim, _ in claims}) == 1
    assert claims[0][0].answer is not None


async def test_calls_that_want_it_in_another_form_wait_for_the_whole(workers: list[Worker]) -> None:
    calls = [worker.answer(call(stream=number % 2 == 0)) for number in range(6) for worker in workers]
    claims = await asyncio.gather(*calls)

    assert sum(worker.asked for worker in workers) == 1
    assert all(b"Paris" in got for _, got in claims)


async def test_a_late_call_gets_the_beginning_and_then_what_comes(one: Worker, other: Worker) -> None:
    pause = asyncio.Event()
    leader = asyncio.ensure_future(one.answer(call(stream=True), pause=pause))
    await until(lambda: one.asked == 1)
    async with other.claim(call(stream=True)) as claim:
        assert claim.hit is not None
        chunks = claim.hit.chunks()
        first = await anext(chunks)
        assert first == CHUNKS[0]
        pause.set()
        rest = [chunk async for chunk in chunks]
    assert first + b"".join(rest) == b"".join(CHUNKS)
    assert (await leader)[1] == STREAM


@pytest.mark.parametrize("sizes", [(300_000, 1, 700_000), (1,) * 3000, (1_500_000,)])
async def test_chunks_of_any_size_arrive_whole_and_in_order(one: Worker, other: Worker, sizes: tuple[int, ...]) -> None:
    chunks = [b"data: %d%b\n\n" % (number, b"x" * size) for number, size in enumerate(sizes)]
    async with leading(one, stream=True) as (claim, _):
        claim.keep(chunks[0])
        async with other.claim(call(stream=True)) as joined:
            assert joined.hit is not None
            coming = joined.hit.chunks()
            got = [await anext(coming)]
            for chunk in chunks[1:]:
                claim.keep(chunk)
            while len(b"".join(got)) < len(b"".join(chunks)):
                got.append(await anext(coming))
    assert b"".join(got) == b"".join(chunks)
    assert all(piece.endswith(b"\n\n") for piece in got)


async def test_a_large_document_arrives_whole(workers: list[Worker]) -> None:
    body = BODY.replace(b"Paris", b"Paris" * 100_000)
    claims = await asyncio.gather(*[worker.answer(body=body) for worker in workers])

    assert sum(worker.asked for worker in workers) == 1
    assert len({orjson.loads(got)["choices"][0]["message"]["content"] for _, got in claims}) == 1


async def test_a_leader_that_is_gone_is_followed_by_another(one: Worker, workers: list[Worker]) -> None:
    async with leading(one) as (_, back):
        calls = [await following(worker, back) for worker in workers[1:] for _ in range(5)]
    claims = await asyncio.gather(*calls)

    assert sum(worker.asked for worker in workers) == 2
    assert sorted(claim.result for claim, _ in claims) == ["hit"] * 9 + ["miss"]


async def test_a_leader_whose_worker_dies_is_followed_by_another(workers: list[Worker]) -> None:
    one = workers[0]
    async with leading(one) as (_, back):
        calls = [await following(worker, back) for worker in workers[1:] for _ in range(5)]
        await one.die()
        claims = await asyncio.gather(*calls)

    assert sum(worker.asked for worker in workers) == 2
    assert sorted(claim.result for claim, _ in claims) == ["hit"] * 9 + ["miss"]
    await one.settled()


async def test_who_has_seen_a_part_of_it_when_the_leaders_worker_dies_is_told_so(
    one: Worker, other: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with leading(one, stream=True) as (claim, _):
        claim.keep(CHUNKS[0])
        async with other.claim(call(stream=True)) as joined:
            assert joined.hit is not None
            chunks = joined.hit.chunks()
            assert await anext(chunks) == CHUNKS[0]
            monkeypatch.setattr("gateway.cache.shared.following.PATIENCE", 0.1)
            await one.die()
            with pytest.raises(Broken):
                await anext(chunks)
    await one.settled()


@pytest.mark.parametrize("failure", [Unavailable("gone", status=503), Rejected("no", code="bad", param="x")])
async def test_when_the_provider_fails_all_hear_it(one: Worker, other: Worker, failure: UpstreamError) -> None:
    with suppress(type(failure)):
        async with leading(one) as (_, back):
            calls = [await following(other, back) for _ in range(3)]
            raise failure
    for result in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(result, type(failure))
        assert (result.status, result.code, result.param) == (failure.status, failure.code, failure.param)
        assert (result.should_retry, result.retriable) == (failure.should_retry, failure.retriable)
    assert other.asked == 0
    assert (await other.answer())[0].result == "miss"


async def test_an_answer_that_breaks_off_breaks_off_for_those_who_listen(one: Worker, other: Worker) -> None:
    with suppress(Broken):
        async with leading(one, stream=True) as (claim, back):
            claim.keep(CHUNKS[0])
            listener = await following(other, back, stream=True)
            raise Broken("cut")
    with pytest.raises(Broken):
        await listener


async def test_a_client_that_leaves_ends_the_call_once_nobody_listens_anywhere(one: Worker, other: Worker) -> None:
    left = asyncio.Event()
    async with leading(one) as (_, back):
        listeners = [await following(other, back) for _ in range(2)]
        assert back.audience is not None
        back.audience.leave = left.set
        listeners[0].cancel()
        await asyncio.gather(listeners[0], return_exceptions=True)
        assert not left.is_set()
        listeners[1].cancel()
        async with asyncio.timeout(10):
            await left.wait()


async def test_a_listener_whose_worker_dies_is_not_waited_for(
    one: Worker, other: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.cache.shared.leading.LEASE", 1.0)
    monkeypatch.setattr("gateway.cache.shared.leading.BEAT", 0.02)
    monkeypatch.setattr("gateway.cache.shared.following.BEAT", 0.02)
    left = asyncio.Event()
    async with leading(one) as (_, back):
        listener = await following(other, back)
        assert back.audience is not None
        back.audience.leave = left.set
        await other.die()
        async with asyncio.timeout(10):
            await left.wait()
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)


async def test_a_call_goes_on_being_followed_for_longer_than_a_lease(
    one: Worker, other: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("leading.LEASE", "following.PATIENCE"):
        monkeypatch.setattr(f"gateway.cache.shared.{name}", 2.0)
    for name in ("leading.BEAT", "following.BEAT"):
        monkeypatch.setattr(f"gateway.cache.shared.{name}", 0.01)
    async with leading(one, stream=True) as (claim, back):
        listener = await following(other, back, stream=True)
        await asyncio.sleep(3.0)
        assert followed(back)
        assert not listener.done()
        claim.keep(CHUNKS[0])
    with pytest.raises(Broken):
        await listener


async def test_letters_that_are_lost_are_asked_for_again(
    one: Worker, other: Worker, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.cache.shared.leading.BEAT", 0.05)
    monkeypatch.setattr("gateway.cache.shared.flights.LINGER", 5.0)
    pause = asyncio.Event()
    leader = asyncio.ensure_future(one.answer(call(stream=True), pause=pause))
    await until(lambda: one.asked == 1)
    async with other.claim(call(stream=True)) as claim:
        assert claim.hit is not None
        chunks = claim.hit.chunks()
        got = [await anext(chunks)]
        server.send("CLIENT", "KILL", "TYPE", "pubsub")
        pause.set()
        await leader
        got += [chunk async for chunk in chunks]
    assert b"".join(got) == b"".join(CHUNKS)


async def test_letters_of_strangers_are_not_read(one: Worker, other: Worker, server: RedisServer) -> None:
    async with leading(one, stream=True) as (claim, back):
        listener = await following(other, back, stream=True)
        assert other.store.flights is not None
        channel = b"".join(server.send("PUBSUB", "CHANNELS", "llmgw:w:*").split()[2::2])
        for worker in channel.decode().replace("llmgw:w:", " ").split():
            for letter in (b"", b"nonsense", b"lgf1" + bytes(40)):
                await other.store.flights.send([worker], letter)
        claim.keep(CHUNKS[0])
        await asyncio.sleep(0)
    with pytest.raises(Broken):
        await listener


async def test_a_mark_of_a_stranger_or_of_another_call_is_not_followed(
    one: Worker, other: Worker, server: RedisServer
) -> None:
    async with leading(one, seed=1), leading(one, seed=2):
        places = server.send("KEYS", "llmgw:f:*").split()[2::2]
        assert len(places) == 2
        marks = [server.send("GET", place.decode()).split(b"\r\n")[1] for place in places]
        for place, mark in zip(places, reversed(marks), strict=True):
            server.send("SET", place.decode(), mark.decode())
        claims = [await other.answer(call(seed=seed)) for seed in (1, 2)]
        assert [claim.result for claim, _ in claims] == ["miss", "miss"]
        await other.settled()


async def test_who_knows_of_a_later_order_to_forget_follows_no_earlier_call(one: Worker, other: Worker) -> None:
    async with leading(one):
        one.told.order(org="acme")
        assert (await other.answer())[0].result == "miss"


async def test_a_clamped_answer_is_nobody_elses(one: Worker, other: Worker) -> None:
    async with leading(one) as (claim, back):
        listener = await following(other, back)
        claim.begin(Upstreamed(call()), Held(is_clamped=True))
        assert (await listener)[0].result == "miss"


async def test_other_tenants_have_other_flights(one: Worker, other: Worker) -> None:
    async with leading(one):
        assert (await other.answer(tenant=replace(ACME, org="globex")))[0].result == "miss"


async def test_a_redis_that_dies_while_calls_wait_sends_them_on_their_own_ways(
    one: Worker, other: Worker, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.cache.shared.following.BEAT", 0.1)
    monkeypatch.setattr("gateway.cache.shared.leading.LEASE", 1.0)
    async with leading(one) as (_, back):
        listeners = [await following(other, back) for _ in range(3)]
        server.kill()
        claims = await asyncio.gather(*listeners)
    assert other.asked == 3
    assert {claim.result for claim, _ in claims} == {"bypass"}


async def test_who_cannot_reach_the_leader_in_time_asks_the_store_no_more(
    one: Worker, other: Worker, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.cache.shared.flights.ALLOWANCE", 0.0)
    monkeypatch.setattr("gateway.cache.shared.flights.LEAST", 0.0)
    async with leading(one):
        claims = await asyncio.gather(*[other.answer() for _ in range(3)])
    assert other.asked == 3
    assert {(claim.result, claim.reason) for claim, _ in claims} == {("bypass", "store_away")}


async def test_what_nobody_shares_costs_one_question_and_no_message(one: Worker, server: RedisServer) -> None:
    await one.answer(call(seed=0))
    await one.settled()
    server.send("CONFIG", "RESETSTAT")
    await one.answer(call(seed=1))
    await one.settled()
    said = server.send("INFO", "commandstats")

    assert b"cmdstat_evalsha:calls=1," in said
    assert b"cmdstat_publish" not in said
    assert b"cmdstat_get:calls=2," in said  # both in the script: the answer and the mark
    assert b"cmdstat_set:calls=2," in said  # the mark, and the answer that is kept


async def test_thousands_of_cancelled_calls_leave_nothing_and_cross_nothing(workers: list[Worker]) -> None:
    crossed = []

    async def ask(number: int, worker: Worker) -> Any:
        seed = number % 7
        body = BODY.replace(b"Paris", b"City %d." % seed)
        claim, got = await worker.answer(call(seed=seed), body=body, pause=Pause())
        if b"City %d." % seed not in got:
            crossed.append(number)
        return claim

    async def given_up(number: int) -> None:
        work = asyncio.ensure_future(ask(number, workers[number % 3]))
        for _ in range(number % 23):
            await asyncio.sleep(0)
        if number % 5 == 0:
            await asyncio.sleep(number % 11 / 1000)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    for worker in workers:
        worker.rule(largest=10)  # nothing is kept: only flights are shared
    for start in range(0, 3000, 300):
        await asyncio.gather(*[given_up(number) for number in range(start, start + 300)])
    for worker in workers:
        worker.asked = 0
    await asyncio.gather(*[ask(number, workers[number % 3]) for number in range(210)])

    assert not crossed
    assert sum(worker.asked for worker in workers) < 70
