"""Many calls at once, of which most go wrong in some way: the books agree afterwards, and nothing is left over."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from random import Random

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.flow.raw import chat, connected, request

MODELS = (
    "ok",
    "demo",
    "nope",
    *("fault/status-500", "fault/status-429", "fault/status-400", "fault/slow-chunk-500ms", "fault/no-done"),
)
CALLS = 400


async def test_after_a_storm_every_call_has_one_record_and_the_account_is_their_sum(
    house: House, provider: Chaosprov
) -> None:
    random = Random(7)
    places = asyncio.Semaphore(50)

    async def one(number: int) -> None:
        async with places, connected(house) as client:
            await _call(house, client.writer, number, random)
            with suppress(TimeoutError, ConnectionError):
                await asyncio.wait_for(client.reader.read(), random.choice((0.001, 0.02, 0.3, 5)))
            random.choice((client.leave, client.reset))()

    await asyncio.gather(*(one(number) for number in range(CALLS)))
    await house.worker.server.drain(5)

    records = await house.records()
    by_id = Counter(record["id"] for record in records)
    assert {count for count in by_id.values()} == {1}
    assert sum(record["cost_nano_usd"] or 0 for record in records) == house.account()[0] > 0
    tried = sum(len(record["attempts"]) for record in records if record["model"] != "demo")
    assert tried >= len(provider.calls)
    assert all(attempt["duration_ms"] >= 0 for record in records for attempt in record["attempts"])
    assert {record["status"] for record in records} <= {200, 400, 404, 409, 429, 499, 502, 503}
    assert (house.worker.pool.open_exchanges, house.account()[1]) == (0, 0)


async def _call(house: House, writer: asyncio.StreamWriter, number: int, random: Random) -> None:
    """Sends one call; every third has an Idempotency-Key that others have too."""
    model = f"{random.choice(MODELS)}@{random.randrange(40)}"
    model = model if model.startswith("fault/") else model.partition("@")[0]
    headers = f"x-request-id: {number}\r\nconnection: close\r\n"
    if number % 3 == 0:
        headers += f"idempotency-key: {random.randrange(20)}\r\n"
    writer.write(request(house, chat(model, stream=random.random() < 0.6), headers=headers))
    with suppress(ConnectionError):
        await writer.drain()
