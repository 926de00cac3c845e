"""No call has more input tokens than its bound, whatever is in it and whatever the vocabulary."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.call import Call, Operation
from gateway.core.deployment import Deployment, Provider
from gateway.core.money import Price
from gateway.ingress.openai import OpenAIArrival
from gateway.ingress.request import Request
from gateway.meter.bound import Bounds, kinds
from gateway.meter.tokens import Tokens

TOKENS = Tokens()
BOUNDS = Bounds(TOKENS)
VOCABULARIES = ("o200k_base", "cl100k_base", "p50k_base")
ENCODINGS = [
    TOKENS.load({"o200k_base": "gpt-4o", "cl100k_base": "gpt-4", "p50k_base": "text-davinci-003"}[name])
    for name in VOCABULARIES
]
KNOWN = Deployment("openai/gpt-4o", Provider("openai", "openai"), "gpt-4o", None)
OWN = Deployment("lab/llama", Provider("lab", "openai"), "llama-3", None)
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}


def read(operation: Operation = Operation.CHAT, *, escaped: bool = False, **fields: Any) -> Call:
    """The call as the gateway reads it from a client that sends these fields."""
    fields = {"model": "m", **fields}
    body = json.dumps(fields).encode() if escaped else orjson.dumps(fields)
    request = Request(method=b"POST", target=b"/", headers={}, body=body, received=0.0, peer="")
    return OpenAIArrival(request, operation=operation, id="r").read(strict=False)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80) | st.sampled_from(
    ["", "\n", "  \n\n", "\u0000\u0001", "🦊" * 9, "ﷺ" * 5, "a\u0301" * 9, "<|endoftext|>", '"\\"', "\u202e\ufeff"]
)
NAMES = st.from_regex(r"[a-zA-Z0-9_-]{1,40}", fullmatch=True)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "developer"]), "content": TEXT},
    optional={"name": NAMES},
) | st.fixed_dictionaries(
    {
        "role": st.just("user"),
        "content": st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": TEXT}), min_size=1, max_size=3),
    }
)
MESSAGES = st.lists(MESSAGE, min_size=1, max_size=8)
TOOL = st.fixed_dictionaries(
    {
        "type": st.just("function"),
        "function": st.fixed_dictionaries(
            {
                "name": NAMES,
                "description": TEXT,
                "parameters": st.dictionaries(
                    NAMES, st.fixed_dictionaries({"type": st.just("string"), "description": TEXT}), max_size=8
                ).map(lambda properties: {"type": "object", "properties": properties}),
            }
        ),
    }
)


def name_of(tool: dict[str, Any]) -> str:
    name: str = tool["function"]["name"]
    return name


def told(encoding: tiktoken.Encoding, message: dict[str, Any]) -> int:
    """Tokens of a message by OpenAI's own account (num_tokens_from_messages of its cookbook)."""
    content = message["content"]
    texts = [content] if isinstance(content, str) else [part["text"] for part in content]
    named = len(encoding.encode_ordinary(message["name"])) + 1 if "name" in message else 0
    return (
        3
        + len(encoding.encode_ordinary(message["role"]))
        + sum(len(encoding.encode_ordinary(each)) for each in texts)
        + named
    )


def counted(encoding: tiktoken.Encoding, call: Call) -> int:
    """What a provider with this vocabulary bills, tools as the text that they are."""
    tools = call.fields.get("tools")
    of_tools = len(encoding.encode_ordinary(orjson.dumps(tools).decode())) if tools else 0
    return 3 + of_tools + sum(told(encoding, each) for each in call.fields["messages"])


@given(MESSAGES, st.booleans())
def test_no_messages_have_more_tokens_than_their_bound(messages: list[dict[str, Any]], escaped: bool) -> None:
    call = read(messages=messages, escaped=escaped)

    assert BOUNDS.sent(call, OWN) >= max(counted(encoding, call) for encoding in ENCODINGS)


