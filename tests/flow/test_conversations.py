"""A conversation goes on where it began: at its model, on every worker; a tool's result at the provider that asked for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.admin.conftest import admin_of, on_redis, opened
from tests.conftest import POLICY, House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import Finish, Say, Until, Usage
from tests.flow.client import post
from tests.flow.raw import chat
from tests.flow.test_shared_calls import made_key
from tests.redis_server import RedisServer, redis_server

MODELS = """
  strong: {use: chaos/ok@strong, price: {in: 1, out: 2}}
  young: {use: chaos/ok@young, price: {in: 1, out: 2}}
"""
ALL, NONE = "100%", "0.0001%"
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}


def canary(share: str, **more: str) -> str:
    rest = "".join(f", {name}: {value}" for name, value in more.items())
    return f"routes: [{{name: r, model: strong, canary: {{model: young, share: {share}}}{rest}}}]\n"


def turn(text: str, number: int, **fields: Any) -> dict[str, Any]:
    """The call of that number, from 0, in the conversation that begins with this text."""
    said: list[dict[str, Any]] = [{"role": "user", "content": text}]
    for _ in range(number):
        said += [{"role": "assistant", "content": "Yes."}, {"role": "user", "content": "And?"}]
    return chat("strong", messages=said, **fields)


async def asked(house: House, body: dict[str, Any], provider: Chaosprov, **headers: str) -> str:
    """The upstream model that answered the call."""
    assert (await post(house, body, **headers)).status_code == 200
    return provider.calls[-1].model


async def test_a_conversation_keeps_its_model_when_the_policy_sends_new_ones_elsewhere(
    house: House, provider: Chaosprov
) -> None:
    await house.adopt(f"models:{MODELS}{canary(ALL)}")
    began = [await asked(house, turn("a", 0), provider), await asked(house, turn("b", 0, stream=True), provider)]
    await house.adopt(f"models:{MODELS}{canary(NONE)}")

    later = [await asked(house, turn(text, 1), provider) for text in ("a", "b", "c")]

    assert began == ["ok@young", "ok@young"]
    assert later == ["ok@young", "ok@young", "ok@strong"]
    assert [each["reason"] for each in await house.records()] == ["canary", "canary", "sticky", "sticky", "rule"]


async def test_a_conversation_is_known_by_the_clients_name_for_it(house: House, provider: Chaosprov) -> None:
    await house.adopt(f"models:{MODELS}{canary(ALL)}")
    await asked(house, turn("a", 0), provider, x_llmgw_conversation="c-1")
    await house.adopt(f"models:{MODELS}{canary(NONE)}")

    assert await asked(house, turn("other", 1), provider, x_llmgw_conversation="c-1") == "ok@young"
    assert await asked(house, turn("a", 1), provider, x_llmgw_conversation="c-2") == "ok@strong"


async def test_on_a_route_that_is_not_sticky_it_changes(house: House, provider: Chaosprov) -> None:
    await house.adopt(f"models:{MODELS}{canary(ALL, sticky='none')}")
    await asked(house, turn("a", 0), provider)
    await house.adopt(f"models:{MODELS}{canary(NONE, sticky='none')}")

    assert await asked(house, turn("a", 1), provider) == "ok@strong"


async def test_an_answer_that_never_began_pins_nothing(house: House, provider: Chaosprov) -> None:
    await house.adopt(f"models:{MODELS.replace('ok@young', 'fault/status-400')}{canary(ALL)}")
    assert (await post(house, turn("a", 0))).status_code == 400
    await house.adopt(f"models:{MODELS}{canary(NONE)}")

    assert await asked(house, turn("a", 1), provider) == "ok@strong"


async def test_a_tools_result_goes_to_the_provider_that_asked_for_it(house: House, provider: Chaosprov) -> None:
    own = f"{{dialect: openai, base_url: {provider.base_url}, allow_private: true}}"
    use = "[chaos/ok@a, other/ok@b, other/ok@c]"
    await house.adopt(f"providers: {{other: {own}}}\nmodels: {{m: {{use: {use}, price: {{in: 1, out: 2}}}}}}\n")

    first, second = [], []
    for number in range(12):
        question = {"role": "user", "content": f"question {number}"}
        first.append(await asked(house, chat("m", messages=[question], tools=[TOOL]), provider))
        call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        messages = [
            question,
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "5"},
        ]
        second.append(await asked(house, chat("m", messages=messages, tools=[TOOL]), provider))

    assert second == first
    assert len(set(first)) > 1


async def test_a_sticky_model_keeps_a_conversation_at_its_deployment(house: House, provider: Chaosprov) -> None:
    use = "[chaos/ok@a, chaos/ok@b, chaos/ok@c]"
    await house.adopt(f"models: {{strong: {{use: {use}, price: {{in: 1, out: 2}}, sticky: conversation}}}}\n")

    asked_of = [[await asked(house, turn(str(text), number), provider) for number in range(3)] for text in range(12)]

    assert all(len(set(each)) == 1 for each in asked_of)
    assert len({each[0] for each in asked_of}) > 1


async def test_the_least_busy_deployment_takes_the_next_call_and_admins_see_why(
    house: House, provider: Chaosprov
) -> None:
    await house.adopt("models: {m: {use: [chaos/ok@a, chaos/ok@b], price: {in: 1, out: 2}, strategy: least_busy}}\n")
    goes_on = asyncio.Event()
    provider.will(Say("Hel"), Until(goes_on), Say("lo"), Finish(), Usage(9, 2))
    slow = asyncio.ensure_future(post(house, chat("m", stream=True)))
    busy = (await provider.asked()).model

    others = [await asked(house, chat("m", stream=True), provider) for _ in range(8)]
    rows = await deployments(house)
    goes_on.set()
    await slow

    assert busy not in others
    assert len(set(others)) == 1
    assert (rows[f"chaos/{busy}"]["busy"], rows[f"chaos/{others[0]}"]["busy"]) == (1, 0)
    assert rows[f"chaos/{others[0]}"]["first_token_ms"] > 0
    assert (await deployments(house))[f"chaos/{busy}"]["busy"] == 0


async def deployments(house: House) -> dict[str, dict[str, Any]]:
    async with admin_of(house) as admin, admin.get("/admin/v1/deployments") as reply:
        return {each["deployment"]: each for each in (await reply.json())["deployments"]}


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
async def two(tmp_path: Path, provider: Chaosprov, redis: RedisServer) -> AsyncIterator[tuple[House, House]]:
    """Workers of two replicas, with the same policy and store."""
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "policy.yaml").write_text(POLICY.format(provider=provider.base_url) + MODELS + canary(ALL))
    async with AsyncExitStack() as closing:
        first = await closing.enter_async_context(opened(on_redis(policies, tmp_path / "0", redis), number=0))
        second = await closing.enter_async_context(opened(on_redis(policies, tmp_path / "1", redis), number=1))
        yield first, second


async def send_new_ones_elsewhere(houses: tuple[House, House], provider: Chaosprov) -> None:
    for house in houses:
        (house.policies / "policy.yaml").write_text(POLICY.format(provider=provider.base_url) + MODELS + canary(NONE))
        await house.worker.watch.reload()
        assert house.worker.policy.last_error is None


async def answered(house: House, key: str, body: dict[str, Any], provider: Chaosprov) -> str:
    assert (await post(house, body, token=key)).status_code == 200
    return provider.calls[-1].model


@pytest.mark.usefixtures("patient")
async def test_another_worker_goes_on_with_the_model_that_the_first_began_with(
    two: tuple[House, House], provider: Chaosprov, redis: RedisServer, tmp_path: Path
) -> None:
    one, other = two
    key = await made_key(redis, tmp_path / "0")
    began = [await answered(one, key, turn(text, 0), provider) for text in ("a", "b")]
    await written(redis, 2)
    await send_new_ones_elsewhere(two, provider)

    later = [await answered(other, key, turn(text, 1), provider) for text in ("a", "b", "never begun")]

    assert began == ["ok@young"] * 2
    assert later == ["ok@young", "ok@young", "ok@strong"]
    assert [each["reason"] for each in await other.records()][:3] == ["sticky", "sticky", "rule"]


async def test_without_redis_a_conversation_is_answered_as_if_it_began(
    two: tuple[House, House], provider: Chaosprov, redis: RedisServer, tmp_path: Path
) -> None:
    one, other = two
    key = await made_key(redis, tmp_path / "0")
    await answered(one, key, turn("a", 0), provider)
    await answered(other, key, turn("z", 0), provider)  # which knows the key from now on
    await send_new_ones_elsewhere(two, provider)
    redis.kill()

    assert await answered(one, key, turn("a", 1), provider) == "ok@young"
    assert await answered(other, key, turn("a", 1), provider) == "ok@strong"


@pytest.mark.usefixtures("patient")
async def test_routes_without_choice_ask_the_store_for_nothing(
    two: tuple[House, House], provider: Chaosprov, redis: RedisServer, tmp_path: Path
) -> None:
    one, other = two
    key = await made_key(redis, tmp_path / "0")
    plain = "routes: [{name: r, model: strong}]\n"
    for house in two:
        (house.policies / "policy.yaml").write_text(POLICY.format(provider=provider.base_url) + MODELS + plain)
        await house.worker.watch.reload()

    for house in (one, other):
        await answered(house, key, turn("a", 1, tools=[TOOL]), provider)

    assert await pins(redis) == 0


async def pins(redis: RedisServer) -> int:
    return redis.send("KEYS", "llmgw:pin:*").count(b"llmgw:pin:")


async def written(redis: RedisServer, count: int) -> None:
    """Until so many conversations are known to the store."""
    async with asyncio.timeout(10):
        while await pins(redis) < count:
            await asyncio.sleep(0.01)
