"""What was used is priced once, rounded up, and counted here only when the provider did not."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from gateway.core.call import Call, Operation
from gateway.core.deployment import Deployment, Provider
from gateway.core.money import Price
from gateway.core.tasks import Tasks
from gateway.core.usage import Usage
from gateway.meter.bill import Meter
from gateway.meter.tokens import Tokens

MESSAGES = [{"role": "user", "content": "Say hello, please"}]
CALL = Call(
    id="r", operation=Operation.CHAT, received=0, model="m", body=b"", fields={"model": "m", "messages": MESSAGES}
)


@dataclass
class Answered:
    deployment: Deployment
    usage: Usage | None
    text: str = ""
    is_complete: bool = True

    produced_share = 1.0

    def produced(self) -> list[str]:
        return [self.text]


def deployment(price: Price | None) -> Deployment:
    return Deployment(name="p/m", provider=Provider("p", "openai"), upstream_model="gpt-4o", price=price)


@pytest.fixture
def meter() -> Meter:
    return Meter(Tokens(), Tasks())


async def test_the_provider_s_count_is_priced_and_rounded_up(meter: Meter) -> None:
    price = Price(input=1_500_000_000, output=1, cached_input=0)

    bill = await meter.bill(CALL, Answered(deployment(price), Usage(10, 1, cached=4)))

    assert bill.cost == 6 * 1500 + 1


async def test_without_a_price_the_cost_is_unknown_and_not_nothing(meter: Meter) -> None:
    bill = await meter.bill(CALL, Answered(deployment(None), Usage(10, 1)))

    assert bill.cost is None


async def test_what_the_provider_did_not_count_is_counted_with_its_own_vocabulary(meter: Meter) -> None:
    bill = await meter.bill(CALL, Answered(deployment(None), None, text="Hello there, my friend!"))

    assert bill.usage == Usage(input=12, output=6, estimated=True)


async def test_nothing_produced_costs_its_input_alone(meter: Meter) -> None:
    bill = await meter.bill(CALL, Answered(deployment(Price(1_000_000, 10**12)), None))

    assert (bill.usage.output, bill.cost) == (0, 12)


@pytest.mark.parametrize(
    ("reported", "text", "billed"),
    [
        (Usage(9, 0), "Hello there, my friend!", Usage(9, 6, estimated=True)),
        (Usage(9, 50, cached=2), "Hello", Usage(9, 50, cached=2)),
        (Usage(9, 6, reasoning=1), "Hello there, my friend!", Usage(9, 6, reasoning=1)),
    ],
)
async def test_an_answer_that_broke_off_costs_the_greater_of_both_counts(
    meter: Meter, reported: Usage, text: str, billed: Usage
) -> None:
    bill = await meter.bill(CALL, Answered(deployment(None), reported, text=text, is_complete=False))

    assert bill.usage == billed
