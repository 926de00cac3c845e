"""What was decided about real calls is decided again from their records."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from gateway.policy.compile import rehearse
from gateway.replay.comparison import Comparison
from gateway.replay.report import document
from gateway.route.candidates import Standing
from tests.conftest import House
from tests.flow.scholars import Scholars, teaching

ROUTED = """
providers:
  school: {{dialect: openai, base_url: "{url}", allow_private: true}}
models:
  strong: {{use: school/strong, price: {{in: 10, out: 40}}}}
  cheap: {{use: school/cheap, price: {{in: 1, out: 4}}}}
policies:
  checked: {{try: cheap, escalate_to: strong, when: [truncated]}}
routes:
  - {{name: apps, match: {{model: auto, headers: {{x-app: "a*"}}}}, model: cheap}}
  - {{name: long, match: {{model: auto, tokens_in: "> 60"}}, model: strong}}
  - {{name: tools, match: {{model: auto, has: [tools]}}, model: strong, candidates: [cheap, checked], guarantee: {{shadow: 50%}}}}
  - {{name: tagged, match: {{model: auto, tags: [t]}}, model: strong, canary: {{model: cheap, share: 40%}}}}
  - {{name: rest, match: {{model: auto}}, model: strong, shadow: {{model: cheap, share: 30%}}}}
"""
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}


@pytest.fixture
async def scholars() -> AsyncIterator[Scholars]:
    async with teaching(Scholars(strong=1.0, cheap=0.8)) as school:
        yield school


def asked(number: int) -> tuple[dict[str, Any], dict[str, str]]:
    """Body and headers of one of many different calls."""
    question = {"role": "user", "content": f"{number}+1"}
    body: dict[str, Any] = {"model": "auto", "messages": [question], "stream": number % 5 == 0}
    headers = {}
    if number % 7 == 0:
        headers["x-app"] = "abc" if number % 2 else "b" * (300 if number % 3 else 3)
    if number % 6 == 1:
        body["messages"] = [{"role": "system", "content": "Add two numbers, and say nothing else. " * 10}, question]
    if number % 4 == 1:
        body["tools"] = [TOOL]
        if number % 5 == 1:
            call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
            result = {"role": "tool", "tool_call_id": "c1", "content": f"{number}+1"}
            body["messages"] = [question, {"role": "assistant", "content": None, "tool_calls": [call]}, result]
    if number % 3 == 0:
        headers["x-llmgw-tags"] = "t,u"
        headers["x-llmgw-conversation"] = f"talk {number % 30}"
        if number >= 30:
            body["messages"] = [question, {"role": "assistant", "content": "{}"}, question]
    if number % 11 == 10:
        body["model"] = ("nobody", "cheap")[number % 2]
    return body, headers


async def test_every_decision_that_was_made_is_made_again_from_its_record(
    house: House, scholars: Scholars, tmp_path: Path
) -> None:
    await house.adopt(ROUTED.format(url=scholars.base_url))
    async with aiohttp.ClientSession(headers={"authorization": f"Bearer {house.key}"}) as session:
        for number in range(120):
            body, headers = asked(number)
            async with session.post(f"{house.url}/v1/chat/completions", json=body, headers=headers) as reply:
                await reply.read()
    records = await house.records()
    calls = [record for record in records if record["org"] == "default"]
    policy = rehearse(house.policies, {})[0]

    comparison = Comparison(policy, policy)
    for record in records:
        comparison.take(orjson.dumps(record))

    kinds = {(record["route"], record["reason"]) for record in calls}
    assert kinds >= {("apps", "rule"), ("long", "rule"), ("tools", "reference"), ("rest", "rule")}
    assert kinds >= {("tagged", "canary"), ("tagged", "rule"), ("tagged", "sticky")}
    assert any(record["basis"]["is_bound"] for record in calls)
    assert {record["status"] for record in calls} == {200, 404}
    assert any(record["decision"] and record["decision"].get("trials") for record in calls)
    report = document(comparison)
    unknown = sum(record["model"] == "auto" and "x-app" not in record["basis"]["headers"] for record in calls)
    assert 0 < unknown < 10  # a header that is too long to be told
    assert report["traffic"]["calls"] == len(calls) == 120
    assert report["total"]["unknown"] == {"the header x-app": unknown}
    assert report["old_policy"] == {"agreed": len(calls) - unknown, "of_another_policy": 0}
    assert report["total"]["changed"] == 0
    assert {record["content"] for record in calls if "content" in record} == set()


async def test_a_route_s_trials_say_what_the_change_would_lose(
    house: House, scholars: Scholars, tmp_path: Path
) -> None:
    """The cheap model is wrong about a fifth of the questions, and half of the calls were tried on it."""
    written = ROUTED.format(url=scholars.base_url)
    await house.adopt(written)
    async with aiohttp.ClientSession(headers={"authorization": f"Bearer {house.key}"}) as session:
        for number in range(80):
            message = {"role": "user", "content": f"{number}+1"}
            body = {"model": "auto", "messages": [message], "tools": [TOOL]}
            async with session.post(f"{house.url}/v1/chat/completions", json=body) as reply:
                await reply.read()
    await house.worker.server.drain(2)
    records = await house.records()
    policy = rehearse(house.policies, {})[0]

    comparison = Comparison(policy, policy, {"tools": Standing.CERTIFIED})
    for record in records:
        comparison.take(orjson.dumps(record))

    (route,) = document(comparison)["routes"]
    labels = [record["trial"] for record in records if record.get("trial", {}).get("candidate") == "cheap"]
    lost = [1 - each["candidate_quality"] for each in labels if each["candidate_quality"] is not None]
    assert (route["calls"], route["changed"]) == (80, 80)
    assert route["labelled"] == len(lost) > 20
    assert route["loss"]["estimate"] == pytest.approx(sum(lost) / len(lost))
    assert route["cost_usd"] == {"old": "0.144", "new": "0.0144", "unpriced": {"old": 0, "new": 0}}
