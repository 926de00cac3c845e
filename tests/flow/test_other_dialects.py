"""The official openai SDK speaks to Gemini and to Bedrock through the gateway, each of which is asked in its own dialect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletionChunk
from pydantic import BaseModel

from gateway.upstream.dialects.bedrock.eventstream import Decoder
from tests.conftest import House
from tests.eventstream import event, exception
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import CUT, HANG, Body, Head, Json, Status, Step
from tests.upstream.bedrock import test_streams as bedrock
from tests.upstream.gemini import test_streams as gemini
from tests.upstream.gemini import test_whole as gemini_whole

CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
PRICE = "price: {in: 1, out: 2, cached_in: 0.1}"
POLICY = f"""
providers:
  google: {{dialect: gemini, base_url: "ROOT/v1beta", key: AIza-canary, allow_private: true}}
  amazon: {{dialect: bedrock, base_url: "ROOT", region: us-east-1, allow_private: true,
           aws: {{access_key_id: AKIDEXAMPLE, secret_access_key: canary-secret, session_token: canary-token}}}}
  token: {{dialect: bedrock, base_url: "ROOT", key: canary-bearer, allow_private: true}}
models:
  gemini: {{use: google/gemini-2.5-flash, {PRICE}}}
  bedrock: {{use: "amazon/{CLAUDE}", {PRICE}}}
  nova: {{use: "token/amazon.nova-lite-v1:0", {PRICE}}}
  embedding: {{use: google/gemini-embedding-001, price: {{in: 1, out: 0}}}}
