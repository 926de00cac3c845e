"""A chat is asked of Gemini in its own words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.core.call import Operation
from gateway.core.deployment import Deployment, Provider
from gateway.core.errors import InvalidRequest
from gateway.upstream.dialects.dialect import Outgoing
from gateway.upstream.dialects.gemini.dialect import Gemini
from tests.upstream.translating import chat

PNG = "iVBORw0KGgo="
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


def asked(
    *, model: str = "gemini-2.5-flash", cap: int | None = None, operation: Operation = Operation.CHAT, **fields: Any
) -> Outgoing:
    deployment = Deployment("g/m", Provider("g", "gemini"), model, price=None)
    return Gemini().request(chat(operation, **fields), deployment, cap, now=0.0)


def body(**fields: Any) -> Any:
    return json.loads(asked(**fields).body)


def content(*messages: dict[str, Any], **more: Any) -> Any:
    return body(messages=list(messages), **more)["contents"]


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def call(id: str, name: str, arguments: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


@pytest.mark.parametrize(
    ("model", "stream", "path"),
    [
        ("gemini-2.5-flash", False, "/models/gemini-2.5-flash:generateContent"),
        ("gemini-2.5-flash", True, "/models/gemini-2.5-flash:streamGenerateContent?alt=sse"),
        ("tunedModels/mine-1", False, "/tunedModels/mine-1:generateContent"),
        ("a?b#c d", False, "/models/a%3Fb%23c%20d:generateContent"),
    ],
)
def test_where_it_is_asked(model: str, stream: bool, path: str) -> None:
    assert asked(model=model, stream=stream).path == path


@pytest.mark.parametrize("model", ["..", "models/../../v1/secrets", "a//b", "/x"])
def test_a_model_s_name_does_not_lead_elsewhere(model: str) -> None:
    with pytest.raises(InvalidRequest):
        asked(model=model)


def test_system_prompts_are_the_instruction() -> None:
    told = body(messages=[{"role": "system", "content": "Be brief."}, user({"type": "text", "text": "Hi"})])

    assert told == {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
    }


def test_a_system_prompt_alone_is_asked() -> None:
    told = body(messages=[{"role": "developer", "content": "Say hi."}])

    assert told == {"contents": [{"role": "user", "parts": [{"text": "Say hi."}]}]}


def test_turns_alternate() -> None:
    said = [("user", "a"), ("user", "b"), ("assistant", "c"), ("assistant", ""), ("assistant", "d"), ("user", "e")]

    told = content(*({"role": role, "content": text} for role, text in said))

    assert [(turn["role"], [part["text"] for part in turn["parts"]]) for turn in told] == [
        ("user", ["a", "b"]),
        ("model", ["c", "d"]),
        ("user", ["e"]),
    ]


def test_tools_results_are_found_by_the_call_s_id_and_given_in_the_order_of_the_calls() -> None:
    calls = [call("x", "weather", '{"city": "Zürich", "limit": 1.50}'), call("y", "now", "")]
    results = [
        {"role": "tool", "tool_call_id": "y", "content": "noon"},
        {"role": "tool", "tool_call_id": "x", "content": '{"degrees": 4.10}'},
    ]

    outgoing = asked(messages=[user(), {"role": "assistant", "content": None, "tool_calls": calls}, *results])

    assert outgoing.dropped == ()
    assert b'"limit":1.50' in outgoing.body
    assert b'"degrees":4.10' in outgoing.body
    assert json.loads(outgoing.body)["contents"] == [
        {
            "role": "model",
            "parts": [
                {"functionCall": {"name": "weather", "args": {"city": "Zürich", "limit": 1.5}}},
                {"functionCall": {"name": "now", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "weather", "response": {"output": {"degrees": 4.1}}}},
                {"functionResponse": {"name": "now", "response": {"output": "noon"}}},
            ],
        },
    ]


def test_ids_may_be_used_again_in_a_later_turn() -> None:
    told = content(
        {"role": "assistant", "tool_calls": [call("1", "a", "{}")]},
        {"role": "tool", "tool_call_id": "1", "content": "x"},
        {"role": "assistant", "tool_calls": [call("1", "b", "{}")]},
        {"role": "tool", "tool_call_id": "1", "content": "y", "is_error": True},
        {"role": "user", "content": "Go on"},
    )

    responses = [part["functionResponse"] for turn in told for part in turn["parts"] if "functionResponse" in part]
    assert responses == [{"name": "a", "response": {"output": "x"}}, {"name": "b", "response": {"error": "y"}}]
    assert told[-1] == {"role": "user", "parts": [{"text": "Go on"}]}


def test_an_image_that_a_tool_returns_stands_beside_its_result() -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}

    told = content(
        {"role": "assistant", "tool_calls": [call("1", "plot", "{}")]},
        {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "done"}, image]},
    )

    assert told[1]["parts"] == [
        {"functionResponse": {"name": "plot", "response": {"output": "done"}}},
        {"inlineData": {"mimeType": "image/png", "data": PNG}},
    ]


SIGNED = {"extra_content": {"google": {"thought_signature": "abc"}}}


@pytest.mark.parametrize(
    ("model", "extra", "signatures"),
    [
        ("gemini-3-pro-preview", SIGNED, [None, "abc"]),
        ("gemini-3-pro-preview", {}, ["skip_thought_signature_validator", None]),
        ("gemini-2.5-pro", SIGNED, [None, "abc"]),
        ("gemini-2.5-pro", {}, [None, None]),
    ],
)
def test_signatures_of_thoughts_go_back_and_none_is_missed(
    model: str, extra: dict[str, Any], signatures: list[str | None]
) -> None:
    calls = [call("1", "a", "{}"), call("2", "b", "{}", **extra)]
    results = [{"role": "tool", "tool_call_id": id, "content": ""} for id in "12"]

    told = content({"role": "assistant", "tool_calls": calls}, *results, model=model)

    assert [part.get("thoughtSignature") for part in told[0]["parts"]] == signatures


PARTS = [
    (
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {"inlineData": {"mimeType": "image/png", "data": PNG}},
    ),
    (
        {"type": "image_url", "image_url": {"url": "https://x.org/a.jpg", "detail": "auto"}},
        {"fileData": {"fileUri": "https://x.org/a.jpg", "mimeType": "image/jpeg"}},
    ),
    (
        {"type": "video_url", "video_url": {"url": "https://youtu.be/x"}},
        {"fileData": {"fileUri": "https://youtu.be/x"}},
    ),
    (
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "mp3"}},
        {"inlineData": {"mimeType": "audio/mpeg", "data": "UklGRg=="}},
    ),
    (
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERg==", "filename": "a.pdf"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}},
    ),
    (
        {"type": "file", "file": {"file_data": "JVBERg==", "filename": "a.pdf"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}},
    ),
    (
        {"type": "file", "file": {"file_url": "gs://bucket/a.pdf"}},
        {"fileData": {"fileUri": "gs://bucket/a.pdf", "mimeType": "application/pdf"}},
    ),
    (
        {"type": "image_url", "image_url": {"url": "data:text/plain,a%20b"}},
        {"inlineData": {"mimeType": "text/plain", "data": "YSBi"}},
    ),
]


@pytest.mark.parametrize(("part", "expected"), PARTS)
def test_parts(part: dict[str, Any], expected: dict[str, Any]) -> None:
    outgoing = asked(messages=[user(part)])

    assert json.loads(outgoing.body)["contents"] == [{"role": "user", "parts": [expected]}]
    assert outgoing.dropped == ()


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}},
        {"type": "image_url", "image_url": {}},
        {"type": "input_audio", "input_audio": {"data": "?", "format": "wav"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ],
)
def test_what_gemini_could_not_read_is_refused_and_not_left_out(part: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as raised:
        asked(messages=[user({"type": "text", "text": "Look"}, part)])

    assert raised.value.param == f"messages[0].content[1].{part['type']}"


CONFIG: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"temperature": 0.5, "top_p": 0.9, "top_k": 4}, {"temperature": 0.5, "topP": 0.9, "topK": 4}),
    ({"max_tokens": 9}, {"maxOutputTokens": 9}),
    ({"max_completion_tokens": 9}, {"maxOutputTokens": 9}),
    ({"max_tokens": 9, "cap": 5}, {"maxOutputTokens": 5}),
    ({"cap": 5}, {"maxOutputTokens": 5}),
    ({"n": 3}, {"candidateCount": 3}),
    ({"stop": "END"}, {"stopSequences": ["END"]}),
    ({"stop": ["a", "b"]}, {"stopSequences": ["a", "b"]}),
    (
        {"seed": 7, "presence_penalty": 1, "frequency_penalty": -1},
        {"seed": 7, "presencePenalty": 1, "frequencyPenalty": -1},
    ),
    ({"logprobs": True, "top_logprobs": 3}, {"responseLogprobs": True, "logprobs": 3}),
    ({"response_format": {"type": "json_object"}}, {"responseMimeType": "application/json"}),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": WEATHER, "strict": True}}},
        {"responseMimeType": "application/json", "responseJsonSchema": WEATHER},
    ),
    ({"modalities": ["text", "image"]}, {"responseModalities": ["TEXT", "IMAGE"]}),
    ({"reasoning_effort": "low"}, {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1024}}),
    ({"reasoning_effort": "none"}, {"thinkingConfig": {"thinkingBudget": 0}}),
    ({"reasoning_effort": "none", "model": "gemini-2.5-pro"}, {"thinkingConfig": {"thinkingBudget": 128}}),
    (
        {"reasoning_effort": "medium", "model": "gemini-3-flash-preview"},
        {"thinkingConfig": {"includeThoughts": True, "thinkingLevel": "medium"}},
    ),
    ({"reasoning_effort": "none", "model": "gemini-3-pro-preview"}, {"thinkingConfig": {"thinkingLevel": "low"}}),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 2000}},
    ),
    ({"thinking": {"type": "disabled"}}, {"thinkingConfig": {"thinkingBudget": 0}}),
    ({"thinking": {"type": "adaptive", "display": "omitted"}}, {"thinkingConfig": {"includeThoughts": False}}),
]


@pytest.mark.parametrize(("fields", "config"), CONFIG)
def test_parameters(fields: dict[str, Any], config: dict[str, Any]) -> None:
    outgoing = asked(**fields)

    assert json.loads(outgoing.body)["generationConfig"] == config
    assert outgoing.dropped == ()


TOOL = {"type": "function", "function": {"name": "weather", "description": "Tells it", "parameters": WEATHER}}


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        ("auto", None),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "weather"}}, {"mode": "ANY", "allowedFunctionNames": ["weather"]}),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "weather"}}]},
            },
            {"mode": "VALIDATED", "allowedFunctionNames": ["weather"]},
        ),
    ],
)
def test_tools(choice: Any, calling: Any) -> None:
    outgoing = asked(tools=[TOOL], tool_choice=choice, parallel_tool_calls=True)

    told = json.loads(outgoing.body)
    declaration = {"name": "weather", "description": "Tells it", "parametersJsonSchema": WEATHER}
    assert told["tools"] == [{"functionDeclarations": [declaration]}]
    assert told.get("toolConfig") == (None if calling is None else {"functionCallingConfig": calling})
    assert outgoing.dropped == ()


def test_safety_settings_are_passed_on() -> None:
    settings = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]

    assert body(safety_settings=settings)["safetySettings"] == settings


def test_embeddings() -> None:
    outgoing = asked(
        model="gemini-embedding-001", operation=Operation.EMBEDDINGS, input=["a", "b"], dimensions=8, user="u"
    )

    request = {"model": "models/gemini-embedding-001", "outputDimensionality": 8}
    assert outgoing.path == "/models/gemini-embedding-001:batchEmbedContents"
    assert json.loads(outgoing.body) == {
        "requests": [{**request, "content": {"parts": [{"text": each}]}} for each in "ab"]
    }
    assert outgoing.dropped == ("user",)


@pytest.mark.parametrize("written", [[1, 2], [[1], [2]], 5, None])
def test_tokens_are_not_embedded(written: Any) -> None:
    with pytest.raises(InvalidRequest, match="texts, not tokens"):
        asked(operation=Operation.EMBEDDINGS, input=written)


def test_completions_are_not_for_gemini() -> None:
    with pytest.raises(InvalidRequest, match="chats, not completions"):
        asked(operation=Operation.COMPLETION, prompt="Once")
