"""A coding agent's requests, as Claude Code writes them, work against providers of other dialects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import DONE, Finish, Json, Say, Tool, Usage
from tests.flow.test_anthropic import MESSAGE, recorded

BODY = (Path(__file__).parent.parent / "ingress" / "anthropic" / "claude_code.json").read_bytes()
ASKED: dict[str, Any] = json.loads(BODY)
BETAS = "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27"
MODELS = """
providers:
  claude: {{dialect: anthropic, base_url: "{base}", key: sk-ant-canary, allow_private: true}}
models:
  claude-code: {{use: {use}, price: {{in: 1, out: 2}}}}
"""


async def ask(house: House, path: str = "/v1/messages?beta=true", body: bytes = BODY) -> httpx.Response:
    headers = {
        "authorization": f"Bearer {house.key}",
        "anthropic-version": "2023-06-01",
        "anthropic-beta": BETAS,
        "anthropic-dangerous-direct-browser-access": "true",
        "content-type": "application/json",
        "user-agent": "claude-cli/2.1.0 (external, cli)",
        "x-app": "cli",
    }
    async with httpx.AsyncClient(base_url=house.url) as http:
        return await http.post(path, content=body, headers=headers)


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: ")]


async def test_its_tool_loop_goes_on_at_a_provider_of_openai_s_dialect(house: House, provider: Chaosprov) -> None:
    await house.adopt(MODELS.format(base=provider.base_url.removesuffix("/v1"), use="chaos/ok"))
    provider.will(
        Say("I see."), Tool("Edit", '{"file_path":"/repo/main.py"}'), Finish("tool_calls"), Usage(900, 7), DONE
    )

    answer = await ask(house)

    assert answer.status_code == 200, answer.text
    told = events(answer)
    assert [event["type"] for event in told if event["type"] != "content_block_delta"] == [
        "message_start",
        "content_block_start",
        "content_block_stop",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert told[-2]["delta"]["stop_reason"] == "tool_use"
    asked: dict[str, Any] = provider.calls[0].json
    assert asked.keys() == {
        "model",
        "messages",
        "max_tokens",
        "stream",
        "stream_options",
        "tools",
        "user",
    }
    assert len(ASKED["metadata"]["user_id"]) > 64  # which is what OpenAI takes
    assert asked["user"] == "user_539442d7658a6fc2e81c2c094fa13c2e"
    assert len(asked["tools"]) == len(ASKED["tools"])
    assert asked["tools"][0]["function"]["parameters"] == ASKED["tools"][0]["input_schema"]
    assert b"cache_control" not in provider.calls[0].body
    system, question, said, shot, error, picture, reminder = asked["messages"]
    assert system == {"role": "system", "content": "\n\n".join(block["text"] for block in ASKED["system"])}
    assert question["role"] == "user"
    assert said["content"] == "I'll look at it."
    assert [call["id"] for call in said["tool_calls"]] == ["toolu_01Read", "toolu_01Bash"]
    assert (shot["role"], shot["tool_call_id"]) == ("tool", "toolu_01Read")
    assert error == {"role": "tool", "tool_call_id": "toolu_01Bash", "content": "Exit code 1\nAssertionError: 1 != 2"}
    assert picture["content"] == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]
    assert reminder == {"role": "user", "content": ASKED["messages"][2]["content"][2]["text"]}


async def test_what_a_provider_of_another_dialect_was_not_told_is_named(house: House, provider: Chaosprov) -> None:
    await house.adopt(MODELS.format(base=provider.base_url.removesuffix("/v1"), use="chaos/ok"))

    answer = await ask(house)

    dropped = answer.headers["x-llmgw-dropped"].split(", ")
    assert {"thinking", "context_management", "messages[2].thinking_blocks", "messages[4].is_error"} <= set(dropped)


async def test_it_is_passed_on_to_anthropic_byte_for_byte(house: House, provider: Chaosprov) -> None:
    await house.adopt(MODELS.format(base=provider.base_url.removesuffix("/v1"), use="claude/claude-code"))
    provider.will(*recorded("tools"))

    answer = await ask(house)

    assert answer.status_code == 200
    assert provider.calls[0].body == BODY
    assert provider.calls[0].header("anthropic-beta") == BETAS
    assert "x-llmgw-dropped" not in answer.headers


async def test_only_the_model_is_changed_in_what_is_passed_on(house: House, provider: Chaosprov) -> None:
    await house.adopt(MODELS.format(base=provider.base_url.removesuffix("/v1"), use="claude/claude-sonnet-4-5"))
    provider.will(Json(MESSAGE))
    body = json.dumps({**ASKED, "stream": False}).encode()

    answer = await ask(house, body=body)

    assert answer.json() == MESSAGE
    assert provider.calls[0].json == {**ASKED, "stream": False, "model": "claude-sonnet-4-5"}


async def test_it_counts_its_tokens(house: House, provider: Chaosprov) -> None:
    await house.adopt(MODELS.format(base=provider.base_url.removesuffix("/v1"), use="chaos/ok"))
    counted = {name: ASKED[name] for name in ("model", "system", "messages", "tools", "thinking")}

    answer = await ask(house, "/v1/messages/count_tokens?beta=true", json.dumps(counted).encode())

    assert answer.status_code == 200, answer.text
    assert answer.json()["input_tokens"] > 1000
    assert provider.calls == []


async def test_it_asks_the_built_in_provider(house: House) -> None:
    await house.adopt("models: {claude-code: {use: demo/demo, price: {in: 1, out: 2}}}")

    answer = await ask(house)

    assert events(answer)[-1] == {"type": "message_stop"}
