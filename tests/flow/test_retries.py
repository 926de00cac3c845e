"""Retries are bounded and honest: only what is safe, and never after the first byte (R17)."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from tests.conftest import POLICY, House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import CUT, HANG, RESET, Finish, Say, Status, Step, Usage
from tests.flow.raw import chat

TWO = """
models:
  both: {use: chaos/first, fallback: [chaos/second], price: {in: 1, out: 2}}
"""
ANSWER = (Say("Hello"), Finish(), Usage(5, 1))


@pytest.fixture
async def pair(house: House, provider: Chaosprov) -> House:
    """A house whose model `both` falls back from chaos/first to chaos/second."""
    folder: Path = house.policies
    (folder / "policy.yaml").write_text(POLICY.format(provider=provider.base_url))
    (folder / "two.yaml").write_text("version: 1" + TWO)
    await house.worker.watch.reload()
    assert house.worker.policy.last_error is None
    return house


async def ask(house: House, model: str = "both", *, stream: bool = False) -> httpx.Response:
    async with httpx.AsyncClient(timeout=10) as client:
        headers = {"authorization": f"Bearer {house.key}"}
        return await client.post(f"{house.url}/v1/chat/completions", json=chat(model, stream=stream), headers=headers)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("failure", [Status(500), Status(503), Status(529), Status(429), Status(401)])
async def test_the_next_deployment_answers_when_the_first_says_no(
    pair: House, provider: Chaosprov, failure: Step, stream: bool
) -> None:
    provider.will(failure)
    provider.will(*ANSWER)

    answer = await ask(pair, stream=stream)

    assert answer.status_code == 200
    assert (answer.headers["x-llmgw-model"], answer.headers["x-llmgw-attempts"]) == ("chaos/second", "2")
    record = await pair.only_record()
    assert [attempt["reason"] for attempt in record["attempts"]] == ["primary", "fallback"]


async def test_a_call_that_the_provider_finds_wrong_is_tried_once(pair: House, provider: Chaosprov) -> None:
    provider.will(Status(400))

    answer = await ask(pair)

    assert (answer.status_code, len(provider.calls)) == (400, 1)


async def test_nothing_is_tried_again_once_the_client_has_seen_a_byte(pair: House, provider: Chaosprov) -> None:
    provider.will(Say("Hel"), CUT)

    answer = await ask(pair, stream=True)

    assert b"upstream_truncated" in answer.content
    assert len(provider.calls) == 1


@pytest.mark.parametrize("silence", [RESET, HANG], ids=["reset", "timeout"])
async def test_a_call_the_provider_may_have_worked_on_is_not_sent_again(
    pair: House, provider: Chaosprov, silence: Step
) -> None:
    provider.will(silence)

    answer = await ask(pair)

    assert answer.status_code in (502, 504)
    assert len(provider.calls) == 1


async def test_a_single_deployment_is_tried_again_after_the_wait_it_asked_for(
    house: House, provider: Chaosprov
) -> None:
    provider.will(Status(503, headers=(("Retry-After", "1"),)))
    provider.will(*ANSWER)

    began = time.monotonic()
    answer = await ask(house, "ok")

    assert answer.status_code == 200
    assert 0.9 < time.monotonic() - began < 2
    assert (await house.only_record())["attempts"][1]["reason"] == "retry"


async def test_three_failures_in_a_row_let_a_deployment_rest_and_calls_are_refused_at_once(
    house: House, provider: Chaosprov
) -> None:
    for _ in range(3):
        provider.will(Status(500))
    await ask(house, "ok")

    began = time.monotonic()
    answer = await ask(house, "ok")

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_upstream_available")
    assert int(answer.headers["retry-after"]) >= 1
    assert time.monotonic() - began < 0.1
    assert len(provider.calls) == 3


async def test_retries_add_no_more_than_a_tenth_to_the_load(house: House, provider: Chaosprov) -> None:
    """Each call goes to a deployment of its own, so that none rests; the budget is the provider's."""
    for number in range(150):
        await ask(house, f"fault/status-500@{number}")

    assert len(provider.calls) <= 150 * 1.1 + 10
