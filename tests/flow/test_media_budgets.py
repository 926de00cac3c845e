"""A hard budget holds for images, sounds, searches and moderations: what has no price is refused, the rest held at its most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import CUT, Body, Head, Json, Step
from tests.flow.test_media import PIXEL, _wav
from tests.flow.test_money_across import balance, budget, records

_TOKENS = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
_SOUND = (Head(headers=(("content-type", "audio/mpeg"),)), Body(b"ID3\x00"))
_IMAGE = (Json({"created": 1, "data": [{"b64_json": PIXEL}]}),)
_TEXT = (Json({"text": "Hello", "usage": {"type": "duration", "seconds": 2}}),)


@dataclass(frozen=True)
class Asked:
    """A call, what comes back, and what it costs in nano-USD at a price of this."""

    path: str
    fields: Mapping[str, Any]
    answer: tuple[Step, ...]
    price: str
    cost: int
    file: str = ""

    async def of(self, house: House) -> httpx.Response:
        async with httpx.AsyncClient(headers={"authorization": f"Bearer {house.key}"}, timeout=20) as client:
            url, fields = f"{house.url}/v1/{self.path}", {"model": "media", **self.fields}
            if not self.file:
                return await client.post(url, json=fields)
            content = ("a.wav", _wav(2), "audio/wav") if self.file == "file" else ("a.png", b"\x89PNG", "image/png")
            return await client.post(url, data=fields, files={self.file: content})


CALLS = {
    "image": Asked("images/generations", {"prompt": "a cat"}, _IMAGE, "image: 0.04", 40_000_000),
    "edit": Asked("images/edits", {"prompt": "a cat"}, _IMAGE, "image: 0.04", 40_000_000, "image"),
    "variation": Asked("images/variations", {}, _IMAGE, "image: 0.04", 40_000_000, "image"),
    "speech": Asked("audio/speech", {"input": "Hello", "voice": "alloy"}, _SOUND, "character: 15", 5 * 15_000),
    "transcript": Asked("audio/transcriptions", {}, _TEXT, "second: 0.0001", 2 * 100_000, "file"),
    "translation": Asked("audio/translations", {}, _TEXT, "second: 0.0001", 2 * 100_000, "file"),
    "rerank": Asked(
        "rerank",
        {"query": "q", "documents": ["a", "b"]},
        (Json({"results": [], "meta": {"billed_units": {"search_units": 1}}}),),
        "search: 0.002",
        2_000_000,
    ),
    "moderation": Asked(
        "moderations",
        {"input": "Hello"},
        (Json({"id": "m", "results": [], "usage": _TOKENS}),),
        "request: 0.001",
        1_000_000,
    ),
}


_BEGUN = Head(headers=(("content-type", "text/event-stream"),))
_PARTIAL = Body(b'data: {"type": "image_generation.partial_image", "b64_json": "iVBO", "partial_image_index": 0}\n\n')
_DELTA = Body(b'data: {"type": "transcript.text.delta", "delta": "Hello"}\n\n')
_LOW = {"prompt": "a cat", "stream": True, "quality": "low", "n": 2}
UNTOLD = {
    "an image that is left": (Asked("images/generations", _LOW, (_BEGUN, _PARTIAL, CUT), "", 0), 2, 816),
    "an edit": (Asked("images/edits", {"prompt": "a cat"}, _IMAGE, "", 0, "image"), 402, 6240),
    "a transcript": (Asked("audio/transcriptions", {"stream": "true"}, (_BEGUN, _DELTA, CUT), "", 0, "file"), 90, 36),
    "speech": (Asked("audio/speech", {"input": "Hello", "voice": "alloy"}, _SOUND, "", 0), 1, 10),
}
"""What is sold by tokens that nobody tells, and the tokens it is taken for."""


@pytest.fixture(params=CALLS)
def asked(request: pytest.FixtureRequest) -> Asked:
    return CALLS[request.param]


async def test_what_has_no_price_is_refused_unless_the_policy_allows_it(
    house: House, provider: Chaosprov, asked: Asked
) -> None:
    model = "models: {media: {use: chaos/nobody-knows}}\n"
    await house.adopt(budget(1_000_000) + model)
    refused = await asked.of(house)
    await house.adopt(budget(1_000_000, ", unpriced: allow") + model)
    provider.will(*asked.answer)

    allowed = await asked.of(house)

    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "model_not_priced")
    assert allowed.status_code == 200
    assert len(provider.calls) == 1
    await records(house, 2)
    assert not await house.balances()


async def test_what_has_a_price_is_held_at_its_most_and_settled_as_told(
    house: House, provider: Chaosprov, asked: Asked
) -> None:
    model = f"models: {{media: {{use: chaos/nobody-knows, price: {{in: 0, out: 0, {asked.price}}}}}}}\n"
    await house.adopt(budget(asked.cost - 1) + model)
    refused = await asked.of(house)
    await house.adopt(budget(asked.cost * 100) + model)
    provider.will(*asked.answer)

    answer = await asked.of(house)

    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "budget_insufficient_for_request")
    assert answer.status_code == 200
    assert len(provider.calls) == 1
    found = await records(house, 2)
    assert found[1]["cost_nano_usd"] == asked.cost
    assert (await balance(house))[0] == asked.cost


@pytest.mark.parametrize("name", UNTOLD)
async def test_tokens_that_are_sold_and_not_told_are_not_free(house: House, provider: Chaosprov, name: str) -> None:
    asked, sent, made = UNTOLD[name]
    await house.adopt(budget(10_000_000_000) + "models: {media: {use: chaos/nobody-knows, price: {in: 1, out: 10}}}\n")
    provider.will(*asked.answer)

    await asked.of(house)

    (record,) = await records(house, 1)
    assert record["estimated"]
    assert (record["input_tokens"], record["output_tokens"]) == (sent, made)
    assert (await balance(house))[0] == record["cost_nano_usd"] == sent * 1000 + made * 10_000
