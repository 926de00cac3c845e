"""What providers' own tools may cost is held before a call is made, and refused where it has no bound."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import Json

SEARCH: dict[str, Any] = {"type": "web_search_20250305", "name": "web_search"}
ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "It is sunny."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1000, "output_tokens": 10, "server_tool_use": {"web_search_requests": 2}},
}


def policy(provider: Chaosprov, budget: str) -> str:
    return f"""
providers:
  claude:
    dialect: anthropic
    base_url: {provider.base_url.removesuffix("/v1")}
    key: sk-chaos-canary
    allow_private: true
models:
  searching: {{use: claude/claude, price: {{in: 3, out: 15, web_search: 0.01}}}}
  fee-unknown: {{use: claude/claude, price: {{in: 3, out: 15}}}}
tenants: {{default: {{{budget}}}}}
"""


async def asked(house: House, tool: dict[str, Any], model: str = "searching") -> Any:
    async with AsyncAnthropic(base_url=house.url, api_key=house.key, max_retries=0) as client:
        return await client.messages.create(
            model=model,
            max_tokens=100,
            messages=[{"role": "user", "content": "What is the weather?"}],
            tools=[tool],  # type: ignore[list-item]  # written out, as any client may
        )


async def test_searches_are_held_for_and_billed_as_they_are_counted(house: House, provider: Chaosprov) -> None:
    await house.adopt(policy(provider, "budget: [{usd: 10, per: day}]"))
    provider.will(Json(ANSWER))

    await asked(house, {**SEARCH, "max_uses": 5})

    record = await house.only_record()
    assert record["cost_nano_usd"] == 1000 * 3000 + 10 * 15_000 + 2 * 10_000_000
    assert record["reserved_nano_usd"] >= 5 * 200_000 * 3000 + 5 * 10_000_000


@pytest.mark.parametrize(("tool", "model"), [(SEARCH, "searching"), ({**SEARCH, "max_uses": 1}, "fee-unknown")])
async def test_what_has_no_bound_is_refused_where_a_budget_must_not_be_run_past(
    house: House, provider: Chaosprov, tool: dict[str, Any], model: str
) -> None:
    await house.adopt(policy(provider, "budget: [{usd: 10, per: day}]"))

    with pytest.raises(anthropic.BadRequestError) as refused:
        await asked(house, tool, model)

    error = refused.value.body["error"]  # type: ignore[index]  # as it was sent
    assert (error["code"], error["param"]) == ("unbounded_tool", "tools")
    assert provider.calls == []
    assert house.account() == (0, 0)


async def test_under_a_soft_budget_it_is_passed_on_and_billed(house: House, provider: Chaosprov) -> None:
    await house.adopt(policy(provider, "budget: [{usd: 10, per: day, mode: soft}]"))
    provider.will(Json(ANSWER))

    await asked(house, SEARCH)

    assert provider.calls[0].json["tools"] == [SEARCH]
    assert (await house.only_record())["cost_nano_usd"] == 1000 * 3000 + 10 * 15_000 + 2 * 10_000_000
