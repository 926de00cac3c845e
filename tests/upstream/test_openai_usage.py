"""The provider's count is read in every spelling, and nothing in it that cannot be true is believed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.call import Call, Operation
from gateway.core.usage import NO_DETAILS, Details, Usage
from gateway.upstream.dialects import openai


def read(usage: Any, operation: Operation = Operation.CHAT) -> Usage | None:
    return openai.read_usage(usage, operation)


def told(**others: Any) -> dict[str, Any]:
    return {"prompt_tokens": 100, "completion_tokens": 50, **others}


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 9}}, Usage(100, 50, cached=9)),
        ({"prompt_cache_hit_tokens": 9, "prompt_cache_miss_tokens": 91}, Usage(100, 50, cached=9)),
        ({"cached_tokens": 9}, Usage(100, 50, cached=9)),
        ({"cache_read_input_tokens": 9, "prompt_tokens_details": {"cached_tokens": 0}}, Usage(100, 50, cached=9)),
        ({"prompt_tokens_details": {"cache_write_tokens": 9}}, Usage(100, 50, details=Details(cache_write=9))),
        ({"prompt_tokens_details": {"cache_creation_tokens": 9}}, Usage(100, 50, details=Details(cache_write=9))),
        ({"cache_creation_input_tokens": 9}, Usage(100, 50, details=Details(cache_write=9))),
        (
            {"prompt_tokens_details": {"audio_tokens": 7, "image_tokens": 8, "text_tokens": 85}},
            Usage(100, 50, details=Details(audio_input=7, image_input=8)),
        ),
        (
            {"completion_tokens_details": {"audio_tokens": 7, "image_tokens": 8, "reasoning_tokens": 9}},
            Usage(100, 50, reasoning=9, details=Details(audio_output=7, image_output=8)),
        ),
        (
            {"completion_tokens_details": {"accepted_prediction_tokens": 30, "rejected_prediction_tokens": 10}},
            Usage(100, 50),
        ),
        ({"total_tokens": 170}, Usage(100, 70, reasoning=20)),
        (
            {"total_tokens": 170, "completion_tokens_details": {"reasoning_tokens": 20}},
            Usage(100, 70, reasoning=20),
        ),
        ({"total_tokens": 3}, Usage(100, 50)),
    ],
)
def test_every_spelling_is_understood(others: dict[str, Any], expected: Usage) -> None:
    assert read(told(**others)) == expected


NONSENSE: tuple[Any, ...] = (-1, True, 1.5, float("nan"), "7", 10**30, None, [], {"cached_tokens": 5})


@pytest.mark.parametrize("nonsense", NONSENSE, ids=repr)
def test_a_part_that_cannot_be_true_is_not_there(nonsense: Any) -> None:
    inside = dict.fromkeys(("cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens"), nonsense)
    beside = dict.fromkeys(("total_tokens", "prompt_cache_hit_tokens", "cache_creation_input_tokens"), nonsense)

    assert read(told(prompt_tokens_details=inside, completion_tokens_details=inside, **beside)) == Usage(100, 50)
    assert read(told(prompt_tokens_details=nonsense, completion_tokens_details=nonsense)) in (
        Usage(100, 50),
        Usage(100, 50, cached=5),
    )


def test_a_part_is_never_more_than_its_whole() -> None:
    inside = dict.fromkeys(("cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens"), 999)
    usage = read(
        told(prompt_tokens_details=inside, completion_tokens_details={"reasoning_tokens": 999, "audio_tokens": 999})
    )

    assert usage == Usage(100, 50, cached=100, reasoning=50, details=Details(100, 100, 50, 100))


def test_plain_text_has_no_details_at_all() -> None:
    usage = read(told(prompt_tokens_details={"audio_tokens": 0}, completion_tokens_details={"audio_tokens": 0}))

    assert usage is not None
    assert usage.details is NO_DETAILS


def test_an_embedding_has_no_output_whatever_its_total_says() -> None:
    assert read({"prompt_tokens": 5, "total_tokens": 9}, Operation.EMBEDDINGS) == Usage(5, 0)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)
_NAMES = ("cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens", "reasoning_tokens")
_PARTS = st.dictionaries(st.sampled_from(_NAMES), _JSON | st.integers(0, 200))


@given(
    st.fixed_dictionaries(
        {"prompt_tokens": _JSON | st.integers(0, 100), "completion_tokens": _JSON | st.integers(0, 100)},
        optional={
            "total_tokens": _JSON | st.integers(0, 300),
            "prompt_tokens_details": _JSON | _PARTS,
            "completion_tokens_details": _JSON | _PARTS,
            "prompt_cache_hit_tokens": _JSON,
            "cache_creation_input_tokens": _JSON,
        },
    )
)
def test_whatever_is_told_no_part_is_negative_or_more_than_its_whole(usage: dict[str, Any]) -> None:
    found = read(usage)

    if found is not None:
        details = found.details
        of_input = (found.cached, details.cache_write, details.audio_input, details.image_input)
        of_output = (found.reasoning, details.audio_output, details.image_output)
        assert all(type(part) is int and 0 <= part <= found.input for part in of_input)
        assert all(type(part) is int and 0 <= part <= found.output for part in of_output)


def test_no_count_falls_while_a_stream_tells_its_usage_as_it_goes() -> None:
    def event(**usage: Any) -> bytes:
        choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}
        return b"data: " + json.dumps({"choices": [choice], "usage": usage}).encode() + b"\n\n"

    fields = {"model": "m", "messages": []}
    call = Call(id="r", operation=Operation.CHAT, received=0, model="m", body=b"{}", fields=fields, stream=True)
    codec = openai.StreamedAnswer(call, injected=True)

    codec.feed(event(**told()))
    codec.feed(event(**told(prompt_tokens_details={"cache_write_tokens": 4, "audio_tokens": 5, "image_tokens": 0})))
    codec.feed(event(**told(prompt_tokens_details={"cache_write_tokens": 3, "audio_tokens": 0, "image_tokens": 6})))
    codec.feed(event(**told(completion_tokens_details={"audio_tokens": 7, "image_tokens": 8})))
    codec.feed(event(**told()))

    assert codec.usage == Usage(100, 50, details=Details(4, 5, 7, 6, 8))
