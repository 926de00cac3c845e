"""A call whose first deployment is silent is put to a second one too; who begins first answers, and both are paid."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from gateway.trace.story import tell
from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import CUT, DONE, HANG, Finish, Say, Status, Step, Until, Usage
from tests.flow.client import DONE as DONE_DATA
from tests.flow.client import events, post
from tests.flow.raw import chat, connected, request

FIRST, SECOND = 10 * 1000 + 5 * 2000, 10 * 3000 + 5 * 6000
RULES = """
providers:
  slow: {{dialect: openai, base_url: {first}, allow_private: true, retry: {{attempts: 1}}}}
  fast: {{dialect: openai, base_url: {second}, allow_private: true}}
models:
  pair: {{use: slow/a, price: {{in: 1, out: 2}}, fallback: [spare]}}
  spare: {{use: fast/b, price: {{in: 3, out: 6}}}}
  alone: {{use: slow/a, price: {{in: 1, out: 2}}}}
routes:
  - {{name: alone, match: {{model: alone}}, model: alone, hedge: {{after: 50ms, share: 100%}}}}
  - {{name: hedged, match: {{model: auto}}, model: pair, hedge: {{after: {after}, share: {share}}}}}
tenants:
  default: {{budget: [{{usd: {usd}, per: ever}}], rate: {{rpm: 1000, concurrent: 10}}}}
