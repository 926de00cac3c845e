"""What was used is priced once, rounded up, and counted here only when the provider did not."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.call import Call, Operation
from gateway.core.deployment import Deployment, Provider
from gateway.core.money import Price
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

    def produced(self) -> str:
        return self.text


def deployment(price: Price | None) -> Deployment:
    return Deployment(name="p/m", provider=Provider("p", "openai"), upstream_model="gpt-4o", price=price)


async def test_the_provider_s_count_is_priced_and_rounded_up() -> None:
    price = Price(input=1_500_000_000, output=1, cached_input=0)

    bill = await Meter(Tokens()).bill(CALL, Answered(deployment(price), Usage(10, 1, cached=4)))

    assert bill.cost == 6 * 1500 + 1


async def test_without_a_price_the_cost_is_unknown_and_not_nothing() -> None:
    bill = await Meter(Tokens()).bill(CALL, Answered(deployment(None), Usage(10, 1)))

    assert bill.cost is None


async def test_what_the_provider_did_not_count_is_counted_with_its_own_vocabulary() -> None:
    bill = await Meter(Tokens()).bill(CALL, Answered(deployment(None), None, text="Hello there, my friend!"))

    assert bill.usage == Usage(input=12, output=6, estimated=True)


def test_the_tools_of_a_call_count_too() -> None:
    tools = [{"type": "function", "function": {"name": "weather", "description": "Tells the weather of a city"}}]
    with_tools = Call(
        id="r",
        operation=Operation.CHAT,
        received=0,
        model="m",
        body=b"",
        fields={"model": "m", "messages": MESSAGES, "tools": tools},
    )

    assert Meter(Tokens()).tokens_in(with_tools) > Meter(Tokens()).tokens_in(CALL) + 5
