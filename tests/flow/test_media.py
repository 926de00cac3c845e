"""Moderations, reranking, images, speech and transcripts: with the official SDK, paid for by what they are made of."""

from __future__ import annotations

import base64
import io
import json
import wave
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import CUT, RESET, Body, Head, Json, Status, Step

POLICY = """
models:
  mod: {use: chaos/mod, price: {in: 0, out: 0}}
  rerank: {use: chaos/rerank-v3, price: {in: 0, out: 0, search: 0.002}}
  image: {use: chaos/dall-e-3, price: {in: 0, out: 0, image: 0.04}}
  gpt-image: {use: chaos/gpt-image-1, price: {in: 5, out: 40, image_in: 10}}
  tts: {use: chaos/tts-1, price: {in: 0, out: 0, character: 15}}
  whisper: {use: chaos/whisper-1, price: {in: 0, out: 0, second: 0.0001}}
  nobody-knows: {use: chaos/nobody-knows}
"""
PIXEL = base64.b64encode(b"\x89PNG").decode()
EVENTS = Head(headers=(("content-type", "text/event-stream"),))


@pytest.fixture
async def media(house: House) -> House:
    await house.adopt(POLICY)
    return house


def _sse(*events: dict[str, Any]) -> tuple[Step, ...]:
    return EVENTS, Body("".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events).encode())


