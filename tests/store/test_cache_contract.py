"""What every store promises about kept answers and the orders to forget them, tried on each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import pytest

from gateway.cache.purges import Purges
from gateway.core.clock import Clock
from gateway.core.purge import Purge
from gateway.core.tasks import Tasks
from gateway.policy.stored import StoredTemplates
from gateway.store.contract import PURGE_TTL, PURGES, CacheStore, Store
from gateway.store.synchronise import Followers, synchronise
from tests.store.conftest import Opens

pytestmark = pytest.mark.usefixtures("patient")

ORG, OTHER_ORG = "00000000000000aa", "00000000000000ab"
HOSTILE = (
    "*",
    "{llmgw}",
    "{llmgw}:purges",
    "\x00\r\nFLUSHALL\r\n",
    "'; DROP TABLE answers; --",
    "\udc80",
    "é" * 50_000,
    "[a-z]?",
)


def name(number: int, org: str = ORG) -> str:
    return f"{org}:{number:064x}"


@dataclass(frozen=True)
class Answer:
    """As far as an order asks."""

    purges: int
    id: str = "a1"
    org: str = "acme"
    team: str | None = "search"
    key_id: str = "k1"
    model: str = "gpt-4o"
    route: str = "chat"
    template: str = ""
    tags: tuple[str, ...] = ("docs", "é")


async def pages(cache: CacheStore, *, org: str = "", limit: int = 7) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    after = ""
    while True:
        some, after = await cache.page(org=org, after=after, limit=limit)
        found += some
        if not after:
            return found


async def test_an_answer_is_read_back_as_it_was_by_another_worker(store: Store, other: Store) -> None:
    value = bytes(range(256)) * 4096
    await store.cache.put(name(1), value, ttl=60.0)

    assert await other.cache.get(name(1)) == value
    assert await other.cache.get(name(2)) is None
    assert await other.cache.get(name(1, OTHER_ORG)) is None


async def test_a_newer_answer_takes_the_place_of_an_older_one(store: Store, other: Store) -> None:
    await store.cache.put(name(1), b"old", ttl=60.0)
    await other.cache.put(name(1), b"newer", ttl=60.0)

    assert await store.cache.get(name(1)) == b"newer"
    assert (await store.cache.size()).entries == 1


async def test_an_answer_is_gone_when_its_time_has_passed(store: Store, other: Store) -> None:
    await store.cache.put(name(1), b"short", ttl=0.05)
    await store.cache.put(name(2), b"long", ttl=60.0)
    async with asyncio.timeout(10.0):
        while await other.cache.get(name(1)) is not None:
            await asyncio.sleep(0.01)

    assert await pages(other.cache) == [(name(2), b"long")]


@pytest.mark.parametrize("ttl", [0.0, -1.0, float("nan")])
async def test_an_answer_that_may_not_be_kept_is_not(store: Store, ttl: float) -> None:
    await store.cache.put(name(1), b"never", ttl=ttl)

    assert await store.cache.get(name(1)) is None


@pytest.mark.parametrize("ttl", [1e12, float("inf")])
async def test_no_answer_is_kept_for_longer_than_an_order_to_forget_it(store: Store, ttl: float) -> None:
    await store.cache.put(name(1), b"for long", ttl=ttl)

    assert await store.cache.get(name(1)) == b"for long"


async def test_hostile_names_are_only_names_and_an_answer_is_any_bytes(store: Store, other: Store) -> None:
    values = [b"", b"\x00\xff\r\n", b"$-1\r\n", *(str(number).encode() for number in range(len(HOSTILE)))]
    for hostile, value in zip(HOSTILE, values, strict=False):
        await store.cache.put(hostile, value, ttl=60.0)

    for hostile, value in zip(HOSTILE, values, strict=False):
        assert await other.cache.get(hostile) == value
    assert dict(await pages(other.cache)) == dict(zip(HOSTILE, values, strict=False))
    assert await pages(other.cache, org="*") == []
    assert await other.cache.remove(HOSTILE) == len(HOSTILE)
    assert await pages(store.cache) == []


async def test_removing_says_how_many_there_were(store: Store, other: Store) -> None:
    for number in range(40):
        await store.cache.put(name(number), b"x", ttl=60.0)

    assert await other.cache.remove([]) == 0
    assert await other.cache.remove([name(number) for number in range(10, 50)]) == 30
    assert sorted(await pages(store.cache)) == [(name(number), b"x") for number in range(10)]


async def test_every_answer_is_met_in_pages_of_all_or_of_one_organisation(store: Store, other: Store) -> None:
    for number in range(60):
        await store.cache.put(name(number), str(number).encode(), ttl=60.0)
        await store.cache.put(name(number, OTHER_ORG), b"theirs", ttl=60.0)
    await store.replays.claim("acme", "key", "hash")

    ours = {name(number): str(number).encode() for number in range(60)}
    assert dict(await pages(other.cache, org=ORG)) == ours
    assert len(dict(await pages(other.cache))) == 120
    assert await pages(other.cache, org="00000000000000a") == []


async def test_a_page_after_nonsense_is_a_page(store: Store) -> None:
    await store.cache.put(name(1), b"x", ttl=60.0)

    for after in ("\x00", "nowhere 17", "~ ~", "é 5", " -3", " " + 40 * "9", " ٣"):
        some, _ = await store.cache.page(after=after)
        assert list(some) in ([], [(name(1), b"x")])


async def test_the_size_counts_what_is_kept(store: Store, other: Store) -> None:
    assert (await store.cache.size()).entries == 0
    for number in range(20):
        await store.cache.put(name(number), bytes(1000), ttl=60.0)
    await store.cache.remove([name(0)])

    size = await other.cache.size()

    assert size.entries == 19
    assert 19_000 < size.bytes < 38_000
    assert size.dropped == 0


async def test_orders_are_numbered_upwards_known_to_all_and_told_through_changes(store: Store, other: Store) -> None:
    before = await other.changes()
    purges = [Purge(org="acme", team="search"), Purge(tag="é\u2028'\"\n"), Purge(entry="a1", route="", model="m")]

    numbers = [await store.cache.order(purge) for purge in purges]

    assert before.purges is not None
    assert numbers == [before.purges + 1, before.purges + 2, before.purges + 3]
    assert (await other.changes()).purges == numbers[-1]
    assert (await other.changes()).keys == before.keys
    known = await other.cache.orders()
    assert [order.number for order in known[-3:]] == numbers
    assert [order.tag for order in known[-3:]] == [None, "é\u2028'\"\n", None]
    assert known[-1] == Purge(entry="a1", route="", model="m", number=numbers[-1])


async def test_orders_given_at_once_all_have_numbers_of_their_own(store: Store, other: Store) -> None:
    given = [each.cache.order(Purge(org=f"o{number}")) for number in range(15) for each in (store, other)]

    numbers = await asyncio.gather(*given)

    assert len(set(numbers)) == 30
    assert [order.number for order in await store.cache.orders()][-30:] == sorted(numbers)


async def test_a_new_list_of_orders_begins_with_one_to_forget_everything(store: Store) -> None:
    """For nobody knows what orders there were before it."""
    last = (await store.changes()).purges

    assert last is not None
    assert list(await store.cache.orders()) == [Purge(number=last)]
    assert last > 1.7e12


async def test_of_too_many_orders_the_oldest_become_one_to_forget_everything_before(
    store: Store, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("gateway.store.sqlite.orders.PURGES", "gateway.store.redis.orders.MOST"):
        monkeypatch.setattr(module, 10)
    assert PURGES == 1000

    numbers = [await store.cache.order(Purge(org=f"o{number}")) for number in range(25)]

    known = list(await other.cache.orders())
    assert [order.number for order in known] == numbers[-10:]
    assert known[0] == Purge(number=numbers[-10])
    assert [order.org for order in known[1:]] == [f"o{number}" for number in range(16, 25)]
    assert (await other.changes()).purges == numbers[-1]


async def test_orders_older_than_any_answer_are_forgotten_but_their_number_is_not(store: Store, opens: Opens) -> None:
    number = await store.cache.order(Purge(org="acme"))

    later = await opens(clock=Clock(now=lambda: time.time() + PURGE_TTL + 60))

    assert list(await later.cache.orders()) == []
    assert (await later.changes()).purges == number


async def test_a_caller_of_the_cache_that_gives_up_harms_no_one_else(store: Store) -> None:
    """Commands cancelled at random points, then every reply must still belong to its question."""
    for number in range(10):
        await store.cache.put(name(number), str(number).encode(), ttl=60.0)

    def questions(number: int) -> tuple[Callable[[], Awaitable[object]], ...]:
        return (
            lambda: store.cache.get(name(number % 10)),
            lambda: store.cache.put(name(100 + number), b"late", ttl=60.0),
            lambda: store.cache.page(limit=3),
            store.cache.size,
            store.cache.orders,
        )

    async def given_up(number: int) -> None:
        work = asyncio.ensure_future(questions(number)[number % 5]())
        for _ in range(number % 7):
            await asyncio.sleep(0)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    for _ in range(15):
        crowd = [given_up(number) for number in range(20)]
        *_, first, last = await asyncio.gather(*crowd, store.cache.get(name(3)), store.cache.get(name(4)))
        assert (first, last) == (b"3", b"4")


class Keys:
    async def refresh(self) -> None:
        """Not looked at here."""

    def confirm(self, asked: float) -> None:
        """Not looked at here."""


def _ignore(resting: Mapping[str, float]) -> None:
    """Not looked at here."""


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.005)


@pytest.mark.alone
async def test_a_purge_is_known_to_every_worker_within_a_second(store: Store, other: Store) -> None:
    tasks = Tasks()
    copies = [Purges(each.cache) for each in (store, other)]
    for each, copy in zip((store, other), copies, strict=True):
        tasks.start(
            synchronise(each, Followers(Keys(), _ignore, copy, StoredTemplates(each.templates))), name="synchronise"
        )
    async with asyncio.timeout(10.0):
        await _until(lambda: all(copy.is_current(time.monotonic()) for copy in copies))
    made = copies[0].number
    answer, elsewhere = Answer(made), Answer(made, team="sales")
    assert not any(copy.kills(each) for copy in copies for each in (answer, elsewhere))

    async with asyncio.timeout(1.0):
        number = await store.cache.order(Purge(org="acme", team="search"))
        await _until(lambda: all(copy.number == number for copy in copies))

    assert all(copy.kills(answer) for copy in copies)
    assert not any(copy.kills(elsewhere) or copy.kills(Answer(number)) for copy in copies)
    await tasks.close()


async def test_a_purge_by_a_command_that_never_asked_for_changes_is_heard(store: Store, opens: Opens) -> None:
    copy = Purges(store.cache)
    changes = await store.changes()
    assert changes.purges is not None
    await copy.refresh(changes.purges, 0.0)
    answer = Answer(copy.number)

    number = await (await opens()).cache.order(Purge(tag="docs"))

    assert (await store.changes()).purges == number
    await copy.refresh(number, 0.0)
    assert copy.kills(answer)
