"""A cascade serves the cheap model's answer where nothing speaks against it, and pays for everybody it asked."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.budget.journal import EVERY
from gateway.route.candidates import Standing
from gateway.route.certificate.certificates import Certificates
from gateway.route.decision import Held
from gateway.trace.story import tell
from tests.admin.conftest import admin_of, created, on_redis, opened
from tests.conftest import POLICY, House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import CUT, HANG, Body, Finish, Head, Json, Say, Status, Step, Tool, Until, Usage
from tests.flow.client import post
from tests.flow.raw import chat, connected, request
from tests.ledger.gateway import Wanted, serving
from tests.redis_server import redis_server

CHEAP, SECOND, STRONG = 10 * 1000 + 5 * 2000, 10 * 500 + 5 * 1000, 10 * 30_000 + 5 * 60_000
"""Nano-USD of ten tokens in and five out."""
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object", "required": ["total"]}}}
RULES = """
providers:
  weak: {{dialect: openai, base_url: {cheap}, allow_private: true, timeouts: {{whole: 1s}}}}
  other: {{dialect: openai, base_url: {second}, allow_private: true, timeouts: {{whole: 1s}}}}
  best: {{dialect: openai, base_url: {strong}, allow_private: true, timeouts: {{whole: 1s}}}}
models:
  cheap: {{use: weak/c, price: {{in: 1, out: 2}}}}
  second: {{use: other/s, price: {{in: 0.5, out: 1}}}}
  strong: {{use: best/b, price: {{in: 30, out: 60}}}}
policies:
  checked: {{try: cheap, escalate_to: strong, when: [truncated, refused, empty, schema_invalid{compared}]}}
routes:
  - {{name: invoices, match: {{model: auto}}, candidates: [checked], model: strong}}
cache: {{{cache}}}
tenants:
  llmgw: {{}}
  default: {{budget: [{{usd: {usd}, per: ever}}, {{tokens: 1000000, per: ever}}], rate: {{rpm: 1000, concurrent: 10}}}}
"""
TOOL = {"type": "function", "function": {"name": "pay", "parameters": {"type": "object"}}}
USED = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
COMPARED = ", {disagrees_with: second, on: json}"


def says(text: str, finish: str = "stop") -> tuple[Step, ...]:
    return Say(text), Finish(finish), Usage(10, 5)


GOOD, ALSO_GOOD, OTHER, BAD = says('{"total": 7}'), says('{ "total": 7.0 }'), says('{"total": 8}'), says("{oops")


@dataclass
class Scene:
    """A house with a cascade, and a provider behind each of its models."""

    house: House
    cheap: Chaosprov
    second: Chaosprov
    strong: Chaosprov
    token: str | None = None

    async def rule(self, *, compared: bool = False, usd: str = "1000", cache: str = "") -> None:
        urls = {name: getattr(self, name).base_url for name in ("cheap", "second", "strong")}
        text = RULES.format(**urls, compared=COMPARED if compared else "", usd=usd, cache=cache)
        await self.house.adopt(text)

    async def ask(self, **more: Any) -> httpx.Response:
        headers = more.pop("headers", {})
        return await post(self.house, asked(**more), token=self.token, **headers)

    async def account(self, unit: str = "usd") -> tuple[int, int]:
        """Spent and held, of slices too."""
        name = f"org:default:{unit}/ever|"
        account = (await self.house.balances())[name]
        return account.spent, account.held - account.escrowed

    async def agree_on(self, cost: int, tokens: int) -> Mapping[str, Any]:
        """The record, once the ledger and the tally have been seen to say the same as it."""
        record = await self.house.only_record()
        assert record["cost_nano_usd"] == cost
        assert record["input_tokens"] + record["output_tokens"] == tokens
        assert await self.account() == (cost, 0)
        assert await self.account("tokens") == (tokens, 0)
        assert self.house.account() == (cost, 0)
        paid = [each for each in record["attempts"] if "cost_nano_usd" in each]
        assert sum(each["cost_nano_usd"] for each in paid) == cost
        return record


def asked(**more: Any) -> dict[str, Any]:
    return chat("auto", response_format=SCHEMA, **more)


def told(record: Mapping[str, Any]) -> list[tuple[str, str, str | None]]:
    return [(each["deployment"], each["reason"], each.get("because")) for each in record["attempts"]]


def cost_of(answer: httpx.Response) -> int:
    return round(float(answer.headers["x-llmgw-cost-usd"]) * 1e9)


@pytest.fixture
def certified(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every candidate may serve."""
    monkeypatch.setattr(Certificates, "held", lambda *_: Held(Standing.CERTIFIED))