async def test_moderation(media: House, sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    result = {"flagged": True, "categories": {"violence": True}, "category_scores": {"violence": 1.0}}
    provider.will(Json({"id": "modr-1", "model": "mod", "results": [result], "extra": 1.50}))

    answer = await sdk.moderations.create(model="mod", input=["a", "b"])

    assert answer.results[0].flagged
    assert (provider.calls[0].path, provider.calls[0].json) == (
        "/v1/moderations",
        {"input": ["a", "b"], "model": "mod"},
    )
    assert media.account() == (0, 0)


async def test_reranking_costs_its_searches(media: House, provider: Chaosprov) -> None:
    provider.will(
        Json({"results": [{"index": 1, "relevance_score": 0.9}], "meta": {"billed_units": {"search_units": 3}}})
    )
    body = {"model": "rerank", "query": "q", "documents": ["a", "b"], "top_n": 1}

    async with httpx.AsyncClient(headers={"authorization": f"Bearer {media.key}"}) as client:
        answer = await client.post(f"{media.url}/v1/rerank", json=body)

    assert answer.json()["results"] == [{"index": 1, "relevance_score": 0.9}]
    assert (provider.calls[0].path, provider.calls[0].json) == ("/v1/rerank", {**body, "model": "rerank-v3"})
    assert media.account() == (3 * 2_000_000, 0)


async def test_images_cost_each(media: House, sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    provider.will(Json({"created": 1, "data": [{"b64_json": PIXEL}, {"b64_json": PIXEL}]}))

    answer = await sdk.images.generate(model="image", prompt="a cat", n=2)

    assert [each.b64_json for each in answer.data or ()] == [PIXEL, PIXEL]
    assert provider.calls[0].path == "/v1/images/generations"
    assert media.account() == (2 * 40_000_000, 0)


async def test_images_that_are_billed_by_tokens(media: House, sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    usage = {
        "input_tokens": 30,
        "output_tokens": 100,
        "total_tokens": 130,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 20},
    }
    provider.will(Json({"created": 1, "data": [{"b64_json": PIXEL}], "usage": usage}))

    await sdk.images.edit(model="gpt-image", prompt="a cat", image=("a.png", b"\x89PNG\r\n--x\r\n\x00", "image/png"))

    assert provider.calls[0].path == "/v1/images/edits"
    assert b'name="model"\r\n\r\ngpt-image-1\r\n' in provider.calls[0].body
    assert b"\x89PNG\r\n--x\r\n\x00" in provider.calls[0].body
    assert media.account() == (10 * 5_000 + 20 * 10_000 + 100 * 40_000, 0)


async def test_images_as_a_stream(media: House, sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    usage = {"input_tokens": 30, "output_tokens": 100, "total_tokens": 130}
    large = "A" * 400_000  # more than an event of a chat may have
    provider.will(
        *_sse(
            {"type": "image_generation.partial_image", "b64_json": large, "partial_image_index": 0},
            {"type": "image_generation.completed", "b64_json": large, "usage": usage},
        )
    )

    stream = await sdk.images.generate(model="gpt-image", prompt="a cat", stream=True, partial_images=1)
    events = [event async for event in stream]

    assert [event.type for event in events] == ["image_generation.partial_image", "image_generation.completed"]
    assert media.account() == (30 * 5_000 + 100 * 40_000, 0)


async def test_speech_is_passed_on_as_it_comes(media: House, sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    provider.will(Head(headers=(("content-type", "audio/mpeg"),)), Body(b"ID3\x00"), Body(b"\xff\xfb: keep-alive\n\n"))

    async with sdk.audio.speech.with_streaming_response.create(model="tts", voice="alloy", input="Hello") as answer:
        heard = b"".join([data async for data in answer.iter_bytes()])
        assert answer.headers["content-type"] == "audio/mpeg"

    assert heard == b"ID3\x00\xff\xfb: keep-alive\n\n"
    assert provider.calls[0].json == {"input": "Hello", "model": "tts-1", "voice": "alloy"}
    assert media.account() == (5 * 15_000, 0)


@pytest.mark.parametrize("end", [CUT, RESET])
async def test_speech_that_is_cut_does_not_look_complete(
    media: House, sdk: AsyncOpenAI, provider: Chaosprov, end: Step
) -> None:
    provider.will(Head(headers=(("content-type", "audio/mpeg"),)), Body(b"ID3\x00"), end)

    async with sdk.audio.speech.with_streaming_response.create(model="tts", voice="alloy", input="Hello") as answer:
        pieces = aiter(answer.iter_bytes())
        assert await anext(pieces) == b"ID3\x00"
        with pytest.raises(httpx.RemoteProtocolError):
            [piece async for piece in pieces]

    record = await media.only_record()
    assert record["error_code"] == "upstream_truncated"
    assert media.account() == (5 * 15_000, 0)


async def test_a_transcript_costs_its_seconds(media: House, sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    provider.will(Json({"text": "Hello", "usage": {"type": "duration", "seconds": 2.1}}))

    answer = await sdk.audio.transcriptions.create(model="whisper", file=("a.wav", _wav(2), "audio/wav"), language="en")

    assert answer.text == "Hello"
    assert provider.calls[0].path == "/v1/audio/transcriptions"
    assert b'name="model"\r\n\r\nwhisper-1\r\n' in provider.calls[0].body
    assert _wav(2) in provider.calls[0].body
    assert media.account() == (3 * 100_000, 0)


async def test_a_transcript_as_text(media: House, sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    provider.will(Head(headers=(("content-type", "text/plain; charset=utf-8"),)), Body(b"1\n00:00 --> 00:01\nHello\n"))

    answer = await sdk.audio.translations.create(
        model="whisper", file=("a.wav", _wav(2), "audio/wav"), response_format="srt"
    )

    assert answer == "1\n00:00 --> 00:01\nHello\n"
    assert provider.calls[0].path == "/v1/audio/translations"
    spent, held = media.account()
    assert spent > 0
    assert held == 0


async def test_a_transcript_as_a_stream(media: House, sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    usage = {"type": "tokens", "input_tokens": 9, "output_tokens": 2, "total_tokens": 11}
    provider.will(
        *_sse(
            {"type": "transcript.text.delta", "delta": "Hello"},
            {"type": "transcript.text.done", "text": "Hello", "usage": usage},
        )
    )

    stream = await sdk.audio.transcriptions.create(model="whisper", file=("a.wav", _wav(2), "audio/wav"), stream=True)
    events = [event async for event in stream]

    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"]


async def test_a_transcript_s_stream_that_is_cut_ends_with_an_error(
    media: House, sdk: AsyncOpenAI, provider: Chaosprov
) -> None:
    provider.will(*_sse({"type": "transcript.text.delta", "delta": "Hello"}))

    stream = await sdk.audio.transcriptions.create(model="whisper", file=("a.wav", _wav(2), "audio/wav"), stream=True)

    with pytest.raises(openai.APIError) as raised:
        [event async for event in stream]
    assert raised.value.code == "upstream_truncated"


async def test_errors_are_those_of_any_call(media: House, sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    provider.will(Status(400, b'{"error": {"message": "no such voice", "code": "bad_voice"}}'))

    with pytest.raises(openai.BadRequestError) as raised:
        await sdk.audio.speech.create(model="tts", voice="nobody", input="Hello")

    assert raised.value.code == "upstream_bad_voice"
    assert media.account() == (0, 0)


async def test_a_model_that_there_is_not(media: House, sdk: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        await sdk.images.generate(model="nothing", prompt="a cat")


async def test_a_hard_budget_refuses_what_does_not_fit(house: House, sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    await house.adopt(POLICY.replace("image: {use", "image: {budget: [{usd: 0.1, per: ever}], use"))

    with pytest.raises(openai.RateLimitError) as raised:
        await sdk.images.generate(model="image", prompt="a cat", n=3)

    assert raised.value.code == "budget_insufficient_for_request"
    assert not provider.calls
    provider.will(Json({"created": 1, "data": [{"b64_json": PIXEL}, {"b64_json": PIXEL}]}))
    await sdk.images.generate(model="image", prompt="a cat", n=2)


async def test_a_hard_budget_refuses_what_has_no_price(house: House, sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    await house.adopt(
        POLICY.replace("{use: chaos/nobody-knows}", "{budget: [{usd: 1, per: ever}], use: chaos/nobody-knows}")
    )

    with pytest.raises(openai.BadRequestError):
        await sdk.audio.speech.create(model="nobody-knows", voice="alloy", input="Hello")

    assert not provider.calls


@pytest.mark.filterwarnings("ignore")
async def test_a_dialect_that_has_no_such_operation_is_not_asked(house: House, sdk: AsyncOpenAI) -> None:
    await house.adopt(
        "providers: {far: {dialect: litellm, litellm: mistral, key: k}}\nmodels: {far: {use: far/x, price: {in: 1, out: 1}}}"
    )

    with pytest.raises(openai.BadRequestError) as raised:
        await sdk.audio.speech.create(model="far", voice="alloy", input="Hello")

    assert raised.value.code == "unsupported_operation"
    assert (await house.only_record())["attempts"][0].get("status") is None


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("moderations", {"model": "mod"}, "input"),
        ("rerank", {"model": "rerank", "query": "q"}, "documents"),
        ("rerank", {"model": "rerank", "query": "q", "documents": []}, "documents"),
        ("images/generations", {"model": "image", "prompt": "x", "n": 11}, "n"),
        ("audio/speech", {"model": "tts", "input": 3}, "input"),
        ("audio/speech", {"model": "tts", "input": "x", "api_base": "http://x"}, "api_base"),
        ("audio/speech", {"input": "x"}, "model"),
    ],
)
async def test_mistakes(media: House, provider: Chaosprov, path: str, body: dict[str, Any], param: str) -> None:
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {media.key}"}) as client:
        answer = await client.post(f"{media.url}/v1/{path}", json=body)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert not provider.calls


async def test_forms_that_are_none(media: House, provider: Chaosprov) -> None:
    kinds = {"json": "application/json", "no boundary": "multipart/form-data", "cut": "multipart/form-data; boundary=x"}
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {media.key}"}) as client:
        url = f"{media.url}/v1/audio/transcriptions"
        seen = [
            (await client.post(url, content=b"--x\r\n\r\n", headers={"content-type": kind})).status_code
            for kind in kinds.values()
        ]
        no_file = await client.post(url, files={"model": (None, "whisper")})

    assert seen == [415, 415, 400]
    assert (no_file.status_code, no_file.json()["error"]["param"]) == (400, "file")
    assert not provider.calls


async def test_the_demo_provider_answers_all_of_it(house: House, sdk: AsyncOpenAI) -> None:
    moderation = await sdk.moderations.create(model="demo", input="violence")
    image = await sdk.images.generate(model="demo", prompt="a cat")
    stream = await sdk.images.generate(model="demo", prompt="a cat", stream=True)
    speech = await sdk.audio.speech.create(model="demo", voice="alloy", input="Hello")
    heard = await sdk.audio.transcriptions.create(model="demo", file=("a.wav", _wav(2), "audio/wav"))

    assert moderation.results[0].flagged
    assert base64.b64decode((image.data or [])[0].b64_json or "").startswith(b"\x89PNG")
    assert [event.type async for event in stream][-1] == "image_generation.completed"
    with wave.open(io.BytesIO(speech.content)) as sound:
        assert sound.getnframes() == 4000
    assert "demo provider" in heard.text


def _wav(seconds: int) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000 * seconds))
    return out.getvalue()
