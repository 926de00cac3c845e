"""Gemini's streams say the same in chat's terms wherever they are cut, and none that was cut looks complete."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import Broken, Unavailable, UpstreamError
from gateway.upstream.dialects.gemini.translation import Translation
from tests.upstream.translating import chat, fed, gathered, is_complete

FOLDER = Path(__file__).parent.parent.parent / "streams" / "gemini"
STREAMS = {path.stem: path.read_bytes() for path in sorted(FOLDER.glob("*.sse"))}
BROKEN = {"malformed": "upstream_invalid_tool_call", "error": "upstream_error"}
CALL = chat(stream=True)


def made(seed: str) -> str:
    return f"call_{hashlib.sha256(seed.encode()).hexdigest()[:24]}"


WEATHER = '{"city": "Zürich", "days": 3, "limit": 1.5}'
SAID: dict[str, dict[int, dict[str, Any]]] = {
    "text": {
        0: {
            "reasoning_content": "**Greeting**\n\nThe user wants a greeting.",
            "content": "Grüß Gott, 世界! 👋",
            "finish": "stop",
        }
    },
    "tools": {
        0: {
            "reasoning_content": "I look it up.",
            "content": "",
            "finish": "tool_calls",
            "tool_calls": [
                {
                    "id": made("Zb8qabCdE4Gk1dkP/0/0"),
                    "type": "function",
                    "name": "weather",
                    "arguments": WEATHER,
                    "extra_content": {"google": {"thought_signature": "EjQKMgG+Pvb7"}},
                },
                {
                    "id": made("Zb8qabCdE4Gk1dkP/0/1"),
                    "type": "function",
                    "name": "weather",
                    "arguments": '{"city": "Genève"}',
                },
                {"id": made("Zb8qabCdE4Gk1dkP/0/2"), "type": "function", "name": "now", "arguments": "{}"},
            ],
        }
    },
    "length": {0: {"content": "Once upon a", "finish": "length"}},
    "safety": {0: {"content": "First, ", "finish": "content_filter"}},
    "blocked": {0: {"content": "", "finish": "content_filter"}},
    "candidates": {0: {"content": "ab", "finish": "stop"}, 1: {"content": "xy", "finish": "length"}},
    "image": {
        0: {
            "content": "Here:",
            "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}],
            "finish": "stop",
        }
    },
    "logprobs": {
        0: {
            "content": "Hi",
            "logprobs": {
                "content": [
                    {
                        "token": "Hi",
                        "logprob": -0.25,
                        "bytes": [72, 105],
                        "top_logprobs": [
                            {"token": "Hi", "logprob": -0.25, "bytes": [72, 105]},
                            {"token": "Hé", "logprob": -1.5, "bytes": [72, 195, 169]},
                        ],
                    }
                ],
                "refusal": None,
            },
            "finish": "stop",
        }
    },
    "malformed": {0: {"content": "Let me"}},
    "error": {0: {"content": "Hal"}},
}
USED = {  # prompt, completion, cached, reasoning
    "text": (9, 30, 4, 21),
    "tools": (80, 61, 0, 30),
    "length": (5, 3, 0, 0),
    "safety": (7, 2, 0, 0),
    "blocked": (11, 0, 0, 0),
    "candidates": (3, 4, 0, 0),
    "image": (6, 1293, 0, 0),
    "logprobs": (2, 1, 0, 0),
    "malformed": (40, 2, 0, 0),
    "error": (9, 2, 0, 0),
}


def read(*pieces: bytes) -> tuple[bytes, UpstreamError | None]:
    return fed(Translation(CALL, 7), pieces)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_says_what_gemini_has_said(name: str) -> None:
    told, error = read(STREAMS[name])
    answer = gathered(told)

    assert answer["choices"] == {index: {"role": "assistant", **said} for index, said in SAID[name].items()}
    usage = answer["usage"]
    cached, reasoning = usage["prompt_tokens_details"], usage["completion_tokens_details"]
    counts = (
        usage["prompt_tokens"],
        usage["completion_tokens"],
        cached["cached_tokens"],
        reasoning["reasoning_tokens"],
    )
    assert counts == USED[name]
    assert (answer["id"], answer["object"]) == ("Zb8qabCdE4Gk1dkP", "chat.completion.chunk")
    assert answer["model"].startswith("gemini-")
    assert (error.code if error else None) == BROKEN.get(name)
    assert answer["done"] is is_complete(CALL, told) is (name not in BROKEN)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_says_the_same_wherever_it_is_cut(name: str) -> None:
    stream = STREAMS[name]
    told, error = read(stream)

    for cut in range(1, len(stream)):
        again, failed = read(stream[:cut], stream[cut:])
        assert (again, repr(failed)) == (told, repr(error)), cut
    again, failed = read(*(stream[at : at + 1] for at in range(len(stream))))
    assert (again, repr(failed)) == (told, repr(error))


@pytest.mark.parametrize("name", [name for name in STREAMS if name not in BROKEN])
def test_a_stream_that_was_cut_does_not_look_complete(name: str) -> None:
    stream = STREAMS[name]
    last = max(stream.rfind(b'"finishReason"'), stream.rfind(b'"blockReason"'))
    end = len(stream) - len(b"\r\n\r\n")  # an event whose data is all there lacks nothing

    for cut in range(len(stream)):
        told, _ = read(stream[:cut])
        assert is_complete(CALL, told) is (cut >= end), (cut, last)
        assert (b"[DONE]" in told) is (cut >= end)


def test_of_several_candidates_each_has_to_end() -> None:
    *events, _, _ = STREAMS["candidates"].split(b"\r\n\r\n")

    told, error = read(b"\r\n\r\n".join(events) + b"\r\n\r\n")

    assert error is None
    assert gathered(told)["choices"][0]["finish"] == "stop"
    assert b"[DONE]" not in told
    assert not is_complete(CALL, told)


def test_an_error_in_the_place_of_an_answer_lets_another_provider_try() -> None:
    _, error = read(b'data: {"error":{"code":429,"message":"key AIza","status":"RESOURCE_EXHAUSTED"}}\n\n')

    assert isinstance(error, Unavailable)
    assert error.retriable
    assert "AIza" not in error.message


@pytest.mark.parametrize("junk", [b"data: {\n\n", b"data: [1]\n\n", b'data: {"candidates": 5}\n\n', b"data: \xff\n\n"])
def test_what_is_no_event_of_gemini_s_ends_the_answer(junk: bytes) -> None:
    _, error = read(STREAMS["length"][:300].partition(b"\r\n\r\n")[0] + b"\r\n\r\n", junk, b"data: {}\n\n")

    assert isinstance(error, Broken)
    assert error.code == "upstream_protocol_error"


def test_audio_and_images_in_the_prompt_and_answer_are_counted() -> None:
    usage = {
        "promptTokenCount": 300,
        "toolUsePromptTokenCount": 40,
        "candidatesTokenCount": 20,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 25}, {"modality": "IMAGE", "tokenCount": 258}],
    }
    event = {"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}], "usageMetadata": usage}

    told, _ = read(b"data: %b\n\n" % json.dumps(event).encode())

    counted = gathered(told)["usage"]
    assert (counted["prompt_tokens"], counted["completion_tokens"], counted["total_tokens"]) == (340, 20, 360)
    assert counted["prompt_tokens_details"] == {"cached_tokens": 0, "audio_tokens": 25, "image_tokens": 258}
