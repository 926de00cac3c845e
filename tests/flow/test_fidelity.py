"""What the client reads is what the provider wrote, wherever the bytes were cut and however the lines end (R5)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import Body, Head, Split
from tests.flow.client import DONE, events, post
from tests.flow.raw import chat

TYPED = Head(headers=(("Content-Type", "text/event-stream"),))
UNTYPED = Head(headers=(("Content-Type", "text/plain"),))
FINISH = {"index": 0, "delta": {}, "finish_reason": "stop"}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["é", "😀\r\n", "data: [DONE]\n\n"]
)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])
NUMBERS = count()


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """A complete answer, with whatever the standard allows between and within its events."""
    written = draw(st.sampled_from(["", "\ufeff"]))
    ends = draw(st.lists(ENDS, min_size=1, max_size=3))
    texts = draw(st.lists(TEXTS, max_size=5))
    chunks = [{"index": 0, "delta": {"content": text}, "finish_reason": None} for text in texts]
    for number, choice in enumerate([*chunks, FINISH]):
        end = ends[number % len(ends)]
        written += draw(
            st.sampled_from(["", f": ping{end}{end}", f":{end}", f"id: 1{end}", f"retry: 10{end}{end}", end])
        )
        written += _event(
            {"id": "c", "x": [1, None], "choices": [choice]}, end, indent=draw(st.sampled_from([None, 1]))
        )
    written += f"data: {DONE}{end}{end}"
    return written.encode()


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(stream=streams(), cuts=st.lists(st.floats(0, 1, exclude_max=True), max_size=8))
async def test_the_client_s_events_are_the_provider_s_wherever_their_bytes_are_cut(
    house: House, provider: Chaosprov, stream: bytes, cuts: Sequence[float]
) -> None:
    received = await passed_on(house, provider, stream, at=sorted({int(len(stream) * cut) for cut in cuts}))

    assert events(received) == events(stream)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["", "bom"])
async def test_a_stream_in_single_bytes_is_the_same_stream(
    house: House, provider: Chaosprov, end: str, mark: str
) -> None:
    choice = {"index": 0, "delta": {"content": "Grüße 😀"}, "finish_reason": "stop"}
    stream = (mark + _event({"choices": [choice]}, end, indent=1) + f": ping{end}data: {DONE}{end}{end}").encode()

    received = await passed_on(house, provider, stream, at=range(len(stream)))

    assert events(received) == events(stream)


async def test_a_stream_that_is_not_called_one_is_known_by_any_first_byte(house: House, provider: Chaosprov) -> None:
    stream = (_event({"choices": [FINISH]}, "\n", indent=None) + f"data: {DONE}\n\n").encode()

    received = await passed_on(house, provider, stream, at=range(1, 8), head=UNTYPED)

    assert events(received) == events(stream)


async def test_a_line_of_64_kib_passes(house: House, provider: Chaosprov) -> None:
    choice = {"index": 0, "delta": {"content": "é" * 32_768}, "finish_reason": "stop"}
    stream = (_event({"choices": [choice]}, "\n", indent=None) + f"data: {DONE}\n\n").encode()

    received = await passed_on(house, provider, stream, at=[1000, 40_001, 65_000])

    assert events(received) == events(stream)


async def passed_on(
    house: House, provider: Chaosprov, stream: bytes, *, at: Sequence[int], head: Head = TYPED
) -> bytes:
    """The body that the client gets when the provider writes `stream` in the pieces that begin at these offsets."""
    pieces = [stream[start:end] for start, end in zip([0, *at], [*at, len(stream)], strict=True)]
    provider.will(head, *(Body(piece) for piece in pieces if piece), split=Split(every=1 << 20))
    body = chat(f"fault/scripted@{next(NUMBERS)}", stream=True, stream_options={"include_usage": True})
    return (await post(house, body)).content


def _event(value: object, end: str, *, indent: int | None) -> str:
    """An event, its JSON over as many lines as `indent` makes of it."""
    lines = json.dumps(value, ensure_ascii=False, indent=indent).split("\n")
    return "".join(f"data: {line}{end}" for line in lines) + end