@pytest.fixture
async def scene(certified: None, house: House) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        cheap, second, strong = [await stack.enter_async_context(Chaosprov()) for _ in range(3)]
        scene = Scene(house, cheap, second, strong)
        await scene.rule()
        yield scene
        await house.worker.server.drain(2)
        house.worker.pool.close()
        async with asyncio.timeout(2):
            for each in (cheap, second, strong):
                await each.idle()


async def test_an_answer_that_nothing_speaks_against_is_served_as_if_nobody_else_had_been_there(scene: Scene) -> None:
    scene.cheap.will(*GOOD)

    answer = await scene.ask()

    assert json.loads(answer.json()["choices"][0]["message"]["content"]) == {"total": 7}
    assert answer.headers["x-llmgw-model"] == "weak/c"
    assert answer.headers["x-llmgw-attempts"] == "1"
    assert cost_of(answer) == CHEAP
    record = await scene.house.only_record()
    assert (record["deployment"], record["cost_nano_usd"], record["reason"]) == ("weak/c", CHEAP, "candidate")
    assert told(record) == [("weak/c", "try", None)]
    assert await scene.account() == (CHEAP, 0)
    assert await scene.account("tokens") == (15, 0)
    assert scene.house.account() == (CHEAP, 0)
    assert not scene.strong.calls


FIRING: dict[str, tuple[tuple[Step, ...], str]] = {
    "JSON that is none": (BAD, "schema_invalid"),
    "JSON against its schema": (says('{"sum": 7}'), "schema_invalid"),
    "an answer that was cut": (says('{"total": 7}', "length"), "truncated"),
    "a refusal": (says("I'm sorry, but I can't help with that."), "refused"),
    "nothing": (says(""), "empty"),
}


@pytest.mark.parametrize("what", FIRING)
async def test_the_strong_model_is_asked_where_a_check_fires_and_both_are_paid(scene: Scene, what: str) -> None:
    steps, check = FIRING[what]
    scene.cheap.will(*steps)
    scene.strong.will(*GOOD)

    answer = await scene.ask()

    assert json.loads(answer.json()["choices"][0]["message"]["content"]) == {"total": 7}
    assert (answer.headers["x-llmgw-model"], answer.headers["x-llmgw-attempts"]) == ("best/b", "2")
    assert answer.json()["usage"]["total_tokens"] == 15  # the provider's own of what was served
    assert cost_of(answer) == CHEAP + STRONG
    record = await scene.agree_on(CHEAP + STRONG, 30)
    assert told(record) == [("weak/c", "try", check), ("best/b", "escalation", None)]
    assert [each["served"] for each in record["attempts"]] == [False, True]
    assert record["deployment"] == "best/b"


async def test_the_story_says_who_was_asked_what_that_cost_and_why_it_would_not_do(scene: Scene) -> None:
    scene.cheap.will(*BAD)
    scene.strong.will(*GOOD)

    await scene.ask()

    story = tell(await scene.house.only_record())["story"]
    told = [re.sub(r"in [\d.]+ (µs|ms|s)", "in time", line) for line in story if line.startswith("Attempt")]
    assert told == [
        "Attempt 1, the cheap model first: weak/c answered 200 in time, for $0.00002; not served: schema_invalid.",
        "Attempt 2, the strong model: best/b answered 200 in time, for $0.0006.",
    ]


