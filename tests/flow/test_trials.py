"""Trials: which calls are tried is nobody's choice, and what they hold is given back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.conftest import House
from tests.flow.client import post
from tests.flow.scholars import Scholars, teaching

RULES = """
providers:
  school: {{dialect: openai, base_url: "{url}", allow_private: true}}
models:
  strong: {{use: school/strong, price: {{in: 10, out: 40}}}}
  cheap: {{use: school/cheap, price: {{in: 1, out: 4}}}}
routes:
  - {{name: sums, match: {{model: auto}}, model: strong, {rule}}}
"""
TRIED = "candidates: [cheap], guarantee: {{max_loss: 5%, shadow: {shadow}}}"


@pytest.fixture
async def scholars() -> AsyncIterator[Scholars]:
    async with teaching(Scholars(strong=1.0, cheap=1.0)) as school:
        yield school


def question(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "auto", "messages": [{"role": "user", "content": text}], **fields}


async def trials_end() -> None:
    async with asyncio.timeout(20):
        while any(task.get_name() == "trial" for task in asyncio.all_tasks()):
            await asyncio.sleep(0.01)


async def asked_with_one_id(house: House, rule: str, scholars: Scholars) -> int:
    """How many of 40 calls with the same id, which the client chose, the cheap model was asked."""
    await house.adopt(RULES.format(url=scholars.base_url, rule=rule))
    for number in range(40):
        answer = await post(house, question(f"{number}+1"), x_request_id="mine")
        assert answer.headers["x-request-id"] == "mine"
    await trials_end()
    return scholars.asked["cheap"]


@pytest.mark.parametrize(
    "rule",
    [
        TRIED.format(shadow="50%"),
        "shadow: {model: cheap, share: 50%}",
        "canary: {model: cheap, share: 50%, by: call}",
    ],
    ids=["trial", "shadow", "canary"],
)
async def test_a_client_that_chooses_the_ids_of_its_calls_does_not_choose_which_are_tried(
    house: House, scholars: Scholars, rule: str
) -> None:
    assert 0 < await asked_with_one_id(house, rule, scholars) < 40
