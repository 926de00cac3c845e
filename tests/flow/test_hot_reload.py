"""An edit of the policy is in force within a second, whole or not at all (R8)."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

from gateway.app import running
from tests.conftest import POLICY, House, settings
from tests.faults.chaosprov import Chaosprov
from tests.flow.client import post
from tests.flow.process import served
from tests.flow.raw import chat

NEW = "models: {new: {use: chaos/ok}}\n"
MISTAKE = "version: 1\nmodles: {}\n"


async def test_an_edit_is_in_force_on_every_worker_within_a_second(tmp_path: Path, provider: Chaosprov) -> None:
    policies, data = tmp_path / "policies", tmp_path / "data"
    policies.mkdir()
    (policies / "policy.yaml").write_text(POLICY.format(provider=provider.base_url))
    async with AsyncExitStack() as stack:
        houses = []
        for number in range(2):
            worker = await stack.enter_async_context(running(settings(policies, data), number=number, records_to=None))
            houses.append(House(worker, policies, data))
        assert [(await post(house, chat("new"))).status_code for house in houses] == [404, 404]

        (policies / "more.yaml").write_text(f"version: 1\n{NEW}")
        async with asyncio.timeout(1):
            while {house.worker.policy.current.routes.models.get("new") is not None for house in houses} != {True}:
                await asyncio.sleep(0.01)

        answers = [await post(house, chat("new")) for house in houses]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert len({answer.headers["x-llmgw-policy"] for answer in answers}) == 1


async def test_two_processes_take_up_an_edit_and_keep_it_over_a_mistake(tmp_path: Path, provider: Chaosprov) -> None:
    async with served(tmp_path, provider, "--workers", "2", "--drain-delay", "0") as house:

        async def asked_often() -> Counter[str]:
            return Counter([(await house.ask()).headers["x-llmgw-policy"] for _ in range(16)])

        (first,) = await asked_often()
        house.policy.write_text(house.policy.read_text() + "  new: {use: chaos/ok}\n")
        async with asyncio.timeout(3):
            while len(found := await asked_often()) > 1 or first in found:
                await asyncio.sleep(0.05)
        (second,) = found

        house.policy.write_text(MISTAKE)
        house.process.send_signal(signal.SIGHUP)
        while house.told().count(b"modles") < 2:
            await asyncio.sleep(0.02)

        assert await asked_often() == {second: 16}
        house.process.send_signal(signal.SIGTERM)
        assert await house.ended() == 0


async def test_a_signal_reads_the_policy_at_once(house: House) -> None:
    before = house.worker.policy.current.version

    (house.policies / "more.yaml").write_text(f"version: 1\n{NEW}")
    await house.worker.watch.reload()

    answer = await post(house, chat("new"))
    assert answer.status_code == 200
    assert answer.headers["x-llmgw-policy"] == house.worker.policy.current.version != before


async def test_a_mistake_leaves_the_old_policy_in_force_and_says_where_it_is(house: House) -> None:
    before = house.worker.policy.current.version

    (house.policies / "policy.yaml").write_text(MISTAKE)
    await house.worker.watch.reload()

    answer = await post(house, chat("ok"))
    assert (answer.status_code, answer.headers["x-llmgw-policy"]) == (200, before)
    error = house.worker.policy.last_error
    assert error is not None
    assert "policy.yaml:2:1" in str(error)
    assert "did you mean 'models'" in str(error)


async def test_a_mistake_that_is_mended_is_forgotten(house: House) -> None:
    (house.policies / "more.yaml").write_text(MISTAKE)
    await house.worker.watch.reload()

    await house.adopt(NEW)

    assert (await post(house, chat("new"))).status_code == 200


async def test_a_policy_that_is_gone_leaves_the_old_one_in_force(house: House) -> None:
    before = house.worker.policy.current.version
    (house.policies / "policy.yaml").unlink()

    await house.worker.watch.reload()

    assert (await post(house, chat("ok"))).headers["x-llmgw-policy"] == before


async def test_a_call_in_flight_keeps_the_policy_it_began_with(house: House, provider: Chaosprov) -> None:
    before = house.worker.policy.current.version
    call = asyncio.create_task(post(house, chat("fault/slow-chunk-100ms", stream=True)))
    await provider.asked(1)

    await house.adopt(NEW)

    answer = await call
    assert (answer.status_code, answer.headers["x-llmgw-policy"]) == (200, before)
    assert (await house.only_record())["policy"] == before
    assert house.worker.policy.current.version != before