@given(MESSAGES, st.lists(TOOL, min_size=1, max_size=6, unique_by=name_of))
def test_nor_do_tools(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> None:
    call = read(messages=messages, tools=tools)

    assert BOUNDS.sent(call, OWN) >= max(counted(encoding, call) for encoding in ENCODINGS)


@given(TEXT.filter(bool) | st.lists(TEXT.filter(bool), min_size=1, max_size=5))
def test_nor_do_prompts(prompt: str | list[str]) -> None:
    call = read(Operation.COMPLETION, prompt=prompt)
    prompts = [prompt] if isinstance(prompt, str) else prompt

    for encoding in ENCODINGS:
        assert BOUNDS.sent(call, OWN) >= sum(len(encoding.encode_ordinary(each)) for each in prompts)


@pytest.mark.parametrize("prompt", [[1, 2, 3], [[1, 2], [3]], [0]])
def test_token_ids_are_no_more_than_their_bytes(prompt: list[Any]) -> None:
    call = read(Operation.COMPLETION, prompt=prompt)

    assert BOUNDS.sent(call, OWN) >= len([id for each in prompt for id in (each if isinstance(each, list) else [each])])


@given(MESSAGES, st.lists(TOOL, max_size=6, unique_by=name_of))
async def test_the_closer_bound_is_one_too(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> None:
    fields: dict[str, Any] = {"messages": messages, **({"tools": tools} if tools else {})}
    call = read(**fields)

    closely = await BOUNDS.sent_closely(call, KNOWN)

    assert closely is not None
    assert counted(ENCODINGS[0], call) <= closely <= BOUNDS.sent(call, OWN)


MANY = 100


@pytest.mark.parametrize(
    "fields",
    [
        {
            "messages": [
                {"role": "user", "content": "hi", "name": f"a_Very-long_Name_{n}_zq_xw_vk_jh"} for n in range(MANY)
            ]
        },
        {
            "messages": [{"role": "user", "content": "hi"}],
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": f"f{n}",
                        "parameters": {
                            "type": "object",
                            "properties": {f"property_{n}_{m}": {"type": "string"} for m in range(30)},
                        },
                    },
                }
                for n in range(MANY)
            ],
        },
        {
            "messages": [{"role": "user", "content": "hi"}],
            "response_format": {
                "type": "json_schema",
                "json_schema": {
                    "name": "answer",
                    "schema": {"type": "object", "properties": {f"field_{n}": {"type": "string"} for n in range(1000)}},
                },
            },
        },
    ],
    ids=["names", "tools", "a schema"],
)
async def test_what_is_not_counted_is_bounded_by_its_bytes(fields: dict[str, Any]) -> None:
    call = read(**fields)
    extra = fields.get("tools") or fields.get("response_format")
    least = sum(told(ENCODINGS[0], each) for each in fields["messages"])
    least += len(ENCODINGS[0].encode_ordinary(orjson.dumps(extra).decode())) if extra else 0

    closely = await BOUNDS.sent_closely(call, KNOWN)

    assert closely is None or least <= closely


async def test_a_long_text_is_bounded_closely_where_the_vocabulary_is_public_and_only_there() -> None:
    call = read(messages=[{"role": "user", "content": "The quick brown fox jumps over the lazy dog. " * 1000}])

    closely = await BOUNDS.sent_closely(call, KNOWN)

    assert closely is not None
    assert closely < BOUNDS.sent(call, OWN) / 3
    assert await BOUNDS.sent_closely(call, OWN) is None


async def test_a_number_of_any_length_is_bounded_by_its_digits() -> None:
    call = read(escaped=True, messages=[{"role": "user", "content": "hi", "weight": 10**30}], seed=10**30)

    closely = await BOUNDS.sent_closely(call, KNOWN)

    assert closely is not None
    assert closely > 60


