"""An answer of several choices is complete when each of them is, however they come (R4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.meter.tokens import Tokens
from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import CUT, DONE, Event, Json, Step
from tests.flow.client import chunks, events, post
from tests.flow.raw import chat

TRUNCATED = "upstream_truncated"
ends = pytest.mark.parametrize("end", [(CUT,), ()], ids=["cut", "ended"])
"""A provider that dies, and one that ends its answer by the rules of HTTP and yet too soon."""


def said(choice: int, text: str, *, finish: str | None = None) -> Event:
    return Event({"id": "c", "choices": [{"index": choice, "text": text, "finish_reason": finish}]})


def spoken(choice: int, text: str, *, finish: str | None = None) -> Event:
    return Event({"id": "c", "choices": [{"index": choice, "delta": {"content": text}, "finish_reason": finish}]})


async def complete(house: House, **fields: Any) -> bytes:
    body: Mapping[str, Any] = {"model": "ok", "stream": True, **fields}
    return (await post(house, body, path="/v1/completions")).content


@ends
@pytest.mark.parametrize("prompt", [["a", "b"], [[1, 2], [3]]], ids=["texts", "token ids"])
async def test_a_completion_of_two_prompts_that_is_cut_after_the_first_is_not_whole(
    house: House, provider: Chaosprov, prompt: list[Any], end: tuple[Step, ...]
) -> None:
    provider.will(said(0, "one"), said(1, "tw"), said(0, "", finish="stop"), *end)

    received = await complete(house, prompt=prompt)

    assert TRUNCATED in events(received)[-1]
    assert (await house.only_record())["error_code"] == TRUNCATED


async def test_a_completion_of_two_prompts_whose_second_never_came_is_not_whole(
    house: House, provider: Chaosprov
) -> None:
    provider.will(said(0, "one", finish="stop"))

    received = await complete(house, prompt=["a", "b"])

    assert TRUNCATED in events(received)[-1]


async def test_a_completion_of_one_prompt_of_token_ids_is_one(house: House, provider: Chaosprov) -> None:
    provider.will(said(0, "one", finish="stop"))

    received = await complete(house, prompt=[1, 2, 3])

    assert events(received)[-1] == "[DONE]"


@ends
async def test_no_choice_that_has_begun_is_cut_unseen(house: House, provider: Chaosprov, end: tuple[Step, ...]) -> None:
    """Even if a provider gives more choices than were asked for."""
    provider.will(spoken(0, "one", finish="stop"), spoken(1, "tw"), *end)

    received = (await post(house, chat(stream=True))).content

    assert TRUNCATED in events(received)[-1]


async def test_a_provider_that_gives_one_choice_where_two_were_asked_for_has_done_so(
    house: House, provider: Chaosprov
) -> None:
    provider.will(spoken(0, "one", finish="stop"), DONE)

    received = (await post(house, chat(stream=True, n=2))).content

    assert events(received)[-1] == "[DONE]"


async def test_done_before_every_choice_has_ended_is_not_whole(house: House, provider: Chaosprov) -> None:
    provider.will(spoken(0, "one", finish="stop"), spoken(1, "tw"), DONE)

    received = (await post(house, chat(stream=True, n=2))).content

    assert "error" in chunks(received)[-1]
    assert "[DONE]" not in events(received)


async def test_a_document_with_fewer_choices_than_were_asked_for_is_passed_on(
    house: House, provider: Chaosprov
) -> None:
    """Each that there is must be whole; how many there are is the provider's to decide."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    provider.will(Json({"choices": [choice]}))
    provider.will(Json({"choices": [choice, {**choice, "index": 1, "finish_reason": None}]}))

    answers = [await post(house, chat(n=2)) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 502]


async def test_the_tokens_of_every_choice_are_counted_by_themselves(house: House, provider: Chaosprov) -> None:
    """The texts of two choices that come in turns are two texts and not one."""
    turns = [("Hel", "un"), ("lo", "believ"), (" wor", "able"), ("ld", " things")] * 20
    steps = [step for one, other in turns for step in (spoken(0, one), spoken(1, other))]
    provider.will(*steps, spoken(0, "", finish="stop"), spoken(1, "", finish="stop"), DONE)

    await post(house, chat(stream=True, n=2))

    record = await house.only_record()
    vocabulary = Tokens().load("ok")
    made = [len(vocabulary.encode("".join(parts))) for parts in zip(*turns, strict=True)]
    assert record["estimated"] is True
    assert abs(record["output_tokens"] - sum(made)) <= 8
