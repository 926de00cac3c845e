"""What the gateway keeps of a response is paid for again by whoever goes on from it, and is nobody else's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import HANG
from tests.flow.client import post
from tests.flow.raw import connected, request
from tests.flow.speakers import CLIENTS, SPEAKERS, policy
from tests.flow.test_idempotency import key_of
from tests.flow.test_money_across import budget, records

LONG = "word " * 2000
HELLO = {"type": "message", "role": "user", "content": "Say hello"}
ASKS = CLIENTS["responses"].asks
PATH = CLIENTS["responses"].path


async def held_for(house: House, provider: Chaosprov, body: dict[str, Any]) -> int:
    """What is held while a provider is silent, in nano-USD."""
    asked = len(provider.calls) + 1
    provider.will(HANG)
    async with connected(house) as client:
        client.writer.write(request(house, body, path=PATH))
        await provider.asked(asked)
        (held,) = house.worker.budgets.held().values()
        client.reset()
        await records(house, asked)
    return held


@pytest.mark.parametrize("name", SPEAKERS)
async def test_a_chain_of_responses_is_held_for_with_all_of_its_history(
    house: House, provider: Chaosprov, name: str
) -> None:
    await house.adopt(budget(1_000_000_000) + policy(provider))
    alone = await held_for(house, provider, ASKS(name, "And?"))
    previous: dict[str, Any] = {}
    for _ in range(3):
        provider.will(SPEAKERS[name].whole)
        answer = await post(house, ASKS(name, LONG, **previous), path=PATH)
        previous = {"previous_response_id": answer.json()["id"]}

    held = await held_for(house, provider, ASKS(name, "And?", **previous))

    assert held - alone >= 3 * len(LONG) * 1000


async def test_a_response_that_is_another_s_that_is_gone_or_that_never_was_is_refused_in_the_same_words(
    house: House, provider: Chaosprov, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.adopt(policy(provider))
    one, two = [await key_of(house, team) for team in ("acme/one", "acme/two")]

    async def made() -> str:
        provider.will(SPEAKERS["openai"].whole)
        return str((await post(house, ASKS("openai"), path=PATH, token=one)).json()["id"])

    theirs, deleted = await made(), await made()
    monkeypatch.setattr("gateway.ingress.responses.kept.TTL", 0.001)
    expired = await made()
    async with connected(house) as client:
        client.writer.write(
            f"DELETE {PATH}/{deleted} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {one}\r\n\r\n".encode()
        )
        assert (await client.answer())[0] == 200

    asked = [(theirs, two), (deleted, one), (expired, one), ("resp_never", one)]
    answers = [await post(house, ASKS("openai", previous_response_id=id), path=PATH, token=key) for id, key in asked]

    assert [answer.status_code for answer in answers] == [404] * 4
    told = [answer.text.replace(id, "ID") for answer, (id, _) in zip(answers, asked, strict=True)]
    assert len(set(told)) == 1
    assert len(provider.calls) == 3


@pytest.mark.parametrize("path", ["chat", "messages"])
async def test_clients_of_other_dialects_go_on_from_no_response(house: House, provider: Chaosprov, path: str) -> None:
    await house.adopt(policy(provider))
    provider.will(SPEAKERS["openai"].whole)
    first = (await post(house, ASKS("openai", LONG), path=PATH)).json()["id"]
    provider.will(SPEAKERS["responses"].whole)
    client = CLIENTS[path]

    answer = await post(house, client.asks("responses", previous_response_id=first), path=client.path)

    assert answer.headers["x-llmgw-dropped"] == "previous_response_id"
    assert "previous_response_id" not in provider.calls[-1].json
    assert len(provider.calls[-1].body) < 1000


async def test_a_picture_of_a_screen_by_its_address_is_held_for(house: House, provider: Chaosprov) -> None:
    """Which chat cannot say, and whose size nobody knows from the call."""
    await house.adopt(budget(100_000_000) + policy(provider))
    screen = {"type": "computer_screenshot", "image_url": "https://example.com/screen.png"}
    items = [{"type": "computer_call_output", "call_id": "call_1", "output": screen}] * 4

    held = await held_for(house, provider, {"model": "responses", "input": [*items, HELLO], "max_output_tokens": 50})

    assert held > 4 * 5000 * 1000