async def test_two_cheap_models_that_agree_are_enough(scene: Scene) -> None:
    await scene.rule(compared=True)
    scene.cheap.will(*GOOD)
    scene.second.will(*ALSO_GOOD)

    answer = await scene.ask()

    assert answer.headers["x-llmgw-model"] == "weak/c"
    assert cost_of(answer) == CHEAP + SECOND
    record = await scene.agree_on(CHEAP + SECOND, 30)
    assert sorted(told(record)) == [("other/s", "second", "agrees"), ("weak/c", "try", None)]
    assert record["deployment"] == "weak/c"
    assert not scene.strong.calls


SECONDS: dict[str, tuple[tuple[Step, ...], int, int, str, str]] = {
    "another answer": (OTHER, SECOND, 15, "disagrees", "disagrees"),
    "JSON that is none": (BAD, SECOND, 15, "disagrees", "disagrees"),
    "a failure": ((Status(400),), 0, 0, "second_failed", "failed"),
    "an answer that breaks off": (says('{"total": 7}', ""), SECOND + 1000, 16, "second_failed", "failed"),
}
"""What it says, nano-USD and tokens that are paid for it (for what broke off, what was said), and why each was not served."""


@pytest.mark.parametrize("what", SECONDS)
async def test_the_strong_model_is_asked_where_the_second_says_something_else_or_nothing(
    scene: Scene, what: str
) -> None:
    steps, paid, tokens, because, of_second = SECONDS[what]
    await scene.rule(compared=True)
    scene.cheap.will(*GOOD)
    scene.second.will(*steps)
    scene.strong.will(*OTHER)

    answer = await scene.ask()

    assert json.loads(answer.json()["choices"][0]["message"]["content"]) == {"total": 8}
    assert cost_of(answer) == CHEAP + paid + STRONG
    record = await scene.agree_on(CHEAP + paid + STRONG, 30 + tokens)
    assert sorted(told(record)) == [
        ("best/b", "escalation", None),
        ("other/s", "second", of_second),
        ("weak/c", "try", because),
    ]


async def test_a_second_opinion_is_stopped_once_it_is_not_needed_and_its_prompt_is_paid(scene: Scene) -> None:
    await scene.rule(compared=True)
    scene.cheap.will(Until(event := asyncio.Event()), *BAD)
    scene.second.will(HANG)
    scene.strong.will(*GOOD)

    asking = asyncio.create_task(scene.ask())
    await scene.second.asked()
    event.set()
    answer = await asking

    assert answer.status_code == 200
    await scene.second.disconnected()
    record = await scene.house.only_record()
    (second,) = [each for each in record["attempts"] if each["reason"] == "second"]
    assert (second["error"], second["because"], second["output_tokens"]) == ("superseded", "not_needed", 0)
    assert second["estimated"]
    assert second["cost_nano_usd"] == second["input_tokens"] * 500 > 0
    assert cost_of(answer) == CHEAP + STRONG + second["cost_nano_usd"]
    await scene.agree_on(cost_of(answer), 30 + second["input_tokens"])


FAILING: dict[str, tuple[Step, ...]] = {
    "a failure": (Status(500),),
    "a refusal of the call": (Status(400),),
    "a reset": (CUT,),
    "silence": (HANG,),
    "an answer that is none": (Json({"choices": []}),),
}


