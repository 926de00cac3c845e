"""When nobody can say what is left, hard budgets refuse, and nothing is ever taken for unlimited."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.admin.conftest import admin_of, created, on_redis, opened
from tests.conftest import POLICY, House
from tests.faults.chaosprov import Chaosprov
from tests.redis_server import redis_server

HELLO: Any = [{"role": "user", "content": "Say hello"}]
DOCS = Path(__file__).parents[2] / "docs"


async def test_an_account_that_cannot_be_read_is_never_taken_for_an_unlimited_one(
    house: House, sdk: openai.AsyncOpenAI, provider: Chaosprov
) -> None:
    await house.adopt("tenants: {default: {budget: [{tokens: 1M, per: day}]}}")
    await sdk.chat.completions.create(model="ok", messages=HELLO, max_tokens=10)
    await house.balances()
    for path in house.data.glob("*.sqlite"):
        with closing(sqlite3.connect(path)) as connection, connection:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'ledger_accounts'").fetchone():
                connection.execute("UPDATE ledger_accounts SET row = 'text'")

    await house.balances()  # whatever slice the worker has is drawn
    for cap in (10, 100_000):
        with pytest.raises(openai.InternalServerError) as refused:
            await sdk.chat.completions.create(model="ok", messages=HELLO, max_tokens=cap)

        assert (refused.value.status_code, refused.value.code) == (503, "budget_store_corrupt")
        assert refused.value.response.headers["x-should-retry"] == "false"
    assert len(provider.calls) == 1


@pytest.mark.parametrize("mode", ["hard", "soft"])
async def test_while_the_store_is_away_only_soft_budgets_and_rates_are_served(
    tmp_path: Path, provider: Chaosprov, mode: str
) -> None:
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "policy.yaml").write_text(POLICY.format(provider=provider.base_url))
    budget = f"budget: [{{tokens: 1M, per: day, mode: {mode}}}], rate: {{rpm: 100}}"
    (policies / "more.yaml").write_text(f"version: 1\ntenants: {{default: {{{budget}}}}}\n")
    with redis_server() as redis:
        async with opened(on_redis(policies, tmp_path / "data", redis)) as house, admin_of(house) as admin:
            key = (await created(admin, tenant="default"))["key"]
            async with openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key=key, max_retries=0) as sdk:
                await sdk.models.list()  # the key is known from now on
                redis.kill()
                if mode == "hard":
                    with pytest.raises(openai.InternalServerError) as refused:
                        await sdk.chat.completions.create(model="ok", messages=HELLO)
                    assert (refused.value.status_code, refused.value.code) == (503, "budget_store_unavailable")
                    assert refused.value.response.headers["retry-after"] == "2"
                    assert provider.calls == []
                else:
                    answer = await sdk.chat.completions.with_raw_response.create(model="ok", messages=HELLO)
                    assert answer.headers["x-llmgw-degraded"] == "budget, ratelimit"
            redis.start()


def test_every_refusal_in_the_manual_is_one_of_the_pages_of_errors_with_its_status() -> None:
    page = (DOCS / "errors.md").read_text()
    manual = (DOCS / "budgets.md").read_text()

    listed = re.findall(r"^\| (\d{3}) `(\w+)` \|", manual, re.MULTILINE)

    assert len(listed) == 9
    for status, code in listed:
        assert re.search(rf"^\| `{code}` \| [^|]*\b{status}\b", page, re.MULTILINE), code


def test_every_code_of_a_refusal_is_in_the_manual() -> None:
    code_of = re.compile(r'code="((?:budget|model_not|concurrency|rate)\w+)"')
    sources = (Path(__file__).parents[2] / "gateway" / "budget").glob("*.py")
    raised = {code for path in sources for code in code_of.findall(path.read_text())}

    manual = (DOCS / "budgets.md").read_text()

    assert {"budget_insufficient_for_request", "model_not_priced", "budget_store_unavailable"} <= raised
    assert [code for code in sorted(raised) if f"`{code}`" not in manual] == []