"""
HELLO: Any = [{"role": "user", "content": "Say hello"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "strict": True,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
PNG = "data:image/png;base64,iVBORw0KGgo="


@dataclass(frozen=True)
class Speaker:
    """A provider that speaks a dialect: its recorded streams, and its whole answers of the same."""

    model: str
    streams: Mapping[str, bytes]
    content_type: str

    def stream(self, name: str, *more: Step) -> tuple[Step, ...]:
        return self.says(self.streams[name], *more)

    def says(self, data: bytes, *more: Step) -> tuple[Step, ...]:
        return (Head(headers=(("Content-Type", self.content_type),)), Body(data), *more)

    def whole(self, name: str) -> Step:
        return Json(gemini_whole.document(name) if self.model == "gemini" else bedrock.document(name))

    def cut(self, name: str) -> bytes:
        """A stream without its last event but usage: the one that says that it is over."""
        stream = self.streams[name]
        if self.model == "gemini":
            return stream[: stream.rindex(b"data: ")]
        return stream[: stream.index(b":event-type\x07\x00\x0bmessageStop") - 13]


GEMINI = Speaker("gemini", gemini.STREAMS, "text/event-stream")
BEDROCK = Speaker("bedrock", bedrock.STREAMS, "application/vnd.amazon.eventstream")


@pytest.fixture(params=[GEMINI, BEDROCK], ids=lambda speaker: speaker.model)
def speaker(request: pytest.FixtureRequest) -> Speaker:
    found: Speaker = request.param
    return found


def policy(provider: Chaosprov) -> str:
    return POLICY.replace("ROOT", provider.base_url.removesuffix("/v1"))


async def read(stream: AsyncStream[ChatCompletionChunk], said: list[tuple[str, str | None]]) -> None:
    """Adds the text and the reason to end of each chunk."""
    async for chunk in stream:
        said += [(choice.delta.content or "", choice.finish_reason) for choice in chunk.choices]


@pytest.fixture(autouse=True)
async def _adopted(house: House, provider: Chaosprov) -> None:
    await house.adopt(policy(provider))


async def told(house: House) -> tuple[Any, ...]:
    record = await house.only_record()
    assert record["cost_nano_usd"] == house.account()[0]
    return tuple(record[name] for name in ("status", "outcome", "input_tokens", "output_tokens", "cost_nano_usd"))


async def test_a_whole_answer(house: House, sdk: AsyncOpenAI, provider: Chaosprov, speaker: Speaker) -> None:
    provider.will(speaker.whole("text"))

    answer = await sdk.chat.completions.create(model=speaker.model, messages=HELLO, max_tokens=50)

    assert answer.choices[0].message.content == "Grüß Gott, 世界! 👋"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    if speaker is GEMINI:
        assert await told(house) == (200, "upstream", 9, 30, 5_000 + 400 + 60_000)
    else:
        assert await told(house) == (200, "upstream", 11, 9, 11_000 + 18_000)


async def test_a_stream(house: House, sdk: AsyncOpenAI, provider: Chaosprov, speaker: Speaker) -> None:
    provider.will(*speaker.stream("text"))

    stream = await sdk.chat.completions.create(
        model=speaker.model, messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Grüß Gott, 世界! 👋"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert [chunk.usage.completion_tokens for chunk in chunks if chunk.usage] == [30 if speaker is GEMINI else 9]
    assert (await told(house))[:2] == (200, "upstream")


async def test_a_tool_loop(sdk: AsyncOpenAI, provider: Chaosprov, speaker: Speaker) -> None:
    provider.will(*speaker.stream("tools"))
    async with sdk.chat.completions.stream(model=speaker.model, messages=HELLO, tools=[WEATHER]) as stream:
        asked = (await stream.get_final_completion()).choices[0]
    calls: Any = asked.message.tool_calls
    results: Any = [{"role": "tool", "tool_call_id": call.id, "content": f"{call.function.name}!"} for call in calls]
    provider.will(speaker.whole("text"))

    history: Any = [*HELLO, asked.message.to_dict(), *results]
    await sdk.chat.completions.create(model=speaker.model, messages=history, tools=[WEATHER])

    assert asked.finish_reason == "tool_calls"
    assert json.loads(calls[0].function.arguments)["city"] == "Zürich"
    sent = provider.calls[1].json
    if speaker is GEMINI:
        made, given = sent["contents"][1]["parts"], sent["contents"][2]["parts"]
        assert [part["functionCall"]["name"] for part in made if "functionCall" in part] == [
            "weather",
            "weather",
            "now",
        ]
        assert [part["thoughtSignature"] for part in made if "thoughtSignature" in part] == ["EjQKMgG+Pvb7"]
        assert [part["functionResponse"]["response"] for part in given][-1] == {"output": "now!"}
    else:
        made, given = sent["messages"][1]["content"], sent["messages"][2]["content"]
        assert [block["toolUse"]["name"] for block in made if "toolUse" in block] == ["weather", "now"]
        assert [block["toolResult"]["content"] for block in given] == [[{"text": "weather!"}], [{"text": "now!"}]]


class _Greeting(BaseModel):
    word: str


async def test_structured_output(sdk: AsyncOpenAI, provider: Chaosprov, speaker: Speaker) -> None:
    answer = json.loads(json.dumps(speaker.whole("length").value))  # type: ignore[union-attr]
    if speaker is GEMINI:
        answer["candidates"][0] |= {"content": {"parts": [{"text": '{"word": "Hi"}'}]}, "finishReason": "STOP"}
    else:
        answer |= {"output": {"message": {"content": [{"text": '{"word": "Hi"}'}]}}, "stopReason": "end_turn"}
    provider.will(Json(answer))

    parsed = await sdk.chat.completions.parse(model=speaker.model, messages=HELLO, response_format=_Greeting)

    assert parsed.choices[0].message.parsed == _Greeting(word="Hi")
    sent = provider.calls[0].json
    if speaker is GEMINI:
        schema = sent["generationConfig"]["responseJsonSchema"]
    else:
        schema = json.loads(sent["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"])
    assert schema["required"] == ["word"]


async def test_an_image(sdk: AsyncOpenAI, provider: Chaosprov, speaker: Speaker) -> None:
    provider.will(speaker.whole("text"))
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PNG}}]
    question: Any = [{"role": "user", "content": parts}]

    await sdk.chat.completions.create(model=speaker.model, messages=question)

    content = PNG.partition(",")[2]
    assert content in provider.calls[0].body.decode()


ERRORS = {
    "gemini": b'{"error": {"code": 400, "message": "contents: AIza-canary", "status": "INVALID_ARGUMENT"}}',
    "bedrock": b'{"message": "contents: canary-secret canary-token"}',
}


async def test_an_error(sdk: AsyncOpenAI, provider: Chaosprov, speaker: Speaker) -> None:
    headers = (("x-amzn-ErrorType", "ValidationException"),)
    provider.will(Status(400, ERRORS[speaker.model], headers))

    with pytest.raises(openai.BadRequestError) as raised:
        await sdk.chat.completions.create(model=speaker.model, messages=HELLO)

    assert raised.value.code == ("upstream_invalid_argument" if speaker is GEMINI else "upstream_validation")
    assert raised.value.body is not None
    assert "contents: ***" in str(raised.value)
    assert "canary" not in str(raised.value)


async def test_an_error_in_the_middle_of_a_stream(
    house: House, sdk: AsyncOpenAI, provider: Chaosprov, speaker: Speaker
) -> None:
    provider.will(*speaker.stream("error" if speaker is GEMINI else "throttled"))

    said: list[tuple[str, str | None]] = []
    stream = await sdk.chat.completions.create(model=speaker.model, messages=HELLO, stream=True)
    with pytest.raises(openai.APIError) as raised:
        await read(stream, said)

    assert "".join(text for text, _ in said) == "Hal"
    assert raised.value.code == "upstream_error"
    assert (await house.only_record())["cost_nano_usd"] > 0


@pytest.mark.parametrize("how", [(), (CUT,)], ids=["clean", "torn"])
async def test_a_stream_that_was_cut(
    house: House, sdk: AsyncOpenAI, provider: Chaosprov, speaker: Speaker, how: tuple[Step, ...]
) -> None:
    provider.will(*speaker.says(speaker.cut("text"), *how))

    said: list[tuple[str, str | None]] = []
    stream = await sdk.chat.completions.create(model=speaker.model, messages=HELLO, stream=True)
    with pytest.raises(openai.APIError) as raised:
        await read(stream, said)

    assert raised.value.code == "upstream_truncated"
    assert {reason for _, reason in said} == {None}
    assert (await house.only_record())["cost_nano_usd"] > 0


async def test_a_stream_that_is_not_in_the_dialect(sdk: AsyncOpenAI, provider: Chaosprov, speaker: Speaker) -> None:
    provider.will(speaker.whole("text"))

    with pytest.raises(openai.InternalServerError) as raised:
        await sdk.chat.completions.create(model=speaker.model, messages=HELLO, stream=True)

    assert raised.value.code == "upstream_invalid_response"


async def test_a_stream_stops_where_its_budget_ends(
    house: House, sdk: AsyncOpenAI, provider: Chaosprov, speaker: Speaker
) -> None:
    await house.adopt(policy(provider) + "tenants: {default: {budget: [{tokens: 1000, per: day}]}}")
    provider.will(*speaker.says(b"".join(_word(speaker) for _ in range(5000)), HANG))

    stream = await sdk.chat.completions.create(model=speaker.model, messages=HELLO, stream=True, max_tokens=5000)
    reasons = [choice.finish_reason async for chunk in stream for choice in chunk.choices if choice.finish_reason]

    assert reasons == ["length"]
    assert (await house.only_record())["outcome"] == "stopped_budget"
    (account,) = (await house.balances()).values()
    assert 0 < account.spent <= 1000


def _word(speaker: Speaker) -> bytes:
    if speaker is GEMINI:
        return b'data: {"candidates": [{"content": {"parts": [{"text": " word"}]}}]}\n\n'
    return event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": " word"}})


async def test_the_output_cap_is_written_under_a_hard_budget(
    house: House, sdk: AsyncOpenAI, provider: Chaosprov, speaker: Speaker
) -> None:
    await house.adopt(policy(provider) + "tenants: {default: {budget: [{usd: 1, per: day}]}}")
    provider.will(speaker.whole("text"))

    await sdk.chat.completions.create(model=speaker.model, messages=HELLO)

    sent = provider.calls[0].json
    capped = sent["generationConfig"]["maxOutputTokens"] if speaker is GEMINI else sent["inferenceConfig"]["maxTokens"]
    assert capped == 4096


async def test_a_provider_that_limits_the_rate_is_passed_by(
    house: House, sdk: AsyncOpenAI, provider: Chaosprov, speaker: Speaker
) -> None:
    other = BEDROCK if speaker is GEMINI else GEMINI
    both = {"gemini": "google/gemini-2.5-flash", "bedrock": f"amazon/{CLAUDE}"}
    await house.adopt(
        policy(provider) + f'  both: {{use: "{both[speaker.model]}", fallback: ["{both[other.model]}"], {PRICE}}}\n'
    )
    late = b'data: {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}\n\n'
    provider.will(*speaker.says(late if speaker is GEMINI else exception("throttlingException", "slowly")))
    provider.will(*other.stream("text"))

    stream = await sdk.chat.completions.create(model="both", messages=HELLO, stream=True)
    texts = [choice.delta.content or "" async for chunk in stream for choice in chunk.choices]

    assert "".join(texts) == "Grüß Gott, 世界! 👋"
    assert [attempt["provider"] for attempt in (await house.only_record())["attempts"]] == (
        ["google", "amazon"] if speaker is GEMINI else ["amazon", "google"]
    )


async def test_how_each_is_asked(house: House, sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    provider.will(*GEMINI.stream("text"))
    provider.will(BEDROCK.whole("text"))
    provider.will(*BEDROCK.stream("text"))

    [chunk async for chunk in await sdk.chat.completions.create(model="gemini", messages=HELLO, stream=True)]
    await sdk.chat.completions.create(model="bedrock", messages=HELLO)
    [chunk async for chunk in await sdk.chat.completions.create(model="nova", messages=HELLO, stream=True)]

    google, signed, bearer = provider.calls
    assert google.path == "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    assert (google.header("x-goog-api-key"), google.header("authorization")) == ("AIza-canary", None)
    assert signed.path == "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
    assert (signed.header("authorization") or "").startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert signed.header("x-amz-security-token") == "canary-token"
    assert "canary-secret" not in str(signed.headers)
    assert bearer.path == "/model/amazon.nova-lite-v1%3A0/converse-stream"
    assert bearer.header("authorization") == "Bearer canary-bearer"
    assert bearer.header("accept") == "application/vnd.amazon.eventstream"


async def test_embeddings(house: House, sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    provider.will(Json({"embeddings": [{"values": [0.5, -1.0]}, {"values": [1.0, 2.0]}]}))

    answer = await sdk.embeddings.create(model="embedding", input=["a b", "a c"], dimensions=2)

    assert [each.embedding for each in answer.data] == [[0.5, -1.0], [1.0, 2.0]]
    assert provider.calls[0].path == "/v1beta/models/gemini-embedding-001:batchEmbedContents"
    assert house.account()[0] > 0


async def test_what_cannot_be_said_is_told(house: House, sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    provider.will(BEDROCK.whole("text"))

    answer = await sdk.chat.completions.with_raw_response.create(
        model="bedrock", messages=HELLO, seed=7, logit_bias={"1": 1}
    )

    assert b"seed" not in provider.calls[0].body
    assert answer.headers["x-llmgw-dropped"] == "logit_bias, seed"


async def test_what_bedrock_could_not_read_is_refused_and_costs_nothing(
    house: House, sdk: AsyncOpenAI, provider: Chaosprov
) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://x.example.org/a.png"}}
    question: Any = [{"role": "user", "content": [image]}]

    with pytest.raises(openai.BadRequestError) as raised:
        await sdk.chat.completions.create(model="bedrock", messages=question)

    assert raised.value.param == "messages[0].content[0].image_url"
    assert (provider.calls, house.account()) == ([], (0, 0))


def test_a_cut_stream_of_bedrock_s_ends_between_two_messages() -> None:
    assert len(list(Decoder().feed(BEDROCK.cut("text")))) == 4