@pytest.mark.parametrize("compared", [False, True])
@pytest.mark.parametrize("what", FAILING)
async def test_the_strong_model_is_asked_where_the_cheap_one_fails(scene: Scene, what: str, compared: bool) -> None:
    await scene.rule(compared=compared)
    for _ in range(3):
        scene.cheap.will(*FAILING[what])
    scene.second.will(*GOOD)
    scene.strong.will(*GOOD)

    answer = await scene.ask()

    assert answer.headers["x-llmgw-model"] == "best/b"
    record = await scene.house.only_record()
    tries = [each for each in record["attempts"] if each["deployment"] == "weak/c"]
    assert tries[-1]["because"] == "failed"
    assert all("cost_nano_usd" not in each for each in tries)
    beside = sum(each.get("cost_nano_usd", 0) for each in record["attempts"] if each["reason"] == "second")
    assert cost_of(answer) == STRONG + beside
    assert await scene.account() == (STRONG + beside, 0)
    assert scene.house.account() == (STRONG + beside, 0)
    assert record["cost_nano_usd"] == STRONG + beside


async def test_an_answer_that_no_check_can_read_is_none_and_is_paid(scene: Scene) -> None:
    message = {"role": "assistant", "content": "{}"}
    document = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": USED}
    scene.cheap.will(Head(), Body(json.dumps(document)[:-1].encode() + b', "far": 1e999}'))
    scene.strong.will(*GOOD)

    answer = await scene.ask()

    assert cost_of(answer) == CHEAP + STRONG
    assert told(await scene.agree_on(CHEAP + STRONG, 30))[0] == ("weak/c", "try", "failed")


async def test_a_cheap_models_own_fallback_answers_before_the_strong_one_is_asked(scene: Scene) -> None:
    scene.cheap.will(Status(503, headers=(("retry-after", "0"),)))
    scene.cheap.will(*GOOD)

    answer = await scene.ask()

    assert answer.headers["x-llmgw-model"] == "weak/c"
    record = await scene.house.only_record()
    assert told(record) == [("weak/c", "try", None), ("weak/c", "retry", None)]
    assert await scene.account() == (CHEAP, 0)


@pytest.mark.parametrize("compared", [False, True])
async def test_what_was_tried_is_paid_where_the_strong_model_fails(scene: Scene, compared: bool) -> None:
    await scene.rule(compared=compared)
    scene.cheap.will(*GOOD if compared else BAD)
    scene.second.will(*OTHER)
    for _ in range(3):
        scene.strong.will(Status(400))

    answer = await scene.ask()

    assert answer.status_code == 400
    cost = CHEAP + (SECOND if compared else 0)
    record = await scene.agree_on(cost, 30 if compared else 15)
    assert (record["outcome"], record["deployment"], record["failed_in"]) == ("upstream_error", "best/b", "upstream")
    assert not any(each.get("served") for each in record["attempts"])


@pytest.mark.parametrize(("compared", "usd"), [(False, "0.000001"), (True, "0.000001"), (True, "0.0005")])
async def test_a_cheap_answer_that_cannot_be_paid_refuses_the_call_and_nobody_is_asked(
    scene: Scene, compared: bool, usd: str
) -> None:
    """The last budget has enough for the second opinion, which is of no use alone."""
    await scene.rule(compared=compared, usd=usd)

    answer = await scene.ask(max_tokens=200)

    assert (answer.status_code, answer.json()["error"]["type"]) == (429, "insufficient_quota")
    assert not scene.cheap.calls
    assert not scene.second.calls
    record = await scene.house.only_record()
    assert (record["outcome"], record["failed_in"], record["cost_nano_usd"]) == ("rejected_budget", "budget", None)
    assert scene.house.worker.budgets.refused == 1


async def test_a_strong_answer_that_cannot_be_paid_refuses_the_call_and_what_was_tried_is_paid(scene: Scene) -> None:
    await scene.rule(usd="0.01")
    scene.cheap.will(*BAD)

    answer = await scene.ask(max_tokens=200)

    assert (answer.status_code, answer.json()["error"]["type"]) == (429, "insufficient_quota")
    record = await scene.agree_on(CHEAP, 15)
    assert (record["outcome"], record["failed_in"]) == ("rejected_budget", "budget")
    assert told(record) == [("weak/c", "try", "schema_invalid")]
    assert not scene.strong.calls


