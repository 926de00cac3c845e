"""A worker's copy of the orders to forget answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache.purges import MISSED, Purges
from gateway.core.purge import Purge


@dataclass(frozen=True)
class Answer:
    id: str = "a1"
    org: str = "acme"
    team: str | None = None
    key_id: str = "k1"
    model: str = "m"
    route: str = "r"
    template: str = ""
    tags: tuple[str, ...] = ()
    purges: int = 0


class Kept:
    def __init__(self, *orders: Purge) -> None:
        self._orders = orders

    async def orders(self) -> Sequence[Purge]:
        return self._orders


async def copy_of(*orders: Purge, last: int = 0, asked: float = 0.0) -> Purges:
    purges = Purges(Kept(*orders))
    await purges.refresh(last, asked)
    return purges


marks = st.sampled_from([None, "a", "b"])
orders = st.lists(st.builds(Purge, org=marks, team=marks, model=marks, tag=marks, entry=marks), max_size=12)
answers = st.builds(
    Answer,
    id=st.sampled_from("abc"),
    org=st.sampled_from("abc"),
    team=marks,
    model=st.sampled_from("abc"),
    tags=st.lists(st.sampled_from("abc"), max_size=2).map(tuple),
    purges=st.integers(0, 12),
)


@given(orders, answers)
async def test_it_kills_what_any_order_kills_and_what_is_from_a_future_it_does_not_know(
    given: list[Purge], answer: Answer
) -> None:
    numbered = [replace(order, number=number) for number, order in enumerate(given, start=1)]

    purges = await copy_of(*numbered)

    assert purges.kills(answer) == (answer.purges > len(given) or any(order.kills(answer) for order in numbered))


async def test_before_the_first_word_from_the_store_nothing_may_be_used() -> None:
    assert not Purges(Kept()).is_current(0.0)


async def test_when_nothing_was_heard_for_a_second_orders_may_have_been_missed() -> None:
    purges = await copy_of(asked=100.0)
    assert purges.is_current(100.0 + MISSED)
    assert not purges.is_current(100.01 + MISSED)

    purges.confirm(105.0)
    purges.confirm(104.0)

    assert purges.is_current(105.0 + MISSED)


async def test_the_number_stays_when_the_orders_themselves_are_too_old_to_be_kept() -> None:
    purges = await copy_of(last=17)

    assert purges.number == 17
    assert not purges.kills(Answer(purges=17))
    assert not purges.kills(Answer(purges=3))


async def test_an_order_that_came_in_while_the_list_was_read_counts() -> None:
    purges = await copy_of(Purge(number=3), Purge(org="acme", number=4), last=3)

    assert purges.number == 4
    assert purges.kills(Answer(purges=3))


async def test_an_order_that_cannot_be_read_is_not_skipped() -> None:
    class Away:
        async def orders(self) -> Sequence[Purge]:
            raise TimeoutError

    purges = Purges(Away())
    with pytest.raises(TimeoutError):
        await purges.refresh(1, 5.0)

    assert not purges.is_current(5.0)


async def test_a_list_that_took_longer_to_read_does_not_take_the_place_of_a_newer_one() -> None:
    going_on = asyncio.Event()
    lists = iter([[Purge(number=3)], [Purge(number=3), Purge(org="acme", number=4)]])

    class Slow:
        async def orders(self) -> Sequence[Purge]:
            found = next(lists)
            if len(found) == 1:
                await going_on.wait()
            return found

    purges = Purges(Slow())
    first = asyncio.create_task(purges.refresh(3, 1.0))
    await asyncio.sleep(0)
    await purges.refresh(4, 2.0)
    going_on.set()
    await first

    assert purges.number == 4
    assert purges.kills(Answer(purges=3))
