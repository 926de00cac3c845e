"""Two workers on one Redis, a semantic rule and two organisations: identical and similar questions at the same time."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest

from gateway.auth.virtual_key import mint
from gateway.auth.wanted import Wanted
from gateway.cache.semantic import assembly
from gateway.cache.semantic.kept.shelf import Bounds
from gateway.cache.semantic.tier import Parts
from gateway.store.open import open_store
from tests.admin.conftest import on_redis, opened
from tests.conftest import House
from tests.flow.client import chunks
from tests.flow.process import POLICY
from tests.flow.teller import Teller
from tests.flow.test_shared_calls import PATIENCE, heard
from tests.redis_server import RedisServer, redis_server

ORGANISATIONS = ("default", "globex")
TOPICS = (
    "sharpen a kitchen knife",
    "polish a silver spoon",
    "wash a wool carpet",
    "grow a lemon tree",
    "tune a guitar string",
    "bake a rye bread",
)
LAST = ("iron a linen shirt", "whistle a simple melody", "prune an apple tree", "paint a garden fence")
FIRST, OTHER, THIRD = "How do you {}?", "How can you {}?", "How do I {}?"
BY_HAND = "threshold: 0.85"
NOT_YET = ("loading", "busy", "slow")
TO_BE_EARNED = "max_error: 2%"


@dataclass(frozen=True)
class Got:
    """Who asked about what, how it was answered, and what the answer says of whom it was made for."""

    org: str
    topic: str
    cache: str
    user: str
    text: str


class Houses:
    """Both workers, and the keys of the organisations."""

    def __init__(self, workers: list[House], keys: dict[str, str], http: httpx.AsyncClient) -> None:
        self.workers = workers
        self._keys = keys
        self._http = http

    async def ask(self, org: str, wording: str, topic: str, *, worker: int, stream: bool = False) -> Got:
        body = {
            "model": "ok",
            "user": org,
            "stream": stream,
            "messages": [{"role": "user", "content": wording.format(topic)}],
        }
        url = f"{self.workers[worker % len(self.workers)].url}/v1/chat/completions"
        answer = await self._http.post(url, json=body, headers={"authorization": f"Bearer {self._keys[org]}"})
        assert answer.status_code == 200, answer.text
        if stream:
            pieces = [each["choices"][0]["delta"].get("content") or "" for each in chunks(answer.content)]
            said = json.loads("".join(pieces))
        else:
            said = json.loads(answer.json()["choices"][0]["message"]["content"])
        return Got(org, topic, answer.headers["x-llmgw-cache"], said["user"], said["text"])

    async def ask_all(self, wordings: tuple[str, ...], *, times: int) -> list[Got]:
        """Everything of every organisation at the same time, by both workers, as documents and streams."""
        return await asyncio.gather(
            *[
                self.ask(org, wording, topic, worker=number, stream=number % 4 > 1)
                for number in range(times)
                for wording in wordings
                for topic in TOPICS
                for org in ORGANISATIONS
            ]
        )

    async def hear(self) -> None:
        """Until the second worker finds what the first has kept; it hears of that within a second, and in order."""
        for topic in LAST:
            await self.ask("default", FIRST, topic, worker=0)
            await asyncio.sleep(2.0)
            if (await self.ask("default", OTHER, topic, worker=1)).cache == "semantic-hit":
                return
        raise AssertionError("it hears of nothing")


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
async def teller() -> AsyncIterator[Teller]:
    async with Teller() as teller:
        yield teller


@pytest.fixture
async def houses(
    tmp_path: Path,
    redis: RedisServer,
    teller: Teller,
    monkeypatch: pytest.MonkeyPatch,
    patient: None,
    request: pytest.FixtureRequest,
) -> AsyncIterator[Houses]:
    """A worker's partition has room for two questions, so that Redis is asked for the others."""
    for limit in (
        "auth.keyring.PATIENCE",
        "cache.shared.flights.ALLOWANCE",
        "cache.purges.MISSED",
        "cache.semantic.tier.LIMIT",
    ):
        monkeypatch.setattr(f"gateway.{limit}", PATIENCE)
    monkeypatch.setattr(assembly, "Parts", partial(Parts, bounds=Bounds(in_partition=2)))
    folder = tmp_path / "policies"
    folder.mkdir()
    rules = (
        f"cache: {{default: {{semantic: {{{request.param}}}, scope: org}}}}\ntenants: {{default: {{}}, globex: {{}}}}\n"
    )
    (folder / "policy.yaml").write_text(POLICY.format(provider=teller.base_url) + rules)
    async with AsyncExitStack() as closing:
        workers = []
        for number in range(2):
            chosen = on_redis(folder, tmp_path / str(number), redis)
            workers.append(await closing.enter_async_context(opened(chosen, number=number)))
        await heard(redis, 2)
        http = await closing.enter_async_context(httpx.AsyncClient(timeout=PATIENCE, limits=httpx.Limits()))
        houses = Houses(workers, await made_keys(redis, tmp_path), http)
        for number in range(2):
            while (await reason(houses, number)) in NOT_YET:
                await asyncio.sleep(0.2)
        yield houses


