"""When a share of a budget has been spent, people hear of it once, however many workers notice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.admin.conftest import admin_of, created, on_redis, opened
from tests.conftest import POLICY, House, settings
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import Finish, Say, Status, Usage
from tests.redis_server import redis_server

HELLO: Any = [{"role": "user", "content": "Say hello"}]


@pytest.fixture
async def people() -> AsyncIterator[Chaosprov]:
    """Whoever the webhook tells."""
    async with Chaosprov() as server:
        for _ in range(10):
            server.will(Status(204, b""))
        yield server


def policy(folder: Path, provider: Chaosprov, people: Chaosprov) -> Path:
    hook = f"http://127.0.0.1:{people.port}/hook"
    folder.mkdir()
    (folder / "policy.yaml").write_text(POLICY.format(provider=provider.base_url))
    (folder / "more.yaml").write_text(
        "version: 1\ntenants: {default: {budget: [{tokens: 1M, per: day}]}}\n"
        f'alerts: {{webhook: "{hook}", allow_private: true}}\n'
    )
    return folder


async def spend(house: House, key: str, provider: Chaosprov, tokens: int) -> None:
    provider.will(Say("x"), Finish(), Usage(0, tokens))
    async with openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key=key, max_retries=0) as client:
        await client.chat.completions.create(model="ok", messages=HELLO, max_tokens=tokens)


async def notices(house: House, crossed: int) -> None:
    """Until the worker has seen so many shares spent; to ask how accounts stand makes it look."""
    async with asyncio.timeout(10):
        while house.worker.budgets.crossed < crossed:
            await house.balances()


async def is_quiet(house: House) -> None:
    """Until nobody is being told any more."""
    async with asyncio.timeout(10):
        while any(task.get_name() in ("budget alert", "webhook") for task in asyncio.all_tasks()):
            await asyncio.sleep(0.01)
    await house.balances()


async def crosses(first: House, second: House, key: str, provider: Chaosprov, people: Chaosprov) -> None:
    """Two workers spend one budget; both see its first share being crossed, and one of them tells."""
    await spend(first, key, provider, 450_000)
    await spend(second, key, provider, 360_000)
    for house in (first, second):
        await spend(house, key, provider, 1)
        await notices(house, 1)
        await is_quiet(house)

    assert [json.loads(call.body)["share"] for call in people.calls] == [0.8]
    message = json.loads(people.calls[0].body)
    assert (message["event"], message["level"], message["subject"]) == ("budget.threshold", "organisation", "default")
    assert 800_000 <= message["spent"] <= 810_002
    assert message["limit"] == 1_000_000


async def test_two_workers_notice_and_one_tells(tmp_path: Path, provider: Chaosprov, people: Chaosprov) -> None:
    chosen = settings(policy(tmp_path / "policies", provider, people), tmp_path / "data")
    async with opened(chosen) as first, opened(chosen, number=1) as second:
        await crosses(first, second, first.key, provider, people)


async def test_two_replicas_notice_and_one_tells(tmp_path: Path, provider: Chaosprov, people: Chaosprov) -> None:
    policies = policy(tmp_path / "policies", provider, people)
    with redis_server() as redis:
        async with (
            opened(on_redis(policies, tmp_path / "a", redis)) as first,
            opened(on_redis(policies, tmp_path / "b", redis)) as second,
            admin_of(first) as admin,
        ):
            key = await created(admin, tenant="default")
            await crosses(first, second, key["key"], provider, people)
