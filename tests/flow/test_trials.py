"""Trials: which calls are tried is nobody's choice, and what they hold is given back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.app import running
from gateway.budget.budgets import Budgets
from tests.conftest import House, settings
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import DONE, HANG, Finish, Say, Usage
from tests.flow.client import post
from tests.flow.scholars import Scholars, teaching

RULES = """
providers:
  school: {{dialect: openai, base_url: "{url}", allow_private: true}}
  strict: {{dialect: openai, base_url: "{url}", allow_private: true, max_output_bytes: 4KiB}}
models:
  strong: {{use: school/strong, price: {{in: 10, out: 40}}}}
  cheap: {{use: strict/cheap, price: {{in: 1, out: 4}}}}
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


async def test_a_candidate_that_says_more_than_is_read_has_failed(house: House, scholars: Scholars) -> None:
    scholars.rambles.add("cheap")
    await house.adopt(RULES.format(url=scholars.base_url, rule=TRIED.format(shadow="100%")))

    await post(house, question("1+1"))
    await trials_end()

    trial = next(record["trial"] for record in await house.records() if "trial" in record)
    assert (trial["reference_quality"], trial["candidate_quality"], trial["reason"]) == (1.0, 0.0, "failed")


async def test_trials_under_way_when_the_gateway_ends_give_back_what_they_hold_while_the_ledger_still_listens(
    tmp_path: Path, provider: Chaosprov, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies, data = tmp_path / "policies", tmp_path / "data"
    policies.mkdir()
    rule = TRIED.format(shadow="100%, shadow_budget: 20 USD/day")
    (policies / "policy.yaml").write_text("version: 1\n" + RULES.format(url=provider.base_url, rule=rule))
    held_at_last: list[Mapping[str, int]] = []
    close = Budgets.close

    async def closing(budgets: Budgets) -> None:
        held_at_last.append(budgets.held())
        await close(budgets)

    monkeypatch.setattr(Budgets, "close", closing)
    async with running(settings(policies, data), records_to=None) as worker:
        provider.will(Say('{"sum": 2}'), Finish(), Usage(10, 5), DONE)
        await post(House(worker, policies, data), question("1+1"))
        provider.will(HANG)
        while len(provider.calls) < 2:
            await asyncio.sleep(0.01)
        await worker.server.drain(5)
        assert worker.budgets.held()

    assert held_at_last == [{}]
    assert not any(task.get_name() == "trial" for task in asyncio.all_tasks())