"""
ANSWER: tuple[Step, ...] = (Say("Hello"), Finish(), Usage(10, 5), DONE)
STREAMS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@dataclass
class Scene:
    """A house with a model of two deployments, each at a provider of its own."""

    house: House
    first: Chaosprov
    second: Chaosprov

    async def rule(self, *, after: str = "50ms", share: str = "100%", usd: str = "1000") -> None:
        urls = {"first": self.first.base_url, "second": self.second.base_url}
        await self.house.adopt(RULES.format(**urls, after=after, share=share, usd=usd))

    async def ask(self, *, stream: bool, model: str = "auto", **more: Any) -> httpx.Response:
        return await post(self.house, asked(stream=stream, model=model, **more))

    async def agree(self, answer: httpx.Response | None = None) -> Mapping[str, Any]:
        """The record, once answer, ledger and tally have been seen to say the same as it."""
        record = await self.house.only_record()
        cost = record["cost_nano_usd"] or 0
        if answer is not None and "x-llmgw-cost-usd" in answer.headers:
            assert round(float(answer.headers["x-llmgw-cost-usd"]) * 1e9) == cost
        account = (await self.house.balances())["org:default:usd/ever|"]
        assert (account.spent, account.held - account.escrowed) == (cost, 0)
        assert self.house.account() == (cost, 0)
        assert sum(each.get("cost_nano_usd", 0) for each in record["attempts"]) in (0, cost)
        return record


def asked(*, stream: bool, model: str = "auto", **more: Any) -> dict[str, Any]:
    return chat(model, stream=stream, **({"stream_options": {"include_usage": True}} if stream else {}), **more)


def told(record: Mapping[str, Any]) -> list[tuple[str, str, str | None, str | None]]:
    return [(each["deployment"], each["reason"], each["error"], each.get("because")) for each in record["attempts"]]


def paid(record: Mapping[str, Any]) -> list[tuple[int, int, bool]]:
    """Cost, output tokens, and whether it was served."""
    return [(each["cost_nano_usd"], each["output_tokens"], each["served"]) for each in record["attempts"]]


@pytest.fixture
async def scene(house: House) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        first, second = [await stack.enter_async_context(Chaosprov()) for _ in range(2)]
        scene = Scene(house, first, second)
        await scene.rule()
        yield scene
        await house.worker.server.drain(2)
        house.worker.pool.close()
        async with asyncio.timeout(2):
            for each in (first, second):
                await each.idle()


@STREAMS
async def test_a_deployment_that_answers_in_time_is_alone(scene: Scene, stream: bool) -> None:
    await scene.rule(after="5s")
    scene.first.will(*ANSWER)

    answer = await scene.ask(stream=stream)

    assert answer.headers["x-llmgw-model"] == "slow/a"
    record = await scene.agree(answer)
    assert told(record) == [("slow/a", "primary", None, None)]
    assert record["cost_nano_usd"] == FIRST
    assert "cost_nano_usd" not in record["attempts"][0]
    assert not scene.second.calls


@STREAMS
async def test_the_second_serves_where_the_first_is_silent_and_the_first_is_stopped_and_paid_for_its_prompt(
    scene: Scene, stream: bool
) -> None:
    scene.first.will(HANG)
    scene.second.will(*ANSWER)

    answer = await scene.ask(stream=stream)

    assert (answer.headers["x-llmgw-model"], answer.headers["x-llmgw-attempts"]) == ("fast/b", "2")
    if stream:
        assert events(answer.content)[-1] == DONE_DATA
    else:
        assert answer.json()["usage"]["total_tokens"] == 15
    await scene.first.disconnected()
    record = await scene.agree(answer)
    assert told(record) == [("slow/a", "primary", "superseded", "slower"), ("fast/b", "hedge", None, None)]
    first, second = record["attempts"]
    assert paid(record) == [(first["input_tokens"] * 1000, 0, False), (SECOND, 5, True)]
    assert first["input_tokens"] > 0
    assert first["estimated"]
    assert record["cost_nano_usd"] == first["cost_nano_usd"] + SECOND
    assert record["input_tokens"] == first["input_tokens"] + 10
    assert (record["deployment"], record["estimated"]) == ("fast/b", True)
    assert (first["fault"], second["error"]) == ("gateway", None)
    story = tell(record)["story"]
    assert [line for line in story if " was stopped after " in line and "; not served: slower." in line]


@STREAMS
async def test_the_first_serves_where_it_begins_before_the_second_does(scene: Scene, stream: bool) -> None:
    scene.first.will(Until(event := asyncio.Event()), *ANSWER)
    scene.second.will(HANG)

    asking = asyncio.create_task(scene.ask(stream=stream))
    await scene.second.asked()
    event.set()
    answer = await asking

    assert answer.headers["x-llmgw-model"] == "slow/a"
    await scene.second.disconnected()
    record = await scene.agree(answer)
    assert told(record) == [("slow/a", "primary", None, None), ("fast/b", "hedge", "superseded", "slower")]
    second = record["attempts"][1]
    assert paid(record) == [(FIRST, 5, True), (second["input_tokens"] * 3000, 0, False)]
    assert second["input_tokens"] > 0
    assert record["deployment"] == "slow/a"


@STREAMS
async def test_one_that_was_stopped_has_neither_failed_nor_succeeded(scene: Scene, stream: bool) -> None:
    for _ in range(4):
        scene.first.will(HANG)
        scene.second.will(*ANSWER)
        assert (await scene.ask(stream=stream)).headers["x-llmgw-model"] == "fast/b"

    assert len(scene.first.calls) == 4  # three failures in a row would have made it rest


async def test_one_that_was_silent_is_known_to_be_slow(scene: Scene) -> None:
    scene.first.will(*ANSWER)
    await scene.ask(stream=False)
    observed = scene.house.worker.route.seen
    before = observed.first_token("slow/a", stream=False)
    scene.first.will(HANG)
    scene.second.will(*ANSWER)

    await scene.ask(stream=False)

    after = observed.first_token("slow/a", stream=False)
    assert before is not None
    assert after is not None
    assert after > before


FAILURES: dict[str, Step] = {"a failure": Status(500), "a reset": CUT}


@pytest.mark.parametrize("what", FAILURES)
@STREAMS
async def test_the_first_goes_on_where_the_second_fails(scene: Scene, stream: bool, what: str) -> None:
    scene.first.will(Until(event := asyncio.Event()), *ANSWER)
    scene.second.will(FAILURES[what])

    asking = asyncio.create_task(scene.ask(stream=stream))
    await scene.second.ended(await scene.second.asked())
    event.set()
    answer = await asking

    assert answer.headers["x-llmgw-model"] == "slow/a"
    record = await scene.agree(answer)
    assert [(each["deployment"], each["reason"], each["fault"]) for each in record["attempts"]] == [
        ("slow/a", "primary", None),
        ("fast/b", "hedge", "upstream"),
    ]
    assert record["cost_nano_usd"] == FIRST


@pytest.mark.parametrize("what", FAILURES)
@STREAMS
async def test_the_second_goes_on_where_the_first_fails(scene: Scene, stream: bool, what: str) -> None:
    scene.first.will(Until(begin := asyncio.Event()), FAILURES[what])
    scene.second.will(Until(event := asyncio.Event()), *ANSWER)

    asking = asyncio.create_task(scene.ask(stream=stream))
    await scene.second.asked()
    begin.set()
    await scene.first.ended(await scene.first.asked())
    event.set()
    answer = await asking

    assert answer.headers["x-llmgw-model"] == "fast/b"
    record = await scene.agree(answer)
    assert record["cost_nano_usd"] == SECOND
    assert len(scene.second.calls) == 1


@STREAMS
async def test_where_both_fail_the_first_ones_error_is_told(scene: Scene, stream: bool) -> None:
    scene.first.will(Until(begin := asyncio.Event()), Status(503))
    scene.second.will(Status(500))

    asking = asyncio.create_task(scene.ask(stream=stream))
    await scene.second.ended(await scene.second.asked())
    begin.set()
    answer = await asking

    assert answer.status_code in (502, 503)
    record = await scene.agree(answer)
    assert record["cost_nano_usd"] is None
    assert {each["status"] for each in record["attempts"]} == {500, 503}


async def test_a_call_that_the_first_finds_wrong_ends_at_once(scene: Scene) -> None:
    scene.first.will(Until(begin := asyncio.Event()), Status(400))
    scene.second.will(HANG)

    asking = asyncio.create_task(scene.ask(stream=False))
    await scene.second.asked()
    begin.set()
    answer = await asking

    assert answer.status_code == 400
    await scene.second.disconnected()
    record = await scene.agree(answer)
    second = record["attempts"][1]
    assert record["cost_nano_usd"] == second["cost_nano_usd"] == second["input_tokens"] * 3000
    assert not second["served"]


async def test_a_bug_in_one_stops_and_pays_the_other(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: Any) -> Any:
        raise RuntimeError

    scene.first.will(HANG)
    scene.second.will(Until(event := asyncio.Event()), *ANSWER)

    asking = asyncio.create_task(scene.ask(stream=False))
    await scene.second.asked()
    monkeypatch.setattr("gateway.upstream.dialects.openai.WholeAnswer", bug)
    event.set()
    answer = await asking

    assert answer.status_code == 500
    await scene.first.disconnected()
    record = await scene.agree()
    first = record["attempts"][0]
    assert first["error"] == "superseded"
    assert record["cost_nano_usd"] == first["cost_nano_usd"] == first["input_tokens"] * 1000


async def test_a_model_of_one_deployment_is_not_hedged(scene: Scene) -> None:
    scene.first.will(Until(event := asyncio.Event()), *ANSWER)

    asking = asyncio.create_task(scene.ask(stream=False, model="alone"))
    await scene.first.asked()
    await asyncio.sleep(0.2)
    event.set()

    assert (await asking).headers["x-llmgw-attempts"] == "1"


async def test_only_so_many_calls_are_hedged(scene: Scene) -> None:
    await scene.rule(after="1ms", share="25%")
    for _ in range(8):
        event = asyncio.Event()
        scene.first.will(Until(event), *ANSWER)
        scene.second.will(*ANSWER)
        asking, count = asyncio.create_task(scene.ask(stream=False)), len(scene.first.calls) + 1
        await scene.first.asked(count)
        await asyncio.wait([asking], timeout=0.2)
        event.set()
        await asking

    hedged = [len(each["attempts"]) == 2 for each in await scene.house.records()]
    assert hedged == [False, False, False, True] * 2


async def test_a_hedge_that_cannot_be_paid_does_not_happen(scene: Scene) -> None:
    await scene.rule(usd="0.0008")
    scene.first.will(Until(event := asyncio.Event()), *ANSWER)

    asking = asyncio.create_task(scene.ask(stream=False, max_tokens=200))
    await scene.first.asked()
    await asyncio.sleep(0.2)
    event.set()
    answer = await asking

    assert answer.headers["x-llmgw-model"] == "slow/a"
    record = await scene.agree(answer)
    assert (record["cost_nano_usd"], record["failed_in"]) == (FIRST, None)
    assert not scene.second.calls
    assert scene.house.worker.budgets.refused == 0


@STREAMS
async def test_a_client_that_leaves_stops_both_and_pays_nothing_where_nothing_was_made(
    scene: Scene, stream: bool
) -> None:
    scene.first.will(HANG)
    scene.second.will(HANG)

    async with connected(scene.house) as client:
        client.writer.write(request(scene.house, asked(stream=stream)))
        await scene.second.asked()
        client.leave()
        await scene.first.disconnected()
        await scene.second.disconnected()

    record = await scene.agree()
    assert (record["outcome"], record["cost_nano_usd"]) == ("client_abort", None)
    assert {each["error"] for each in record["attempts"]} == {"client_disconnected"}


async def test_a_client_that_leaves_a_hedged_stream_pays_what_it_saw_and_the_silent_ones_prompt(scene: Scene) -> None:
    scene.first.will(HANG)
    scene.second.will(Say("Hel"), HANG)

    async with connected(scene.house) as client:
        client.writer.write(request(scene.house, asked(stream=True)))
        await client.until(b"Hel")
        client.leave()
        await scene.second.disconnected()

    record = await scene.agree()
    assert record["outcome"] == "client_abort"
    first, second = record["attempts"]
    assert (first["output_tokens"], second["output_tokens"]) == (0, 1)
    assert record["cost_nano_usd"] == first["input_tokens"] * 1000 + second["input_tokens"] * 3000 + 6000


async def test_a_hedged_call_has_one_place_until_it_ends(scene: Scene) -> None:
    scene.first.will(HANG)
    scene.second.will(Say("Hel"), Until(event := asyncio.Event()), *ANSWER)

    async with connected(scene.house) as client:
        client.writer.write(request(scene.house, asked(stream=True), headers="connection: close\r\n"))
        await client.until(b"Hel")
        during = places(await scene.house.balances())
        event.set()
        await client.rest()

    assert during == 1
    assert places(await scene.house.balances()) == 0
    await scene.agree()


def places(balances: Mapping[str, Any]) -> int:
    """Calls under way, as the ledger has it."""
    return sum(each.held - each.escrowed for name, each in balances.items() if "calls" in name or "concurrent" in name)