async def made_keys(redis: RedisServer, folder: Path) -> dict[str, str]:
    store = await open_store(redis.url, folder)
    keys = {}
    for org in ORGANISATIONS:
        key, credential = mint(Wanted(name="test", tenant=org), store.pepper, now=0)
        await store.keys.create(key)
        keys[org] = credential.reveal()
    await store.close()
    return keys


async def crowded_out(redis: RedisServer, count: int) -> None:
    """Until so many questions are in vector sets."""
    async with asyncio.timeout(PATIENCE):
        while vectors(redis) < count:
            await asyncio.sleep(0.05)


def vectors(redis: RedisServer) -> int:
    sets = redis.send("KEYS", "llmgw:near:*:vectors").split(b"\r\n")[2::2]
    return sum(int(redis.send("VCARD", name.decode())[1:]) for name in sets)


async def reason(houses: Houses, number: int) -> object:
    """Why a question to this worker that nobody has asked is not answered from the cache."""
    await houses.ask("default", "Where was the telescope {} built?", secrets.token_hex(4), worker=number)
    while not (records := await houses.workers[number].records()):
        await asyncio.sleep(0.05)
    return records[-1]["cache_reason"]


@pytest.mark.parametrize("houses", [BY_HAND, TO_BE_EARNED], indirect=True)
async def test_many_identical_and_similar_questions_at_once_are_one_call_each(houses: Houses, teller: Teller) -> None:
    teller.asked.clear()
    teller.goes_on.clear()
    asking = asyncio.ensure_future(houses.ask_all((FIRST, OTHER), times=6))
    distinct = len(ORGANISATIONS) * len(TOPICS) * 2
    async with asyncio.timeout(PATIENCE):
        await teller.has_been_asked(distinct)
    await asyncio.sleep(1.0)  # for those that should not come
    teller.goes_on.set()
    got = await asking

    assert max(Counter(teller.asked).values()) == 1
    assert len(teller.asked) == distinct
    assert Counter(each.cache for each in got) == {"miss": distinct, "hit": len(got) - distinct}
    assert [each for each in got if each.user != each.org or each.topic not in each.text] == []


@pytest.mark.parametrize("houses", [BY_HAND], indirect=True)
async def test_what_is_kept_answers_all_who_ask_in_other_words_and_nobody_else(
    houses: Houses, teller: Teller, redis: RedisServer
) -> None:
    await asyncio.gather(*[houses.ask("default", FIRST, topic, worker=0) for topic in TOPICS])
    await crowded_out(redis, len(TOPICS) - 2)  # two are in each worker
    await houses.hear()
    teller.asked.clear()
    got = [await houses.ask("default", OTHER, topic, worker=number) for topic in TOPICS for number in range(2)]
    assert {each.cache for each in got} == {"semantic-hit"}

    burst = await houses.ask_all((THIRD,), times=12)

    own = [each for each in burst if each.org == "default"]
    assert max(Counter(teller.asked).values()) == 1
    assert "semantic-hit" in {each.cache for each in own}
    assert "semantic-hit" not in {each.cache for each in burst if each.org == "globex"}
    assert [each for each in [*got, *burst] if each.user != each.org or each.topic not in each.text] == []


@pytest.mark.parametrize("houses", [TO_BE_EARNED], indirect=True)
async def test_nothing_is_given_by_its_meaning_that_is_not_earned(houses: Houses, teller: Teller) -> None:
    await asyncio.gather(*[houses.ask("default", FIRST, topic, worker=0) for topic in TOPICS])
    teller.asked.clear()

    burst = await houses.ask_all((THIRD,), times=12)

    assert "semantic-hit" not in {each.cache for each in burst}
    assert max(Counter(teller.asked).values()) == 1
    assert [each for each in burst if each.user != each.org or each.topic not in each.text] == []
