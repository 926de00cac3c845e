"""An edit of the policy is in force within a second, whole or not at all (R8)."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import httpx

from gateway.app import running
from tests.conftest import POLICY, House, settings
from tests.faults.chaosprov import Chaosprov
from tests.flow.raw import chat


async def ask(house: House, model: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        headers = {"authorization": f"Bearer {house.key}"}
        return await client.post(f"{house.url}/v1/chat/completions", json=chat(model), headers=headers)


async def test_an_edit_is_in_force_on_every_worker_within_a_second(tmp_path: Path, provider: Chaosprov) -> None:
    policies, data = tmp_path / "policies", tmp_path / "data"
    policies.mkdir()
    (policies / "policy.yaml").write_text(POLICY.format(provider=provider.base_url))
    async with AsyncExitStack() as stack:
        houses = []
        for number in range(2):
            worker = await stack.enter_async_context(running(settings(policies, data), number=number, records_to=None))
            houses.append(House(worker, policies, data))
        assert [(await ask(house, "new")).status_code for house in houses] == [404, 404]

        (policies / "more.yaml").write_text("version: 1\nmodels: {new: {use: chaos/ok}}\n")
        async with asyncio.timeout(1):
            while {house.worker.policy.current.routes.models.get("new") is not None for house in houses} != {True}:
                await asyncio.sleep(0.01)

        answers = [await ask(house, "new") for house in houses]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert len({answer.headers["x-llmgw-policy"] for answer in answers}) == 1


async def test_a_mistake_leaves_the_old_policy_in_force_and_says_where_it_is(house: House) -> None:
    before = house.worker.policy.current.version

    (house.policies / "policy.yaml").write_text("version: 1\nmodles: {}\n")
    await house.worker.watch.reload()

    answer = await ask(house, "ok")
    assert (answer.status_code, answer.headers["x-llmgw-policy"]) == (200, before)
    error = house.worker.policy.last_error
    assert error is not None
    assert "policy.yaml:2:1" in str(error)
    assert "did you mean 'models'" in str(error)


async def test_a_call_in_flight_keeps_the_policy_it_began_with(house: House, provider: Chaosprov) -> None:
    before = house.worker.policy.current.version
    call = asyncio.create_task(ask(house, "fault/slow-chunk-500ms"))
    await provider.asked(1)

    (house.policies / "more.yaml").write_text("version: 1\nmodels: {new: {use: chaos/ok}}\n")
    await house.worker.watch.reload()

    answer = await call
    assert (answer.status_code, answer.headers["x-llmgw-policy"]) == (200, before)
    assert house.worker.policy.current.version != before