async def test_a_second_opinion_that_cannot_be_paid_is_one_that_disagrees(scene: Scene) -> None:
    await scene.rule(compared=True, usd="0.0008")
    scene.cheap.will(Until(event := asyncio.Event()), *GOOD)

    asking = asyncio.create_task(scene.ask(max_tokens=200))
    await scene.cheap.asked()
    event.set()
    answer = await asking

    assert answer.status_code == 429  # as the strong model cannot be paid either
    record = await scene.agree_on(CHEAP, 15)
    assert told(record) == [("weak/c", "try", "second_unaffordable")]
    assert not scene.second.calls
    assert not scene.strong.calls


@pytest.mark.parametrize("phase", ["cheap", "second", "strong"])
async def test_a_client_that_leaves_pays_what_was_made_and_everybody_is_stopped(scene: Scene, phase: str) -> None:
    await scene.rule(compared=phase == "second")
    scene.cheap.will(*((HANG,) if phase == "cheap" else GOOD if phase == "second" else BAD))
    scene.second.will(HANG)
    scene.strong.will(HANG)

    async with connected(scene.house) as client:
        client.writer.write(request(scene.house, asked()))
        await getattr(scene, phase).asked()
        if phase == "second":
            await scene.cheap.ended(await scene.cheap.asked())
            await asyncio.sleep(0.05)
        client.leave()
        await getattr(scene, phase).disconnected()

    record = await scene.house.only_record()
    assert (record["outcome"], record["status"]) == ("client_abort", 499)
    cost = 0 if phase == "cheap" else CHEAP
    assert (record["cost_nano_usd"] or 0) == cost
    assert await scene.account() == (cost, 0)
    assert scene.house.account() == (cost, 0)


async def test_a_stream_is_never_cascaded(scene: Scene) -> None:
    scene.strong.will(*GOOD)

    answer = await scene.ask(stream=True)

    assert answer.headers["x-llmgw-model"] == "best/b"
    assert not scene.cheap.calls
    assert (await scene.house.only_record())["reason"] == "reference"


async def test_an_escalated_answer_is_kept_and_its_repetition_costs_nothing(scene: Scene) -> None:
    await scene.rule(cache="invoices: {exact: {ttl: 1h}}")
    scene.cheap.will(*BAD)
    scene.strong.will(*GOOD)

    first = await scene.ask()
    async with asyncio.timeout(5):
        while not (await scene.house.worker.cache.page(limit=10))[0]:
            await asyncio.sleep(0.01)
    again = await scene.ask()

    assert again.headers["x-llmgw-cache"] == "hit"
    assert first.json()["choices"] == again.json()["choices"]
    assert len(scene.strong.calls) == 1
    assert await scene.account() == (CHEAP + STRONG, 0)
    records = await scene.house.records()
    assert records[-1]["saved_nano_usd"] == CHEAP + STRONG


async def test_callers_who_ask_the_same_meanwhile_are_given_the_one_answer(scene: Scene) -> None:
    await scene.rule(cache="invoices: {exact: {ttl: 1h}}")
    scene.cheap.will(Until(event := asyncio.Event()), *BAD)
    scene.strong.will(*GOOD)

    asking = [asyncio.create_task(scene.ask()) for _ in range(3)]
    await scene.cheap.asked()
    while scene.house.account()[1] < 3:
        await asyncio.sleep(0.01)
    event.set()
    answers = await asyncio.gather(*asking)

    assert len({json.dumps(each.json()["choices"]) for each in answers}) == 1
    assert (len(scene.cheap.calls), len(scene.strong.calls)) == (1, 1)
    assert await scene.account() == (CHEAP + STRONG, 0)


