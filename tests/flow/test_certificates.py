"""A cheaper model answers once it has been shown that it may, and no longer than it may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from tests.conftest import House
from tests.flow.scholars import Scholars, teaching

ROUTED = """
providers:
  school: {{dialect: openai, base_url: "{url}", allow_private: true}}
models:
  strong: {{use: school/strong, price: {{in: 10, out: 40}}}}
  cheap: {{use: school/cheap, price: {{in: 1, out: 4}}}}
  second: {{use: school/second, price: {{in: 1, out: 4}}}}
policies:
  checked: {{try: cheap, escalate_to: strong, when: [truncated, {{disagrees_with: second, on: json}}]}}
routes:
  - {{name: sums, match: {{model: auto}}, model: strong, candidates: [{candidates}], guarantee: {{{guarantee}}}}}
"""


@pytest.fixture
async def scholars() -> AsyncIterator[Scholars]:
    async with teaching(Scholars(strong=1.0, cheap=1.0, second=1.0)) as school:
        yield school


class Pupil:
    def __init__(self, house: House, scholars: Scholars) -> None:
        self.house = house
        self.scholars = scholars
        self.number = 0

    async def policy(self, candidates: str = "cheap", guarantee: str = "max_loss: 5%, shadow: 100%") -> None:
        await self.house.adopt(ROUTED.format(url=self.scholars.base_url, candidates=candidates, guarantee=guarantee))

    async def ask(self, count: int, *, stream: bool = False) -> list[str]:
        """Who answered each of so many new questions."""
        async with openai.AsyncOpenAI(base_url=f"{self.house.url}/v1", api_key=self.house.key, max_retries=0) as client:
            return [await self._one(client, stream) for _ in range(count)]

    async def _one(self, client: openai.AsyncOpenAI, stream: bool) -> str:
        self.number += 1
        messages: Any = [{"role": "user", "content": f"{self.number}+{self.number * 7}"}]
        if stream:
            async with client.chat.completions.with_streaming_response.create(
                model="auto", messages=messages, stream=True
            ) as answer:
                await answer.read()
                return answer.headers["x-llmgw-model"]
        answer = await client.chat.completions.with_raw_response.create(model="auto", messages=messages)
        return answer.headers["x-llmgw-model"]

    async def settled(self) -> None:
        """Until no trial is under way, and the store has what they showed."""
        async with asyncio.timeout(20):
            while any(task.get_name() == "trial" for task in asyncio.all_tasks()):
                await asyncio.sleep(0.01)
        await asyncio.sleep(1.2)


@pytest.fixture
async def pupil(house: House, scholars: Scholars) -> Pupil:
    return Pupil(house, scholars)


async def until(pupil: Pupil, model: str, *, most: int) -> int:
    """How many calls it takes until this model answers."""
    for number in range(most):
        if await pupil.ask(1) == [model]:
            return number
        if number % 20 == 19:
            await pupil.settled()
    raise AssertionError(f"{model} answered none of {most} calls")


async def test_a_cheap_model_that_is_as_good_is_certified_and_answers_streams_too(pupil: Pupil) -> None:
    await pupil.policy()

    assert set(await pupil.ask(30)) == {"school/strong"}
    await until(pupil, "school/cheap", most=150)

    assert await pupil.ask(2, stream=True) == ["school/cheap"] * 2
    records = await pupil.house.records()
    served = [record for record in records if record["org"] == "default"]
    trials = [record["trial"] for record in records if "trial" in record]
    assert {trial["request_id"] for trial in trials} <= {record["id"] for record in served}
    assert {(trial["asked"], trial["candidate_quality"]) for trial in trials} == {("cheap", 1.0)}
    assert served[0]["decision"]["trials"] == [{"asks": "cheap", "of": "cheap", "probability": 1.0}]
    assert [served[0]["reason"], served[-1]["reason"]] == ["reference", "candidate"]


async def test_a_candidate_that_is_worse_than_allowed_is_refused_and_asked_no_more(pupil: Pupil) -> None:
    pupil.scholars.knows["cheap"] = 0.7
    await pupil.policy()

    answered = await pupil.ask(100)
    await pupil.settled()
    asked = pupil.scholars.asked["cheap"]
    answered += await pupil.ask(10)
    await pupil.settled()

    assert set(answered) == {"school/strong"}
    assert 0 < asked < 100
    assert pupil.scholars.asked["cheap"] == asked
    assert (await pupil.house.records())[-1]["decision"]["candidates"] == [
        {"name": "cheap", "standing": "refused", "skipped": "refused"}
    ]


async def test_a_candidate_that_becomes_worse_loses_its_certificate(pupil: Pupil) -> None:
    await pupil.policy(guarantee="max_loss: 5%, shadow: 100%, audit: 100%")
    await until(pupil, "school/cheap", most=150)

    pupil.scholars.knows["cheap"] = 0.5
    await until(pupil, "school/strong", most=100)


async def test_what_was_shown_outlives_the_policy_s_words_but_not_another_model(pupil: Pupil) -> None:
    await pupil.policy()
    await until(pupil, "school/cheap", most=150)

    await pupil.policy(guarantee="max_loss: 6%, shadow: 100%, audit: 5%")
    await pupil.settled()
    assert await pupil.ask(1) == ["school/cheap"]

    await pupil.policy(candidates="second")
    assert await pupil.ask(1) == ["school/strong"]


async def test_trials_cost_no_more_than_their_budget(pupil: Pupil) -> None:
    """A call of the cheap model costs 0.00018 USD, and holds a hundred times that before it ends."""
    await pupil.policy(guarantee="max_loss: 5%, shadow: 100%, shadow_budget: 0.02 USD/day")

    await pupil.ask(40)
    await pupil.settled()

    assert 0 < pupil.scholars.asked["cheap"] < 40
    records = await pupil.house.records()
    assert "budget" in {record["trial"]["reason"] for record in records if "trial" in record}
    spent = sum(record["cost_nano_usd"] or 0 for record in records if record["org"] == "llmgw")
    assert 0 < spent <= 20_000_000
