"""What Claude Code and Codex send, as it was recorded of them turn by turn, works with a provider of every dialect.

The shapes are theirs, of Claude Code 2.1.197 and Codex 0.171.0 in a loop of tools, with texts cut short and names taken out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.agents import rules
from tests.agents.rules import Sealed
from tests.agents.speaking import Turn, steps
from tests.agents.test_fallbacks import DIALECTS, UPSTREAM, policy
from tests.conftest import House
from tests.faults.chaosprov import Chaosprov

FOLDER = Path(__file__).parent / "shapes"
SHAPES: dict[str, Any] = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
CONVERSATION = {"claude_code": "messages", "codex": "input"}
CALLS = {"claude_code": ("Bash", {"command": "ls", "description": "Lists"}), "codex": ("exec_command", {"cmd": "ls"})}
CASES = [
    (agent, turn, dialect)
    for agent, shape in SHAPES.items()
    for turn in range(len(shape["turns"]))
    for dialect in DIALECTS
]


def body(agent: str, turn: int, dialect: str) -> dict[str, Any]:
    shape = SHAPES[agent]
    return {**shape["body"], CONVERSATION[agent]: shape["turns"][turn], "model": f"by-{dialect}"}


def sealed() -> Sealed:
    """By whoever answered as the shapes were recorded."""
    told = Sealed()
    for turn in SHAPES["claude_code"]["turns"][-1]:
        for block in turn["content"] if turn["role"] == "assistant" else ():
            if block["type"] == "thinking":
                told.thoughts.append((block["thinking"], block["signature"]))
    for item in SHAPES["codex"]["turns"][-1]:
        if item["type"] == "reasoning":
            told.seals.add(item["encrypted_content"])
    return told


async def asked(house: House, agent: str, sent: dict[str, Any]) -> httpx.Response:
    headers = {**SHAPES[agent]["headers"], "authorization": f"Bearer {house.key}"}
    async with httpx.AsyncClient(base_url=house.url) as http:
        return await http.post(SHAPES[agent]["path"], json=sent, headers=headers)


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: ")]


@pytest.fixture
async def agency(house: House, provider: Chaosprov) -> House:
    models = "\n".join(
        f"  by-{name}: {{use: '{name}/{UPSTREAM[name]}', price: {{in: 1, out: 2}}}}" for name in DIALECTS
    )
    await house.adopt(f"{policy(provider.base_url.removesuffix('/v1'))}{models}\n")
    return house


def test_the_shapes_hold_what_is_hard_about_them() -> None:
    claude, codex = SHAPES["claude_code"], SHAPES["codex"]

    assert {"thinking", "context_management", "output_config", "metadata"} <= claude["body"].keys()
    assert {turn["role"] for turn in claude["turns"][-1]} == {"user", "assistant", "system"}
    assert {"namespace", "web_search", "function"} == {tool["type"] for tool in codex["body"]["tools"]}
    assert {"client_metadata", "include", "prompt_cache_key"} <= codex["body"].keys()
    assert len(sealed().thoughts) > 1
    assert len(sealed().seals) > 1


@pytest.mark.parametrize(("agent", "turn", "dialect"), CASES)
async def test_no_provider_would_refuse_it_and_the_agent_is_answered(
    agency: House, provider: Chaosprov, agent: str, turn: int, dialect: str
) -> None:
    known = sealed()
    provider.will(*steps(dialect, Turn(70, thought="Hm.", text="I look.", calls=(CALLS[agent],)), known, stream=True))

    answer = await asked(agency, agent, body(agent, turn, dialect))

    assert answer.status_code == 200, answer.text
    (call,) = provider.calls
    assert rules.faults(dialect, call.json, known) == []
    last = events(answer)[-1]
    assert last["type"] == ("message_stop" if agent == "claude_code" else "response.completed")


@pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if dialect != "responses"])
async def test_codex_s_tools_in_a_namespace_are_called_by_their_own_names(
    agency: House, provider: Chaosprov, dialect: str
) -> None:
    (namespace,) = [tool for tool in SHAPES["codex"]["body"]["tools"] if tool["type"] == "namespace"]
    name = namespace["tools"][0]["name"]
    called: tuple[tuple[str, dict[str, Any]], ...] = (
        (f"{namespace['name']}__{name}", {}),
        (name, {}),
    )  # a habit of some
    known = Sealed()
    provider.will(*steps(dialect, Turn(71, calls=called), known, stream=True))

    answer = await asked(agency, "codex", body("codex", 0, dialect))

    output = events(answer)[-1]["response"]["output"]
    assert [(item["name"], item["namespace"]) for item in output] == [(name, namespace["name"])] * 2
    said = [*SHAPES["codex"]["turns"][0], *output]
    said += [{"type": "function_call_output", "call_id": item["call_id"], "output": "ok"} for item in output]
    provider.will(*steps(dialect, Turn(72, text="Done."), Sealed(), stream=True))
    await asked(agency, "codex", {**body("codex", 0, dialect), "input": said})
    assert rules.faults(dialect, provider.calls[-1].json, known) == []
    assert provider.calls[-1].body.count(f'"{namespace["name"]}__{name}"'.encode()) >= 3


@pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if dialect != "anthropic"])
async def test_a_tool_of_a_long_name_is_called_by_it(agency: House, provider: Chaosprov, dialect: str) -> None:
    name = "mcp__a_server_of_a_rather_long_name__and_a_tool_whose_name_is_even_longer"
    sent = {**body("claude_code", 0, dialect), "tools": [{"name": name, "input_schema": {"type": "object"}}]}
    provider.will(*steps(dialect, Turn(73, text="Hm."), Sealed(), stream=True))
    await asked(agency, "claude_code", sent)
    assert rules.faults(dialect, provider.calls[0].json) == []
    (short,) = {word for word in provider.calls[0].body.decode().split('"') if word.startswith("mcp__")}
    provider.will(*steps(dialect, Turn(74, calls=((short, {}),)), Sealed(), stream=True))

    answer = await asked(agency, "claude_code", sent)

    begun = [event["content_block"] for event in events(answer) if event["type"] == "content_block_start"]
    assert [block["name"] for block in begun] == [name]
