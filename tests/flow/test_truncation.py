"""An answer that was cut never looks complete, wherever it was cut and however (R4)."""

from __future__ import annotations

import json

import pytest

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import CUT, RESET, Body, Head, Step
from tests.flow.raw import chat, connected, request

SSE = Head(headers=(("Content-Type", "text/event-stream"),))
EVENTS = [
    b'data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n',
    'data: {"id":"c","choices":[{"index":0,"delta":{"content":"Grüße"},"finish_reason":null}]}\n\n'.encode(),
    b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    b"data: [DONE]\n\n",
]
STREAM = b"".join(EVENTS)
COMPLETE_FROM = len(STREAM) - len(EVENTS[-1])
DOCUMENT = json.dumps(
    {"id": "c", "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]}
).encode()


async def answer(house: House, *, stream: bool, cut: int) -> bytes:
    """Each cut is another deployment, so that no failure counts against the next."""
    async with connected(house) as client:
        body = chat(f"fault/scripted@{cut}", stream=stream)
        client.writer.write(request(house, body, headers="connection: close\r\n"))
        return await client.rest()


@pytest.mark.parametrize("end", [CUT, RESET], ids=["fin", "rst"])
async def test_a_stream_cut_after_any_byte_ends_with_an_error_and_never_with_done(
    house: House, provider: Chaosprov, end: Step
) -> None:
    for cut in range(1, COMPLETE_FROM):
        provider.will(SSE, Body(STREAM[:cut]), end)

        received = await answer(house, stream=True, cut=cut)

        assert b"[DONE]" not in received, cut
        assert received.count(b'"error"') == 1, cut
        assert received.endswith((b"}}\n\n\r\n0\r\n\r\n", b"}}")), cut
        assert b"Gr" not in received or "Grüße".encode() in received, cut


@pytest.mark.parametrize("end", [CUT, RESET], ids=["fin", "rst"])
async def test_a_document_cut_after_any_byte_is_a_502(house: House, provider: Chaosprov, end: Step) -> None:
    for cut in range(1, len(DOCUMENT)):
        provider.will(Head(length=len(DOCUMENT)), Body(DOCUMENT[:cut]), end)

        received = await answer(house, stream=False, cut=cut)

        assert received.startswith(b"HTTP/1.1 502 "), cut
        assert b"upstream_truncated" in received, cut


async def test_a_stream_that_finished_but_forgot_done_gets_it_from_us(house: House, provider: Chaosprov) -> None:
    provider.will(SSE, Body(STREAM[:COMPLETE_FROM]))

    received = await answer(house, stream=True, cut=0)

    assert received.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


async def test_what_a_cut_stream_produced_is_billed_and_recorded_as_an_error(house: House, provider: Chaosprov) -> None:
    provider.will(SSE, Body(b"".join(EVENTS[:2])), CUT)

    await answer(house, stream=True, cut=0)

    record = await house.only_record()
    assert (record["status"], record["outcome"], record["error_code"]) == (502, "upstream_error", "upstream_truncated")
    assert record["estimated"] is True
    assert record["cost_nano_usd"] == house.account()[0] > 0
