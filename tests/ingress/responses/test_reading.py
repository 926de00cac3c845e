"""Every field of a request for a response is forwarded, mapped or named as dropped; items become a chat's messages."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import response_create_params

from gateway.core.errors import InvalidRequest
from gateway.ingress.responses.reading import FORWARDED, Reading, read

HI = {"input": "hi", "model": "m"}
SAMPLES: dict[str, Any] = {
    "background": False,
    "context_management": [{"type": "compaction"}],
    "include": ["message.output_text.logprobs"],
    "input": "hi",
    "instructions": "Be kind.",
    "max_output_tokens": 16,
    "max_tool_calls": 3,
    "metadata": {"a": "b"},
    "model": "m",
    "moderation": {"model": "omni"},
    "parallel_tool_calls": False,
    "previous_response_id": "resp_1",
    "prompt": {"id": "greeting", "version": "3", "variables": {"name": "Ada"}},
    "prompt_cache_key": "k",
    "prompt_cache_options": {"mode": "implicit"},
    "prompt_cache_retention": "24h",
    "reasoning": {"effort": "high"},
    "safety_identifier": "u",
    "service_tier": "flex",
    "store": True,
    "stream": True,
    "stream_options": {"include_obfuscation": True},
    "temperature": 0.5,
    "text": {"verbosity": "low", "format": {"type": "json_object"}},
    "tool_choice": "required",
    "tools": [{"type": "function", "name": "f", "parameters": {}}],
    "top_logprobs": 2,
    "top_p": 0.5,
    "truncation": "auto",
    "user": "u",
}
"""A value that says something, for each field of the SDK's own schema but `conversation`, which is refused."""
OURS = {"store": "kept or not", "previous_response_id": "looked up before", "background": "nothing is asked for"}
"""What only the gateway acts on."""


def fields_of_the_schema() -> set[str]:
    base = response_create_params.ResponseCreateParamsBase.__annotations__
    return {*base, *response_create_params.ResponseCreateParamsStreaming.__annotations__}


def reading(**fields: Any) -> Reading:
    return read({**HI, **fields}, ())


def messages(*items: Any, instructions: str | None = None) -> Any:
    return reading(input=list(items), instructions=instructions).chat["messages"]


def test_the_samples_are_the_sdk_s_schema() -> None:
    assert {*SAMPLES, "conversation"} == fields_of_the_schema()


@pytest.mark.parametrize("name", sorted(SAMPLES.keys() - {"input", "model"}))
def test_no_field_is_lost_in_silence(name: str) -> None:
    beside = {"tools": SAMPLES["tools"]} if name == "tool_choice" else {}
    without, with_it = reading(**beside), reading(**{**beside, name: SAMPLES[name]})

    is_told = any(path.startswith(name) for path in with_it.dropped)
    changes = (without.chat, without.template) != (with_it.chat, with_it.template)
    assert is_told + changes == 1 or name in OURS


@given(st.dictionaries(st.sampled_from(sorted(SAMPLES)), st.none() | st.just(...), max_size=12))
def test_any_mixture_of_fields_is_read_and_nothing_else_is_told(chosen: dict[str, Any]) -> None:
    fields = {name: SAMPLES[name] if value is ... else None for name, value in chosen.items()}
    told = read({**fields, **HI}, ())

    assert {path.partition(".")[0].partition("[")[0] for path in told.dropped} <= fields.keys()
    assert all(told.chat[name] == value for name, value in fields.items() if name in FORWARDED and value is not None)


def test_unknown_fields_are_named() -> None:
    assert reading(x_new=1, other=None).dropped == ["x_new"]


def test_a_prompt_is_a_template_and_its_variables() -> None:
    told = reading(prompt=SAMPLES["prompt"])

    assert told.template == "greeting@3"
    assert told.chat["llmgw"] == {"variables": {"name": "Ada"}}


