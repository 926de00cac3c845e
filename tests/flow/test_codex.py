"""The Codex CLI, by the shape of its requests, works on with a provider that speaks chat alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import DONE, Event, Finish, Say, Tool, Usage
from tests.flow.client import chunks, post
from tests.flow.test_responses import PROVIDERS, recorded, streamed

REQUEST = json.loads((Path(__file__).parent / "codex.json").read_text())
PATCH = '*** Begin Patch\n*** Add File: hello.txt\n+say "hello"\n*** End Patch\n'


async def asked(house: House, *more: dict[str, Any]) -> list[Any]:
    """The items of the response."""
    answer = await post(house, {**REQUEST, "input": [*REQUEST["input"], *more]}, path="/v1/responses")
    events = chunks(answer.content)
    assert events[-1]["type"] == "response.completed", events[-1]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == events[-1]["response"]["output"]
    return done


async def test_codex_works_through_a_loop_of_tools(house: House, provider: Chaosprov) -> None:
    thought = {"choices": [{"index": 0, "delta": {"role": "assistant", "reasoning_content": "I shall look."}}]}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "ok"}
    shell = Tool("shell", '{"command":["bash","-lc","ls"]}', id="call_shell")
    patch = Tool("apply_patch", json.dumps({"input": PATCH}), id="call_patch")
    local = Tool("local_shell", '{"command":["cat","hello.txt"]}', id="call_local")
    end = (Finish("tool_calls"), Usage(100, 20), DONE)
    provider.will(Event({**head, **thought}), shell, *end)
    provider.will(Say("Now the file."), patch, *end)
    provider.will(local, *end)
    provider.will(Say("Done."), Finish(), Usage(100, 20), DONE)

    first = await asked(house)
    assert [item["type"] for item in first] == ["reasoning", "function_call"]
    said = [*first, {"type": "function_call_output", "call_id": "call_shell", "output": '{"output":"README.md"}'}]
    second = await asked(house, *said)
    assert [item["type"] for item in second] == ["message", "custom_tool_call"]
    assert second[1]["input"] == PATCH
    said += [*second, {"type": "custom_tool_call_output", "call_id": "call_patch", "output": "Success."}]
    (third,) = await asked(house, *said)
    assert (third["type"], third["action"]) == (
        "local_shell_call",
        {"type": "exec", "env": {}, "command": ["cat", "hello.txt"]},
    )
    said += [third, {"type": "function_call_output", "call_id": "call_local", "output": 'say "hello"'}]
    (last,) = await asked(house, *said)

    assert last["content"][0]["text"] == "Done."
    asked_last = provider.calls[3].json
    roles = ["system", "system", "user", "user", "user", *["assistant", "tool"] * 3]
    assert [message["role"] for message in asked_last["messages"]] == roles
    assert asked_last["messages"][7]["content"] == "Now the file."
    assert json.loads(asked_last["messages"][7]["tool_calls"][0]["function"]["arguments"]) == {"input": PATCH}
    names = [tool["function"]["name"] for tool in asked_last["tools"]]
    assert names == ["shell", "update_plan", "apply_patch", "local_shell"]
    assert asked_last["prompt_cache_key"] == REQUEST["prompt_cache_key"]
    assert asked_last["reasoning_effort"] == "medium"


async def test_codex_is_told_what_chat_could_not_carry(house: House) -> None:
    answer = await post(house, REQUEST, path="/v1/responses")

    told = answer.headers["x-llmgw-dropped"].split(", ")
    assert told == ["reasoning.summary", "tools[2].custom.format", "tools[4]"]


@pytest.mark.parametrize("text", [PATCH, "{not json"])
async def test_a_model_that_writes_the_text_itself_means_it(house: House, provider: Chaosprov, text: str) -> None:
    provider.will(Tool("apply_patch", text), Finish("tool_calls"), Usage(1, 1), DONE)

    (item,) = await asked(house)

    assert (item["type"], item["input"]) == ("custom_tool_call", text)


async def test_a_provider_of_responses_gets_codex_s_own_bytes(house: House, provider: Chaosprov) -> None:
    await house.adopt(PROVIDERS.format(url=provider.base_url))
    provider.will(*streamed("reasoning"))
    body = (Path(__file__).parent / "codex.json").read_bytes().replace(b'"model": "ok"', b'"model": "relay"')

    answer = await post(house, body, path="/v1/responses")

    assert answer.content == recorded("reasoning")
    assert "x-llmgw-dropped" not in answer.headers
    sent = provider.calls[0].body
    assert json.loads(sent) == {**REQUEST, "model": "gpt-5"}
    for name in (b'"input"', b'"tools"'):
        written = body[body.index(name) :].partition(b": ")[2].partition(b"\n  ]")[0]
        assert written in sent
