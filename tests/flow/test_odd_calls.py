"""Values that no client should send are that client's mistake, told in its own dialect, or are passed on: never a crash."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.conftest import House
from tests.flow.raw import chat

HUGE = 10**30
ODD: tuple[Any, ...] = ([1], {"a": 1})
MESSAGE: dict[str, Any] = {"model": "demo", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
RESPONSE: dict[str, Any] = {"model": "demo", "input": "hi"}
ALLOWED = {"type": "allowed_tools", "mode": "auto"}
FUNCTION = {"type": "function", "name": "f", "parameters": {}}
USED = {"type": "tool_use", "id": "t", "name": "f", "input": {"n": HUGE}}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "x"}
CALLED = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}

REFUSED: list[tuple[str, dict[str, Any]]] = [
    *[("messages", {**MESSAGE, "tools": [{"type": "web_search", "name": name}] * 2}) for name in ("x",)],
    *[("responses", {**RESPONSE, "tools": [{**FUNCTION, "name": name}]}) for name in ODD],
    *[("chat/completions", chat(model="demo", llmgw={"variables": value})) for value in (5, True, ["x"])],
    *[("images/generations", {"model": "demo", "prompt": "p", "n": n}) for n in ("²", "9" * 5000, 1.0)],
]
SERVED: list[tuple[str, dict[str, Any]]] = [
    *[("messages", {**MESSAGE, "tools": [{"type": "web_search", "name": name}]}) for name in ODD],
    (
        "messages",
        {**MESSAGE, "messages": [{"role": r, "content": [b]} for r, b in (("assistant", USED), ("user", RESULT))]},
    ),
    *[
        (
            "responses",
            {**RESPONSE, "tools": [FUNCTION], "tool_choice": {**ALLOWED, "tools": [{"type": kind, "name": name}]}},
        )
        for kind in ("function", [1])
        for name in ODD
    ],
    ("responses", {**RESPONSE, "tools": [FUNCTION], "tool_choice": {**ALLOWED, "tools": 5}}),
    ("responses", {**RESPONSE, "temperature": HUGE, "metadata": {"n": HUGE}}),
    (
        "responses",
        {**RESPONSE, "input": [CALLED, {"type": "function_call_output", "call_id": "c", "output": {"n": HUGE}}]},
    ),
    ("chat/completions", chat(model="demo", seed=HUGE)),
    *[("images/generations", {"model": "demo", "prompt": "p", "response_format": value}) for value in ODD],
]


async def ask(house: House, path: str, fields: dict[str, Any]) -> httpx.Response:
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {house.key}"}, timeout=20) as client:
        return await client.post(f"{house.url}/v1/{path}", json=fields)


@pytest.mark.parametrize(("path", "fields"), REFUSED)
async def test_a_mistake(house: House, path: str, fields: dict[str, Any]) -> None:
    answer = await ask(house, path, fields)

    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.json().get("type") == ("error" if path == "messages" else None)
    assert (await house.only_record())["status"] == 400


@pytest.mark.parametrize(("path", "fields"), SERVED)
async def test_an_odd_value_that_is_passed_on(house: House, path: str, fields: dict[str, Any]) -> None:
    answer = await ask(house, path, fields)

    assert answer.status_code == 200, answer.text
    assert (await house.only_record())["status"] == 200


async def test_a_response_with_huge_numbers_is_gone_on_from(house: House) -> None:
    output = {"type": "function_call_output", "call_id": "c", "output": [{"n": HUGE}]}
    first = await ask(house, "responses", {**RESPONSE, "input": [CALLED, output], "metadata": {"n": HUGE}})

    second = await ask(house, "responses", {**RESPONSE, "previous_response_id": first.json()["id"]})

    assert second.status_code == 200, second.text


@pytest.mark.parametrize("limit", ["²", "9" * 5000, "0"])
async def test_a_page_of_no_length(house: House, limit: str) -> None:
    first = await ask(house, "responses", RESPONSE)

    async with httpx.AsyncClient(headers={"authorization": f"Bearer {house.key}"}) as client:
        path = f"{house.url}/v1/responses/{first.json()['id']}/input_items"
        answer = await client.get(path, params={"limit": limit})

    assert answer.status_code == 400, answer.text