async def test_what_has_no_text_is_not_counted_closely() -> None:
    assert await BOUNDS.sent_closely(read(messages=[{"role": "user", "content": [IMAGE]}]), KNOWN) is None


@pytest.mark.parametrize(
    ("part", "least"),
    [
        (IMAGE, 1_105),  # gpt-4o in high detail, 8 tiles
        ({"type": "file", "file": {"file_id": "file-abc"}}, 128_000),
    ],
)
def test_what_is_sent_by_reference_counts_as_much_as_it_can_have(part: dict[str, Any], least: int) -> None:
    once = BOUNDS.sent(read(messages=[{"role": "user", "content": [part]}]), OWN)
    twice = BOUNDS.sent(read(messages=[{"role": "user", "content": [part, part]}]), OWN)

    assert once >= least
    assert twice >= 2 * least


def test_an_image_is_as_large_as_the_model_that_answers_makes_it_whatever_its_alias() -> None:
    mini = Deployment("openai/gpt-4o-mini", Provider("openai", "openai"), "gpt-4o-mini", None)
    call = read(messages=[{"role": "user", "content": [IMAGE]}], model="cheap")

    assert BOUNDS.sent(call, mini) >= 2_833 + 8 * 5_667


@pytest.mark.parametrize(
    ("operation", "fields", "choices"),
    [
        (Operation.CHAT, {}, 1),
        (Operation.CHAT, {"n": 4}, 4),
        (Operation.CHAT, {"n": None}, 1),
        (Operation.COMPLETION, {"prompt": "a"}, 1),
        (Operation.COMPLETION, {"prompt": ["a", "b"]}, 2),
        (Operation.COMPLETION, {"prompt": [1, 2, 3]}, 1),
        (Operation.COMPLETION, {"prompt": [[1, 2], [3]]}, 2),
        (Operation.COMPLETION, {"prompt": ["a", "b"], "n": 3}, 6),
        (Operation.COMPLETION, {"prompt": "a", "n": 2, "best_of": 5}, 5),
        (Operation.COMPLETION, {"prompt": ["a", "b"], "best_of": 5}, 10),
    ],
)
def test_an_answer_is_billed_as_often_as_it_is_generated(
    operation: Operation, fields: dict[str, Any], choices: int
) -> None:
    messages: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]} if operation is Operation.CHAT else {}

    assert BOUNDS.choices(read(operation, **messages, **fields)) == choices


@pytest.mark.parametrize(
    ("fields", "cap"),
    [({}, None), ({"max_tokens": 7}, 7), ({"max_completion_tokens": 9}, 9), ({"max_tokens": None}, None)],
)
def test_the_cap_is_the_one_the_client_gave(fields: dict[str, Any], cap: int | None) -> None:
    assert BOUNDS.asked_output(read(messages=[{"role": "user", "content": "hi"}], **fields)) == cap


def test_a_call_has_the_kinds_of_tokens_that_it_brings_or_asks_for() -> None:
    said = [{"role": "user", "content": [IMAGE]}]

    assert kinds(read(messages=said)) == {"image_input"}
    assert kinds(read(messages=said, modalities=["text", "audio"], audio={"voice": "x", "format": "wav"})) == {
        "image_input",
        "audio_output",
    }
    assert kinds(read(messages=[{"role": "user", "content": "hi"}])) == frozenset()


async def test_what_it_costs_is_never_more_than_the_ceiling() -> None:
    call = read(messages=[{"role": "user", "content": "hi"}])
    priced = Deployment("lab/x", Provider("lab", "openai"), "x", Price(1_000_000_000, 2_000_000_000, request=5))

    most = BOUNDS.ceiling(call, priced, sent=10, made=20)

    assert most == 50_005
    assert BOUNDS.cost(priced, sent=10, made=20) <= most
    assert BOUNDS.ceiling(call, OWN, sent=10, made=20) is None
    assert BOUNDS.cost(OWN, sent=10, made=20) == 0
