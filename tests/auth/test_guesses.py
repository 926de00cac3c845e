"""Wrong keys in bulk are slowed down cheaply, and nobody else is (A7)."""

from __future__ import annotations

import httpx
import pytest

from gateway.auth.guesses import BURST, Guesses
from gateway.core.clock import Clock
from gateway.core.errors import RateLimited
from tests.conftest import House


async def test_wrong_keys_in_bulk_are_slowed_down_cheaply(house: House) -> None:
    async with httpx.AsyncClient() as client:
        wrong = [await client.get(f"{house.url}/v1/models", headers={"authorization": "Bearer x"}) for _ in range(3)]
        for _ in range(int(BURST) + 50):
            last = await client.post(f"{house.url}/v1/chat/completions", json={}, headers={"authorization": "Bearer x"})
        good = await client.get(f"{house.url}/v1/models", headers={"authorization": f"Bearer {house.key}"})

    assert {answer.status_code for answer in wrong} == {401}
    assert (last.status_code, last.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert last.headers["retry-after"] == "1"
    assert good.status_code == 200


def test_an_address_is_forgiven_with_time() -> None:
    now = [0.0]
    guesses = Guesses(Clock(monotonic=lambda: now[0]))
    for _ in range(int(BURST)):
        guesses.count("a")
    with pytest.raises(RateLimited):
        guesses.count("a")
    guesses.count("b")

    now[0] += 10

    guesses.count("a")
