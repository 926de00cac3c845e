"""Who answered in a conversation is remembered for a time, in bounds, and shared only where it must be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from gateway.core.clock import Clock
from gateway.core.errors import Overloaded
from gateway.core.tasks import Tasks
from gateway.route.decision import Pin
from gateway.route.pins import AGAIN, IDLE, Pins

FIRST, SECOND = Pin("cheap", "cheap", "p/cheap"), Pin("learned", "strong", "q/strong")


@dataclass
class Store:
    """What workers share; away while `is_away`."""

    values: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    written: list[tuple[str, float]] = field(default_factory=list)
    is_away: bool = False

    async def get(self, name: str) -> bytes | None:
        self.asked.append(name)
        if self.is_away:
            raise Overloaded("away")
        return self.values.get(name)

    async def put(self, name: str, value: bytes, *, ttl: float) -> None:
        if self.is_away:
            raise Overloaded("away")
        self.written.append((name, ttl))
        self.values[name] = value


@dataclass
class Hands:
    """A clock that is set by hand."""

    at: float = 0.0

    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.at, now=lambda: self.at)


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    tasks = Tasks()
    yield tasks
    await tasks.close()


async def settled(tasks: Tasks) -> None:
    """Until all that was begun in the background has ended."""
    while len(tasks):
        await asyncio.sleep(0)


async def test_a_worker_remembers_and_asks_nobody(tasks: Tasks) -> None:
    store = Store()
    pins = Pins(store, tasks, Hands().clock())
    pins.keep("a", FIRST, shared=False)

    assert pins.known("a") == await pins.find("a") == FIRST
    assert pins.known("b") is None
    await settled(tasks)
    assert (store.asked, store.written) == ([], [])


async def test_what_is_shared_is_found_by_another_worker(tasks: Tasks) -> None:
    store = Store()
    one, other = Pins(store, tasks, Hands().clock()), Pins(store, tasks, Hands().clock())
    one.keep("a", SECOND, shared=True)
    await settled(tasks)

    assert await other.find("a") == SECOND
    assert await other.find("a") == SECOND
    assert len(store.asked) == 1, "from then on it knows by itself"
    assert all("a" not in (name, value) for name, value in store.values.items())


async def test_another_pepper_finds_nothing(tasks: Tasks) -> None:
    store = Store()
    Pins(store, tasks, Hands().clock(), pepper=b"one").keep("a", FIRST, shared=True)
    await settled(tasks)

    assert await Pins(store, tasks, Hands().clock(), pepper=b"two").find("a") is None


async def test_when_the_store_is_away_nothing_is_known_and_nothing_fails(tasks: Tasks) -> None:
    store = Store(is_away=True)
    pins = Pins(store, tasks, Hands().clock())

    assert await pins.find("a") is None
    pins.keep("a", FIRST, shared=True)
    await settled(tasks)
    assert await pins.find("a") == FIRST


@pytest.mark.parametrize(
    "value", [b"", b"{", b"[]", b'["a"]', b'["a","b",1]', b'{"a":1}', b'["a","b","c","d"]', b"null"]
)
async def test_what_is_no_pin_is_none(tasks: Tasks, value: bytes) -> None:
    store = Store()
    Pins(store, tasks, Hands().clock()).keep("a", FIRST, shared=True)
    await settled(tasks)
    store.values = dict.fromkeys(store.values, value)

    assert await Pins(store, tasks, Hands().clock()).find("a") is None


async def test_a_conversation_is_forgotten_when_it_has_been_idle_for_long(tasks: Tasks) -> None:
    hands = Hands()
    pins = Pins(Store(), tasks, hands.clock())
    pins.keep("a", FIRST, shared=False)
    hands.at += IDLE
    assert pins.known("a") == FIRST
    hands.at += 1

    assert pins.known("a") is None
    assert len(pins) == 0


async def test_each_answer_lets_it_live_on_and_only_now_and_then_is_it_written_again(tasks: Tasks) -> None:
    hands, store = Hands(), Store()
    pins = Pins(store, tasks, hands.clock())
    for _ in range(20):
        hands.at += AGAIN / 4
        pins.keep("a", FIRST, shared=True)
        await settled(tasks)

    assert pins.known("a") == FIRST
    assert len(store.written) == 4
    assert all(ttl >= IDLE for _, ttl in store.written)


async def test_another_answerer_is_written_at_once(tasks: Tasks) -> None:
    store = Store()
    pins = Pins(store, tasks, Hands().clock())
    for pin in (FIRST, SECOND):
        pins.keep("a", pin, shared=True)
        await settled(tasks)

    assert len(store.written) == 2
    assert await Pins(store, tasks, Hands().clock()).find("a") == SECOND


async def test_no_more_are_kept_than_fit_and_those_go_first_that_were_answered_longest_ago(tasks: Tasks) -> None:
    pins = Pins(Store(), tasks, Hands().clock(), most=3)
    for key in ("a", "b", "c", "a", "d"):
        pins.keep(key, FIRST, shared=False)

    assert len(pins) == 3
    assert pins.known("b") is None
    assert pins.known("a") == FIRST
