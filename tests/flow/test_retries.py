"""Retries are bounded and honest: only what is safe, never after the first byte, and never as an own load (R17)."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from random import Random

import httpx
import pytest

from gateway import app
from gateway.core.clock import Clock
from gateway.core.deployment import Deployment, Model, Provider
from gateway.route import plan
from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import CUT, DIE_ON_REUSE, HANG, RESET, Finish, Json, Raw, Say, Sleep, Status, Step, Usage
from tests.flow.client import events, post
from tests.flow.raw import chat, connected, request

ANSWER = (Say("Hello"), Finish(), Usage(5, 1))
ASKING = "  {name}: {{dialect: openai, base_url: '{url}', allow_private: true, timeouts: {{whole: 1s}}, retry: {{{retry}}}}}\n"


class Days:
    """A clock whose days can be made to pass; the seconds that are measured stay real."""

    passed = 0.0

    def now(self) -> float:
        return time.time() + self.passed


@pytest.fixture
def days(monkeypatch: pytest.MonkeyPatch) -> Days:
    """Must be asked for before the house, which is built with it."""
    days = Days()
    monkeypatch.setattr(app, "Clock", lambda: Clock(now=days.now))
    return days


@pytest.fixture
async def pair(house: House) -> House:
    """A house whose model `both` falls back from chaos/first to chaos/second."""
    await house.adopt("models: {both: {use: chaos/first, fallback: [chaos/second], price: {in: 1, out: 2}}}")
    return house


async def provide(house: House, provider: Chaosprov, retry: str) -> None:
    """Adds the model `willing`, whose provider is tried again as `retry` says."""
    row = ASKING.format(name="willing", url=provider.base_url, retry=retry)
    await house.adopt(f"providers:\n{row}models: {{willing: {{use: willing/ok, price: {{in: 1, out: 2}}}}}}\n")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("failure", [Status(500), Status(503), Status(529), Status(429), Status(401)], ids=str)
async def test_the_next_deployment_answers_when_the_first_says_no(
    pair: House, provider: Chaosprov, failure: Step, stream: bool
) -> None:
    provider.will(failure)
    provider.will(*ANSWER)

    answer = await post(pair, chat("both", stream=stream))

    assert answer.status_code == 200
    assert (answer.headers["x-llmgw-model"], answer.headers["x-llmgw-attempts"]) == ("chaos/second", "2")
    record = await pair.only_record()
    assert [attempt["reason"] for attempt in record["attempts"]] == ["primary", "fallback"]
    assert record["deployment"] == "chaos/second"


@pytest.mark.parametrize("status", [400, 404, 413, 422])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_call_that_the_provider_finds_wrong_is_tried_once(
    pair: House, provider: Chaosprov, status: int, stream: bool
) -> None:
    provider.will(Status(status))

    answer = await post(pair, chat("both", stream=stream))

    assert (answer.status_code, answer.headers["x-should-retry"]) == (status, "false")
    assert len(provider.calls) == 1


async def test_nothing_is_tried_again_once_the_client_has_seen_a_byte(pair: House, provider: Chaosprov) -> None:
    provider.will(Say("Hel"), CUT)

    answer = await post(pair, chat("both", stream=True))

    assert "upstream_truncated" in events(answer.content)[-1]
    assert len(provider.calls) == 1


AMBIGUOUS: dict[str, tuple[Step, ...]] = {
    "reset": (RESET,),
    "closed": (CUT,),
    "silence": (HANG,),
    "an answer that is none": (Raw(b'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"choices'),),
    "an answer that is cut": (Say("Hello"), Finish(), Usage(5, 1), RESET),
}


@pytest.mark.parametrize("how", AMBIGUOUS)
async def test_a_call_the_provider_may_have_worked_on_is_not_sent_again(
    pair: House, provider: Chaosprov, how: str
) -> None:
    provider.will(*AMBIGUOUS[how])

    answer = await post(pair, chat("both"))

    assert answer.status_code in (502, 504)
    assert len(provider.calls) == 1


@pytest.mark.parametrize("silence", [RESET, HANG], ids=["reset", "silence"])
async def test_a_policy_may_have_such_a_call_sent_again(house: House, provider: Chaosprov, silence: Step) -> None:
    await provide(house, provider, "replay: true")
    provider.will(silence)
    provider.will(*ANSWER)

    answer = await post(house, chat("willing"))

    assert answer.status_code == 200
    assert [each["reason"] for each in (await house.only_record())["attempts"]] == ["primary", "retry"]


async def test_a_kept_connection_that_was_closed_meanwhile_is_no_failure(house: House, provider: Chaosprov) -> None:
    provider.will(*ANSWER, DIE_ON_REUSE)
    await post(house, chat())

    answer = await post(house, chat())

    assert answer.status_code == 200
    assert [len(record["attempts"]) for record in await house.records()] == [1, 1]


async def test_a_kept_connection_that_is_lost_over_a_call_is_a_failure_like_any_other(
    house: House, provider: Chaosprov
) -> None:
    await post(house, chat())
    provider.will(Sleep(0.5), RESET)

    answer = await post(house, chat())

    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_reset")
    assert len(provider.calls) == 2


async def test_connections_that_are_given_up_are_closed(house: House, provider: Chaosprov) -> None:
    provider.will(*ANSWER)
    provider.will(Sleep(0.1), *ANSWER, DIE_ON_REUSE)
    await asyncio.gather(post(house, chat()), post(house, chat()))

    await post(house, chat())

    assert [call.connection for call in provider.calls[2:]] == [3]
    while provider.open_connections > 1:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("status", [503, 429])
async def test_a_single_deployment_is_tried_again_after_the_wait_it_asked_for(
    house: House, provider: Chaosprov, status: int
) -> None:
    provider.will(Status(status, headers=(("Retry-After", "1"),)))
    provider.will(*ANSWER)

    began = time.monotonic()
    answer = await post(house, chat())

    assert answer.status_code == 200
    assert 0.9 < time.monotonic() - began < 2
    assert (await house.only_record())["attempts"][1]["reason"] == "retry"


async def test_a_wait_that_is_too_long_is_the_client_s_to_decide(house: House, provider: Chaosprov) -> None:
    provider.will(Status(429, headers=(("Retry-After", "50"),)))

    answer = await asyncio.wait_for(post(house, chat()), 2)

    assert (answer.status_code, answer.headers["retry-after"], answer.headers["x-should-retry"]) == (429, "50", "true")
    assert len(provider.calls) == 1


async def test_no_call_is_tried_more_often_than_the_policy_says(house: House, provider: Chaosprov) -> None:
    await provide(house, provider, "attempts: 2")
    for _ in range(3):
        provider.will(Status(500))

    answer = await post(house, chat("willing"))

    assert (answer.status_code, len(provider.calls)) == (502, 2)


async def test_a_provider_that_fails_always_gets_no_more_than_a_tenth_more_calls(
    house: House, provider: Chaosprov
) -> None:
    """Each call goes to a deployment of its own, so that none rests; the budget is the provider's."""
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {house.key}"}, timeout=20) as client:

        async def ask(number: int) -> None:
            answer = await client.post(f"{house.url}/v1/chat/completions", json=chat(f"fault/status-500@{number}"))
            assert answer.status_code == 502

        await asyncio.gather(*map(ask, range(50)))
        warm = len(provider.calls)
        for start in range(50, 350, 50):
            await asyncio.gather(*map(ask, range(start, start + 50)))

    assert len(provider.calls) - warm <= 300 * 1.1


