"""A question in other words is given the answer that was kept, with the embedders that ship."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import Finish, Say, Usage
from tests.flow.client import post
from tests.flow.test_cache import judge
from tests.flow.test_idempotency import key_of

POLICY = "cache: {default: {semantic: {threshold: 0.85}, scope: org}}\ntenants: {default: {}, globex: {}}"
FIRST, OTHER_WORDS = "How do you sharpen a kitchen knife?", "How can you sharpen a kitchen knife?"
NOT_YET = ("loading", "busy", "slow")


async def ask(house: House, question: str, *, token: str | None = None, system: str | None = None) -> httpx.Response:
    before = [{"role": "system", "content": system}] if system else []
    return await post(house, {"model": "ok", "messages": [*before, {"role": "user", "content": question}]}, token=token)


async def record_of(house: House, answer: httpx.Response) -> dict[str, object]:
    return next(dict(row) for row in await house.records() if row["id"] == answer.headers["x-request-id"])


async def entries(house: House) -> int:
    """Questions that can be found, once no more come: they are embedded off the calls' way."""
    found = -1
    while (now := house.worker.meanings.figures().get("entries", 0)) != found:
        found = now
        await asyncio.sleep(0.5)
    return found


@pytest.fixture
async def asked(house: House, provider: Chaosprov) -> House:
    """The first question has been answered; the embedders are there, which takes them a second or two."""
    await house.adopt(POLICY)
    async with asyncio.timeout(90):
        number = 0
        while (await record_of(house, await ask(house, f"Where was the telescope number {number} built?")))[
            "cache_reason"
        ] in NOT_YET:
            number += 1
            await asyncio.sleep(0.2)
        provider.will(Say("Use a whetstone."), Finish(), Usage(9, 4))
        known = await entries(house)
        await ask(house, FIRST)
        while await entries(house) == known:
            pass
    return house


async def test_a_question_in_other_words_gets_the_answer_and_says_so(asked: House, provider: Chaosprov) -> None:
    before = len(provider.calls)
    hit = await ask(asked, OTHER_WORDS)

    assert hit.headers["x-llmgw-cache"] == "semantic-hit"
    assert hit.json()["choices"][0]["message"]["content"] == "Use a whetstone."
    assert len(provider.calls) == before
    record = await record_of(asked, hit)
    assert (record["outcome"], record["cache_kind"], record["cost_nano_usd"]) == ("cache_semantic", "semantic", 0)
    assert 0.85 <= float(str(record["similarity"])) <= 1
    first = next(row for row in await asked.records() if row["cache_entry"] == record["cache_entry"])
    assert record["saved_nano_usd"] == first["cost_nano_usd"]


@pytest.mark.parametrize(
    "question",
    [
        "How do you sharpen a garden spade?",
        "How do you not sharpen a kitchen knife?",
        "How do you sharpen 2 kitchen knives?",
    ],
)
async def test_another_question_does_not(asked: House, question: str) -> None:
    assert (await ask(asked, question)).headers["x-llmgw-cache"] == "miss"


async def test_neither_does_the_same_question_after_another_beginning_or_in_another_organisation(asked: House) -> None:
    other = await key_of(asked, "globex")

    assert (await ask(asked, OTHER_WORDS, system="You sell spades.")).headers["x-llmgw-cache"] == "miss"
    assert (await ask(asked, OTHER_WORDS, token=other)).headers["x-llmgw-cache"] == "miss"


async def test_a_client_gets_no_answer_that_is_older_than_it_wants(asked: House) -> None:
    await asyncio.sleep(1.1)
    body = {"model": "ok", "messages": [{"role": "user", "content": OTHER_WORDS}]}
    answer = await post(asked, body, cache_control="max-age=1")

    assert answer.headers["x-llmgw-cache"] == "miss"
    assert (await record_of(asked, answer))["cache_reason"] == "too_old"


async def test_a_bad_hit_is_reported_and_gone(asked: House) -> None:
    hit = await ask(asked, OTHER_WORDS)
    assert hit.headers["x-llmgw-cache"] == "semantic-hit"

    assert (await judge(asked, hit, "bad")).json()["forgotten"]
    assert (await ask(asked, OTHER_WORDS)).headers["x-llmgw-cache"] == "miss"
    assert (await ask(asked, FIRST)).headers["x-llmgw-cache"] == "miss"


@pytest.mark.parametrize("which", ["the provider's answer", "the same question's hit"])
async def test_a_bad_answer_that_was_not_given_by_its_meaning_is_gone_and_counts_against_no_threshold(
    asked: House, which: str
) -> None:
    question = "How do you polish a silver spoon?"
    known = await entries(asked)
    answer = await ask(asked, question)
    while await entries(asked) == known:
        pass
    if which == "the same question's hit":
        answer = await ask(asked, question)
        assert answer.headers["x-llmgw-cache"] == "hit"

    assert (await judge(asked, answer, "bad")).json()["forgotten"]
    assert await entries(asked) == known
    assert not any(route["wrong"] for route in asked.worker.meanings.state())
