"""Clients of responses are answered by providers of other dialects, and other clients by a provider of responses."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import Finish, Say, Usage
from tests.flow.client import post
from tests.flow.test_anthropic import CLAUDE, TOOL
from tests.flow.test_anthropic import recorded as claude_s
from tests.flow.test_responses import PROVIDERS, WEATHER, streamed, whole
from tests.flow.test_templates import GIVEN, SUPPORT, adopt


@pytest.fixture
async def both(house: House, provider: Chaosprov) -> House:
    """A house with the models `claude` and `relay`, each at a provider of its own dialect."""
    claude = CLAUDE.format(base=provider.base_url.removesuffix("/v1"))
    relay = PROVIDERS.format(url=provider.base_url)
    (house.policies / "claude.yaml").write_text(f"version: 1\n{claude}")
    await house.adopt(relay)
    return house


@pytest.fixture
async def sdk(both: House) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(
        base_url=f"{both.url}/v1", api_key=both.key, max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


async def test_signed_thinking_comes_back_to_the_provider_that_signed_it(sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    provider.will(*claude_s("thinking"))
    provider.will(*claude_s("text"))

    async with sdk.responses.stream(model="claude", input="Think.", tools=[WEATHER], store=False) as stream:
        first = await stream.get_final_response()
    history: Any = [
        {"role": "user", "content": "Think."},
        *(item.to_dict() for item in first.output),
        *(
            {"type": "function_call_output", "call_id": item.call_id, "output": "sun"}
            for item in first.output
            if item.type == "function_call"
        ),
        {"role": "user", "content": "And?"},
    ]
    async with sdk.responses.stream(model="claude", input=history, tools=[WEATHER], store=False) as stream:
        second = await stream.get_final_response()

    assert first.output[0].type == "reasoning"
    assert second.output_text
    said = [block for message in provider.calls[1].json["messages"] for block in message["content"]]
    signed = [block for block in said if isinstance(block, dict) and block.get("type") == "thinking"]
    assert signed
    assert all(block["signature"] for block in signed)


async def test_a_loop_of_tools_at_a_provider_of_another_dialect(sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    provider.will(*claude_s("tools"))
    provider.will(*claude_s("text"))

    async with sdk.responses.stream(model="claude", input="Weather?", tools=[WEATHER]) as stream:
        first = await stream.get_final_response()
    outputs: Any = [
        {"type": "function_call_output", "call_id": item.call_id, "output": "sun"}
        for item in first.output
        if item.type == "function_call"
    ]
    async with sdk.responses.stream(
        model="claude", input=outputs, previous_response_id=first.id, tools=[WEATHER]
    ) as stream:
        second = await stream.get_final_response()

    assert outputs
    assert second.output_text
    results = [
        block["type"]
        for message in provider.calls[1].json["messages"]
        for block in message["content"]
        if isinstance(block, dict) and block.get("type") in ("tool_use", "tool_result")
    ]
    assert results == ["tool_use"] * len(outputs) + ["tool_result"] * len(outputs)


async def test_a_client_of_anthropic_s_is_answered_by_a_provider_of_responses(both: House, provider: Chaosprov) -> None:
    provider.will(*streamed("tools"))
    provider.will(whole("text"))
    hello: Any = [{"role": "user", "content": "Weather?"}]

    async with AsyncAnthropic(base_url=both.url, api_key=both.key, max_retries=0) as client:
        async with client.messages.stream(model="relay", max_tokens=100, messages=hello, tools=[TOOL]) as stream:
            first = await stream.get_final_message()
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": "sun"}
            for block in first.content
            if block.type == "tool_use"
        ]
        said: Any = [*hello, {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
        second = await client.messages.create(model="relay", max_tokens=100, messages=said, tools=[TOOL])

    assert [block.type for block in first.content] == ["text", "tool_use", "tool_use"]
    assert (second.content[0].type, second.stop_reason) == ("text", "end_turn")
    asked = provider.calls[1].json
    kinds = ["message", "message", *["function_call"] * 2, *["function_call_output"] * 2]
    assert [item["type"] for item in asked["input"]] == kinds
    assert (asked["max_output_tokens"], asked["store"]) == (100, False)


async def test_a_prompt_is_a_template_of_the_policy_s(both: House, sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    await adopt(both, PROVIDERS.format(url=provider.base_url), support=SUPPORT)
    provider.will(whole("text"))

    prompt: Any = {"id": "support", "version": "1", "variables": GIVEN}
    await sdk.responses.create(model="relay", prompt=prompt)

    asked = provider.calls[0].json
    assert asked["input"] == [
        {"type": "message", "role": "system", "content": "About Widget."},
        {"type": "message", "role": "user", "content": "Why?"},
    ]
    assert "prompt" not in asked


@pytest.mark.parametrize("stream", [False, True])
async def test_a_repeated_call_gets_the_first_one_s_answer(house: House, provider: Chaosprov, stream: bool) -> None:
    provider.will(Say("Once."), Finish(), Usage(5, 5))
    body = {"model": "ok", "input": "hi", "stream": stream}

    answers = [await post(house, body, path="/v1/responses", idempotency_key="k") for _ in range(2)]

    assert len(provider.calls) == 1
    texts = [answer.text.rpartition("data: ")[2] if stream else answer.text for answer in answers]
    found = [json.loads(text) for text in texts]
    outputs = [(each["response"] if stream else each)["output"][0]["content"][0]["text"] for each in found]
    assert outputs == ["Once.", "Once."]