async def test_three_failures_in_a_row_let_a_deployment_rest_and_calls_are_refused_at_once(
    house: House, provider: Chaosprov
) -> None:
    for _ in range(3):
        provider.will(Status(500))
    await post(house, chat())

    async with connected(house) as client:
        began = time.monotonic()
        client.writer.write(request(house, chat(), headers="connection: close\r\n"))
        refusal = await client.rest()

    assert time.monotonic() - began < 0.1
    assert refusal.startswith(b"HTTP/1.1 503 ")
    assert b"no_upstream_available" in refusal
    assert b"\r\nretry-after: 5\r\n" in refusal
    assert len(provider.calls) == 3


async def test_a_deployment_that_breaks_off_every_stream_rests_too(house: House, provider: Chaosprov) -> None:
    for _ in range(3):
        provider.will(Say("Hel"), CUT)
        await post(house, chat(stream=True))

    answer = await post(house, chat(stream=True))

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_upstream_available")


async def test_a_deployment_that_rests_is_passed_over(pair: House, provider: Chaosprov) -> None:
    for _ in range(3):
        provider.will(Status(500))
        provider.will(*ANSWER)
        await post(pair, chat("both"))
    provider.will(*ANSWER)

    answer = await post(pair, chat("both"))

    assert (answer.headers["x-llmgw-model"], answer.headers["x-llmgw-attempts"]) == ("chaos/second", "1")


