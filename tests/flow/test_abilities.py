"""Calls go where they can be served, and who asks for what nobody can is told before anything is held or paid."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.flow.client import post
from tests.flow.raw import chat

POLICY = """
models:
  blind: {use: "chaos/ok@blind", price: {in: 1, out: 2}, cannot: [image, json_schema]}
  short: {use: "chaos/ok@short", price: {in: 1, out: 2}, context: 1k}
  mixed:
    use: [{"chaos/ok@blind": {weight: 1000}}, {"chaos/ok@short": {weight: 1000}}, "chaos/ok@able"]
    price: {in: 1, out: 2}
  behind: {use: "chaos/ok@blind", price: {in: 1, out: 2}, fallback: [chaos/ok@able]}
"""
IMAGE = [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
LONG = "to be or not to be " * 1000


@pytest.fixture
async def limited(house: House) -> House:
    await house.adopt(POLICY + "tenants: {default: {budget: [{usd: 100, per: day}], rate: {rpm: 1000}}}\n")
    return house


def says(content: Any, model: str, **fields: Any) -> dict[str, Any]:
    return chat(model, messages=[{"role": "user", "content": content}], **fields)


async def held(house: House) -> list[tuple[int, int]]:
    """Spent, and under way, in each account that has anything."""
    return [(each.settled, each.held) for each in (await house.balances()).values() if each.settled or each.held]


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (says(IMAGE, "blind"), "unsupported_parameter", "messages"),
        (
            says("hi", "blind", response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}),
            "unsupported_parameter",
            "response_format",
        ),
        (says(LONG, "short"), "context_length_exceeded", "messages"),
        (says("hi " * 600, "short", max_tokens=900), "context_length_exceeded", "messages"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_nobody_can_serve_is_refused_and_costs_nothing(
    limited: House, provider: Chaosprov, body: dict[str, Any], code: str, param: str, stream: bool
) -> None:
    answer = await post(limited, body | {"stream": stream})

    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
    assert answer.headers["x-should-retry"] == "false"
    assert provider.calls == []
    assert await held(limited) == []
    record = await limited.only_record()
    assert (record["status"], record["error_code"], record["attempts"]) == (400, code, [])


async def test_the_official_client_knows_the_error(limited: House, sdk: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await sdk.chat.completions.create(model="short", messages=[{"role": "user", "content": LONG}])

    assert refused.value.code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("content", "model", "takers"),
    [
        (IMAGE, "mixed", {"ok@short", "ok@able"}),
        (LONG, "mixed", {"ok@blind", "ok@able"}),
        ([*IMAGE, {"type": "text", "text": LONG}], "mixed", {"ok@able"}),
        (IMAGE, "behind", {"ok@able"}),
    ],
)
async def test_calls_go_to_those_who_can(
    limited: House, provider: Chaosprov, content: Any, model: str, takers: set[str]
) -> None:
    for _ in range(12):
        assert (await post(limited, says(content, model))).status_code == 200

    assert {call.model for call in provider.calls} <= takers


async def test_the_first_of_the_plan_is_tried_first_when_the_call_needs_nothing(
    limited: House, provider: Chaosprov
) -> None:
    assert (await post(limited, says("hi", "behind"))).status_code == 200

    assert [call.model for call in provider.calls] == ["ok@blind"]


async def test_no_prompt_is_counted_that_surely_fits(limited: House, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []

    async def tokens_in(_: object, call: Any) -> int:
        counted.append(call.model)
        return 10

    monkeypatch.setattr("gateway.meter.bill.Meter.tokens_in", tokens_in)
    await post(limited, says("hi", "short"))
    await post(limited, says(LONG, "blind"))
    assert counted == []
    await post(limited, says(LONG, "short"))
    assert counted == ["short"]
