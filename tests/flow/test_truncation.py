"""An answer that was cut never looks complete, wherever it was cut and however (R4)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import openai
import pytest
from openai import AsyncOpenAI

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import CUT, HALF_CLOSE, RESET, Body, Finish, Head, Json, Raw, Say, Step, Usage
from tests.flow.client import DONE, events, post
from tests.flow.raw import RawClient, chat, connected, request

TYPE = (("Content-Type", "text/event-stream"),)
TEXTS = ["Grüße", " aus", " 東京", " 😀", *(f" {number}" for number in range(14))]
CHUNKS = [
    {"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]},
    *({"id": "c", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]} for text in TEXTS),
    {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
]
SAID = [json.dumps(chunk, ensure_ascii=False, separators=(",", ":")) for chunk in CHUNKS]
STREAM = "".join(f"data: {said}\n\n" for said in [*SAID, DONE]).encode()
FINISHED = STREAM.rindex(b"data: [DONE]") - 2
"""From this many bytes on the last chunk's JSON is whole; two more and the chunk is."""
DOCUMENT = json.dumps(
    {"id": "c", "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]}
).encode()
ENDS: dict[str, tuple[Head | Raw, Step]] = {
    "chunked, fin": (Head(headers=TYPE), CUT),
    "chunked, rst": (Head(headers=TYPE), RESET),
    "length, half-closed": (Head(headers=TYPE, length=len(STREAM)), HALF_CLOSE),
    "length, fin": (Head(headers=TYPE, length=len(STREAM)), CUT),
    "length, rst": (Head(headers=TYPE, length=len(STREAM)), RESET),
    "until closed, fin": (Raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"), CUT),
    "until closed, rst": (Raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"), RESET),
}


@pytest.fixture
async def asker(house: House) -> AsyncIterator[Asker]:
    """One connection for thousands of calls."""
    async with connected(house) as client:
        yield Asker(house, client)


@dataclass
class Asker:
    house: House
    client: RawClient

    async def ask(self, cut: int, *, stream: bool = True) -> tuple[int, bytes]:
        """Status and body. Each cut is another deployment's, so that no failure counts against the next."""
        self.client.writer.write(request(self.house, chat(f"fault/scripted@{cut}", stream=stream)))
        return await self.client.answer()


@pytest.mark.parametrize("how", ENDS)
async def test_a_stream_cut_after_any_byte_is_a_beginning_of_it_and_an_error(
    asker: Asker, provider: Chaosprov, how: str
) -> None:
    head, end = ENDS[how]
    for cut in range(1, FINISHED, 1 if how == "chunked, fin" else 5):
        provider.will(head, Body(STREAM[:cut]), end)

        status, body = await asker.ask(cut)

        whole_events = STREAM[:cut].count(b"\n\n")
        assert status == (200 if whole_events else 502), cut
        *said, last = events(body) if whole_events else [body.decode()]
        assert said == SAID[:whole_events], cut
        assert json.loads(last)["error"]["code"] == "upstream_truncated", cut


@pytest.mark.parametrize("how", ENDS)
async def test_a_stream_cut_behind_its_finish_ends_once_and_is_whole(
    asker: Asker, provider: Chaosprov, how: str
) -> None:
    head, end = ENDS[how]
    for cut in range(FINISHED + 2, len(STREAM)):
        provider.will(head, Body(STREAM[:cut]), end)

        _, body = await asker.ask(cut)

        *said, last = events(body)
        assert said == SAID, cut
        assert last == DONE or "upstream_truncated" in last, cut


@pytest.mark.parametrize("end", [CUT, RESET], ids=["fin", "rst"])
@pytest.mark.parametrize("length", [len(DOCUMENT), None], ids=["length", "chunked"])
async def test_a_document_cut_after_any_byte_is_a_502(
    asker: Asker, provider: Chaosprov, end: Step, length: int | None
) -> None:
    for cut in range(len(DOCUMENT)):
        provider.will(Head(length=length), Body(DOCUMENT[:cut]), end)

        status, body = await asker.ask(cut, stream=False)

        assert (status, json.loads(body)["error"]["code"]) == (502, "upstream_truncated"), cut


async def test_a_document_without_length_is_whole_only_if_its_json_is_and_is_asked_for_once(
    asker: Asker, provider: Chaosprov
) -> None:
    cuts = range(1, len(DOCUMENT) + 1, 4)
    for cut in cuts:
        provider.will(Raw(b"HTTP/1.1 200 OK\r\n\r\n"), Body(DOCUMENT[:cut]), CUT)

        status, _ = await asker.ask(cut, stream=False)

        assert status == (200 if cut == len(DOCUMENT) else 502), cut
    assert len(provider.calls) == len(cuts)


async def test_a_stream_that_finished_but_forgot_done_gets_it_from_us(asker: Asker, provider: Chaosprov) -> None:
    provider.will(Head(headers=TYPE), Body(STREAM[: FINISHED + 2]))

    _, body = await asker.ask(0)

    assert events(body) == [*SAID, DONE]


async def test_a_stream_of_two_choices_is_complete_when_both_are(house: House, provider: Chaosprov) -> None:
    provider.will(Head(headers=TYPE), Body(STREAM[: FINISHED + 2]))

    received = await post(house, chat("ok", stream=True, n=2))

    assert "upstream_truncated" in events(received.content)[-1]


async def test_the_sdk_raises_on_a_cut_stream(sdk: AsyncOpenAI, provider: Chaosprov) -> None:
    provider.will(Say("Hel"), CUT)
    stream = await sdk.chat.completions.create(model="ok", messages=[{"role": "user", "content": "hi"}], stream=True)

    with pytest.raises(openai.APIError):
        async for _ in stream:
            pass


async def test_what_a_cut_stream_produced_is_billed_and_recorded_as_an_error(house: House, provider: Chaosprov) -> None:
    provider.will(Say("Hello"), Say(" world"), CUT)

    await post(house, chat(stream=True))

    record = await house.only_record()
    assert (record["status"], record["outcome"], record["error_code"]) == (502, "upstream_error", "upstream_truncated")
    assert (record["estimated"], record["output_tokens"]) == (True, 2)
    assert record["cost_nano_usd"] == house.account()[0] > 0


async def test_a_cut_answer_is_not_kept_for_its_idempotency_key(house: House, provider: Chaosprov) -> None:
    provider.will(Say("Hel"), CUT)
    provider.will(Say("Hello"), Finish(), Usage(5, 1))

    cut = await post(house, chat(stream=True), idempotency_key="once")
    whole = await post(house, chat(stream=True), idempotency_key="once")

    assert "upstream_truncated" in events(cut.content)[-1]
    assert events(whole.content)[-1] == DONE
    assert whole.headers["x-llmgw-cache"] == "bypass"


async def test_what_an_unfinished_document_says_it_used_is_billed(house: House, provider: Chaosprov) -> None:
    message = {"role": "assistant", "content": "Hello, wor"}
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    provider.will(Json({"choices": [{"index": 0, "message": message, "finish_reason": None}], "usage": usage}))

    received = await post(house, chat())

    assert (received.status_code, received.json()["error"]["code"]) == (502, "upstream_truncated")
    record = await house.only_record()
    assert record["cost_nano_usd"] == house.account()[0] == 11 * 1000 + 7 * 2000