async def rest(house: House, provider: Chaosprov) -> None:
    """Makes the deployment of the model `ok` rest."""
    for _ in range(3):
        provider.will(Status(500))
    await post(house, chat())


async def test_after_its_rest_one_call_probes_a_deployment_and_brings_it_back(
    days: Days, house: House, provider: Chaosprov
) -> None:
    await rest(house, provider)
    days.passed += 6
    provider.will(Sleep(0.3), *ANSWER)

    probe = asyncio.create_task(post(house, chat()))
    await provider.asked(4)
    meanwhile = await post(house, chat())
    after = [(await probe).status_code, (await post(house, chat())).status_code]

    assert meanwhile.json()["error"]["code"] == "no_upstream_available"
    assert after == [200, 200]


async def test_a_probe_that_streams_brings_its_deployment_back_with_its_first_chunk(
    days: Days, house: House, provider: Chaosprov
) -> None:
    await rest(house, provider)
    days.passed += 6
    provider.will(Say("Hel"), HANG)
    async with connected(house) as client:
        client.writer.write(request(house, chat(stream=True)))
        await client.until(b"Hel")

        assert (await post(house, chat())).status_code == 200


async def test_a_probe_that_fails_makes_the_rest_longer(days: Days, house: House, provider: Chaosprov) -> None:
    await rest(house, provider)
    days.passed += 6
    provider.will(Status(500))

    probe = await post(house, chat())
    days.passed += 6
    after = await post(house, chat())

    assert (probe.status_code, after.status_code) == (502, 503)
    assert len(provider.calls) == 4


async def test_a_probe_whose_client_left_lets_another_call_probe(days: Days, house: House, provider: Chaosprov) -> None:
    await rest(house, provider)
    days.passed += 6
    provider.will(HANG)
    async with connected(house) as client:
        client.writer.write(request(house, chat()))
        call = await provider.asked(4)
        client.reset()
        await provider.ended(call)

    assert (await post(house, chat())).status_code == 200


async def test_a_rate_limit_lets_a_deployment_rest_for_the_time_it_asked_for(
    days: Days, house: House, provider: Chaosprov
) -> None:
    provider.will(Status(429, headers=(("Retry-After", "30"),)))
    await post(house, chat())

    days.passed += 28
    early = await post(house, chat())
    days.passed += 3
    late = await post(house, chat())

    assert (early.status_code, late.status_code) == (503, 200)


async def test_one_call_that_is_wrong_for_the_provider_lets_nothing_rest(house: House, provider: Chaosprov) -> None:
    for _ in range(5):
        provider.will(Json({"error": {"message": "no"}}, status=400))
        await post(house, chat())

    assert (await post(house, chat())).status_code == 200


def test_calls_are_spread_by_weight() -> None:
    much, little = (Deployment(f"p/{weight}", Provider("p", "openai"), "m", None, weight) for weight in (9, 1))
    random = Random(1)

    first = Counter(plan.order(Model("m", (little, much)), random)[0].weight for _ in range(1000))

    assert 860 < first[9] < 940
