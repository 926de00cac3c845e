"""A cheaper model answers once it has been shown that it may, and no longer than it may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
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
  learned: {{choose: [cheap, strong], strong_share: 60%}}
  checked: {{try: cheap, escalate_to: strong, when: [truncated, {{disagrees_with: second, on: json}}]}}
routes:
  - {{name: sums, match: {{model: auto}}, model: strong, candidates: [{candidates}], guarantee: {{{guarantee}}}}}
"""


@pytest.fixture
async def scholars() -> AsyncIterator[Scholars]:
    async with teaching(Scholars(strong=1.0, cheap=1.0, second=1.0)) as school:
        yield school


class Pupil:
    def __init__(self, house: House, sdk: openai.AsyncOpenAI, scholars: Scholars) -> None:
        self.house = house
        self.sdk = sdk
        self.scholars = scholars
        self.number = 1000
        self.some_are_hard = False
        self.system: str | None = None

    async def policy(self, candidates: str = "cheap", guarantee: str = "max_loss: 5%, shadow: 100%") -> None:
        await self.house.adopt(ROUTED.format(url=self.scholars.base_url, candidates=candidates, guarantee=guarantee))

    async def ask(self, count: int, *, stream: bool = False) -> list[str]:
        """Who answered each of so many new questions."""
        return [await self._one(stream) for _ in range(count)]

    async def _one(self, stream: bool) -> str:
        client = self.sdk
        self.number += 1
        word = ("easy", "hard")[self.number % 2] if self.some_are_hard else "easy"
        messages: Any = [{"role": "user", "content": f"{word} {self.number}+{self.number * 7}"}]
        if self.system is not None:
            messages.insert(0, {"role": "system", "content": self.system})
        if stream:
            async with client.chat.completions.with_streaming_response.create(
                model="auto", messages=messages, stream=True
            ) as answer:
                await answer.read()
                return answer.headers["x-llmgw-model"]
        whole = await client.chat.completions.with_raw_response.create(model="auto", messages=messages)
        return whole.headers["x-llmgw-model"]

    async def last(self) -> Mapping[str, Any]:
        """The record of the last question."""
        return [record for record in await self.house.records() if record["org"] == "default"][-1]

    async def settled(self) -> None:
        """Until no trial is under way, and the store has what they showed."""
        async with asyncio.timeout(20):
            while any(task.get_name() == "trial" for task in asyncio.all_tasks()):
                await asyncio.sleep(0.01)
        await self.house.worker.route.flush(self.house.worker.policy.current.routes)


@pytest.fixture
async def pupil(house: House, sdk: openai.AsyncOpenAI, scholars: Scholars) -> Pupil:
    return Pupil(house, sdk, scholars)


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
    assert (await pupil.last())["decision"]["candidates"] == [
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


async def test_each_system_prompt_has_a_certificate_of_its_own(pupil: Pupil) -> None:
    await pupil.policy()
    await until(pupil, "school/cheap", most=150)

    pupil.system = "Today is the 7th."
    assert await pupil.ask(1) == ["school/strong"]

    await pupil.policy(guarantee="max_loss: 5%, shadow: 100%, per: route")
    await pupil.settled()
    assert await pupil.ask(1) == ["school/cheap"]


async def test_streams_are_compared_too(pupil: Pupil) -> None:
    await pupil.policy()

    await pupil.ask(3, stream=True)
    await pupil.settled()

    trials = [record["trial"] for record in await pupil.house.records() if "trial" in record]
    assert [trial["candidate_quality"] for trial in trials] == [1.0] * 3


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


async def test_a_score_learns_which_calls_the_weak_model_can_answer(
    pupil: Pupil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.route.learned.INTERVAL", 0.1)
    pupil.some_are_hard = True
    await pupil.policy(candidates="learned")
    for _ in range(12):
        await pupil.ask(20)
        await pupil.settled()
        if (await pupil.last())["decision"]["candidate"] == "learned":
            break

    answered = await pupil.ask(20)

    numbers = range(pupil.number - 19, pupil.number + 1)
    assert answered == [("school/cheap", "school/strong")[number % 2] for number in numbers]
    told = await pupil.last()
    assert (told["reason"], told["decision"]["score"] > told["decision"]["threshold"]) == (
        "score",
        pupil.number % 2 == 1,
    )
    assert sum(told["decision"]["parts"].values()) == pytest.approx(told["decision"]["score"], abs=1e-4)


async def test_a_cascade_is_certified_and_then_costs_less_than_the_strong_model_without_being_worse(
    pupil: Pupil,
) -> None:
    pupil.scholars.knows |= {"cheap": 0.9, "second": 0.9}
    await pupil.policy(candidates="checked")
    await until(pupil, "school/cheap", most=200)

    answered = await pupil.ask(60)

    assert set(answered) == {"school/cheap", "school/strong"}
    served = [record for record in await pupil.house.records() if record["org"] == "default"][-60:]
    assert all(record["decision"]["candidate"] == "checked" for record in served)
    always_strong = 60 * (100 * 10 + 20 * 40) * 1000
    assert sum(record["cost_nano_usd"] for record in served) < 0.7 * always_strong
    escalated = [record for record in served if record["deployment"] == "school/strong"]
    assert {attempt["because"] for record in escalated for attempt in record["attempts"][:1]} == {"disagrees"}


async def test_a_certified_candidate_that_no_longer_ends_loses_its_certificate_though_its_answers_are_too_long_to_compare(
    pupil: Pupil, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pupil.policy(guarantee="max_loss: 5%, shadow: 100%, audit: 100%")
    await until(pupil, "school/cheap", most=150)

    monkeypatch.setattr("gateway.route.trials.LARGEST", 5000)
    pupil.scholars.rambles.add("cheap")
    await until(pupil, "school/strong", most=100)