async def test_a_repeated_idempotency_key_is_answered_with_the_first_answer(scene: Scene) -> None:
    scene.cheap.will(*BAD)
    scene.strong.will(*GOOD)

    first = await scene.ask(headers={"idempotency_key": "k"})
    again = await scene.ask(headers={"idempotency_key": "k"})

    assert first.content == again.content
    assert (len(scene.cheap.calls), len(scene.strong.calls)) == (1, 1)
    assert await scene.account() == (CHEAP + STRONG, 0)


async def test_one_call_takes_one_place_in_the_rates_however_many_models_it_asks(scene: Scene) -> None:
    await scene.rule(compared=True)
    scene.cheap.will(*GOOD)
    scene.second.will(*OTHER)
    scene.strong.will(*GOOD)

    answer = await scene.ask()

    assert answer.headers["x-ratelimit-remaining-requests"] == "999"
    account = next(each for name, each in (await scene.house.balances()).items() if "requests" in name)
    assert account.spent == 1


async def test_tool_calls_are_compared_by_what_they_call(scene: Scene) -> None:
    await scene.rule(compared=True)
    text = (scene.house.policies / "more.yaml").read_text().removeprefix("version: 1\n")
    await scene.house.adopt(text.replace("on: json", "on: tool_call"))
    scene.cheap.will(Tool("pay", '{"sum": 1, "to": "x"}'), Finish("tool_calls"), Usage(10, 5))
    scene.second.will(Tool("pay", '{"to": "x", "sum": 1.0}'), Finish("tool_calls"), Usage(10, 5))

    answer = await post(scene.house, chat("auto", tools=[TOOL]))

    assert answer.headers["x-llmgw-model"] == "weak/c"
    assert await scene.account() == (CHEAP + SECOND, 0)


@pytest.mark.usefixtures("certified", "patient")
async def test_the_same_is_paid_where_the_ledger_is_shared(tmp_path: Path, provider: Chaosprov) -> None:
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "policy.yaml").write_text(POLICY.format(provider=provider.base_url))
    with redis_server() as redis:
        async with (
            opened(on_redis(policies, tmp_path / "data", redis)) as house,
            Chaosprov() as cheap,
            Chaosprov() as second,
            Chaosprov() as strong,
        ):
            scene = Scene(house, cheap, second, strong)
            await scene.rule(compared=True)
            async with admin_of(house) as admin:
                scene.token = (await created(admin, tenant="default"))["key"]
            cheap.will(*GOOD)
            second.will(*OTHER)
            strong.will(*GOOD)

            answer = await scene.ask()

            assert cost_of(answer) == CHEAP + SECOND + STRONG
            await scene.agree_on(CHEAP + SECOND + STRONG, 45)


async def test_what_was_tried_stays_paid_when_the_worker_is_killed(tmp_path: Path) -> None:
    async with Chaosprov() as cheap, Chaosprov() as second, Chaosprov() as strong:
        urls = {"cheap": cheap.base_url, "second": second.base_url, "strong": strong.base_url}
        policy = "version: 1" + RULES.format(**urls, compared="", usd="1000", cache="")
        wanted = Wanted(policy, workers=1, module="tests.trace.matrix.certified")
        cheap.will(*BAD)
        strong.will(HANG)
        async with serving(tmp_path, wanted) as gateway:
            token = await gateway.create_key("app", "default")
            async with httpx.AsyncClient(headers={"authorization": f"Bearer {token}"}) as client:
                asking = asyncio.create_task(client.post(f"{gateway.url}/chat/completions", json=asked()))
                await strong.asked()
                await asyncio.sleep(4 * EVERY)  # what is on the disk by then is not lost
                os.killpg(gateway.pid, signal.SIGKILL)
                with pytest.raises(httpx.TransportError):
                    await asking
            await gateway.stop()
            await gateway.start()

            account, name = None, "org:default:usd/ever|"
            async with asyncio.timeout(20):
                while account is None or account.spent < CHEAP:
                    account = (await gateway.accounts()).get(name)
                    await asyncio.sleep(0.05)
            assert account.spent == CHEAP
            assert account.limit is not None
            assert account.committed <= account.limit