def test_what_chat_says_otherwise_is_mapped() -> None:
    schema = {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": True}
    told = reading(
        text={"format": schema, "verbosity": "high"},
        reasoning={"effort": "low", "summary": "auto"},
        max_output_tokens=9,
        include=["reasoning.encrypted_content", "file_search_call.results"],
        top_logprobs=3,
        stream=True,
    )

    assert told.chat["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "a", "schema": {"type": "object"}, "strict": True},
    }
    assert (told.chat["verbosity"], told.chat["reasoning_effort"]) == ("high", "low")
    assert (told.chat["max_completion_tokens"], told.chat["logprobs"], told.chat["top_logprobs"]) == (9, True, 3)
    assert told.chat["stream_options"] == {"include_usage": True}
    assert told.dropped == ["reasoning.summary", "include[1]"]


def test_tools_and_choices() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: /a/"}
    tools = [
        {"type": "function", "name": "f", "parameters": {}, "strict": None},
        {"type": "custom", "name": "c", "description": "d", "format": grammar},
        {"type": "local_shell"},
        {"type": "web_search"},
    ]

    told = reading(tools=tools, tool_choice={"type": "custom", "name": "c"}).chat

    assert told["tools"][0] == {"type": "function", "function": {"name": "f", "parameters": {}}}
    assert told["tools"][1]["custom"] == {
        "name": "c",
        "description": "d",
        "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /a/"}},
    }
    assert told["tools"][2]["function"]["name"] == "local_shell"
    assert told["tools"][3] == {"type": "web_search"}
    assert told["tool_choice"] == {"type": "custom", "custom": {"name": "c"}}
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]}
    few = reading(tools=tools, tool_choice=allowed).chat
    assert (few["tool_choice"], [tool["function"]["name"] for tool in few["tools"]]) == ("required", ["f"])
    assert reading(tools=tools, tool_choice={"type": "web_search_preview"}).dropped == ["tool_choice"]
    assert reading(tool_choice="required").dropped == ["tool_choice"]


def test_what_an_assistant_did_in_one_go_is_one_message() -> None:
    told = messages(
        {"role": "developer", "content": "Rules."},
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA", "status": None},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me see."}]},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "b", "name": "c", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "b", "output": "two"},
        {"type": "function_call_output", "call_id": "a", "output": [{"type": "input_text", "text": "one"}]},
        instructions="Be kind.",
    )

    assert told == [
        {"role": "system", "content": "Be kind."},
        {"role": "system", "content": "Rules."},
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": "Let me see.",
            "reasoning_items": [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}],
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "b", "type": "custom", "custom": {"name": "c", "input": "x"}},
            ],
        },
        {"role": "tool", "tool_call_id": "b", "content": "two"},
        {"role": "tool", "tool_call_id": "a", "content": "one"},
    ]


def test_a_result_stands_behind_its_call_wherever_it_came() -> None:
    told = messages(
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"role": "user", "content": "hurry"},
        {"type": "function_call_output", "call_id": "a", "output": "x"},
        {"type": "function_call", "call_id": "b", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "b", "output": {"temperature": 5}},
    )

    assert [message["role"] for message in told] == ["assistant", "tool", "user", "assistant", "tool"]
    assert told[4]["content"] == '{"temperature":5}'


def test_reasoning_that_is_not_sealed_can_be_read() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]}

    (told,) = messages(item, {"role": "assistant", "content": "Yes."})

    assert (told["reasoning_content"], told["content"]) == ("Hm.", "Yes.")


def test_a_local_shell_s_call_and_what_came_of_it() -> None:
    action: Any = {"type": "exec", "command": ["ls"], "env": {}, "timeout_ms": None}
    told = messages(
        {"type": "local_shell_call", "id": "lsh_1", "call_id": "a", "action": action, "status": "completed"},
        {"type": "local_shell_call_output", "id": "a", "output": "file"},
    )

    assert told[0]["tool_calls"][0]["function"] == {"name": "local_shell", "arguments": '{"command":["ls"]}'}
    assert told[1] == {"role": "tool", "tool_call_id": "a", "content": "file"}


@pytest.mark.parametrize(
    ("part", "where"),
    [
        (5, "input[0].content[0]"),
        ({"type": "input_text"}, "input[0].content[0].text"),
        ({"type": "input_file", "filename": "a"}, "input[0].content[0]"),
        ({"type": "input_image"}, "input[0].content[0]"),
    ],
)
def test_a_part_that_is_none_is_named(part: Any, where: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        messages({"role": "user", "content": [part]})

    assert refused.value.param == where
