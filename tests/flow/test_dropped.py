"""What a provider's dialect cannot carry is told by header, record, span, story and counter alike; strict policies refuse it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from gateway.core.call import Call
from gateway.core.deployment import Deployment
from gateway.trace.spans.tell import trace_of
from gateway.trace.story import sentences
from gateway.upstream.dialects import DIALECTS
from gateway.upstream.dialects.dialect import Outgoing
from gateway.upstream.dialects.openai.dialect import OpenAI
from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.flow.client import post
from tests.flow.raw import chat
from tests.trace.metrics.scrape import series

LOST = ("logit_bias", "x_secret\r\nset-cookie: a=b")
TOLD = ["logit_bias", "x_secret??set-cookie: a=b"]


class Lossy(OpenAI):
    """A dialect that has no words for some fields."""

    lost: tuple[str, ...] = LOST

    def request(self, call: Call, deployment: Deployment, cap: int | None, *, now: float) -> Outgoing:
        outgoing = super().request(call, deployment, cap, now=now)
        return Outgoing(outgoing.path, outgoing.body, dropped=self.lost)


@pytest.fixture
def lossy(monkeypatch: pytest.MonkeyPatch) -> Lossy:
    dialect = Lossy()
    monkeypatch.setitem(DIALECTS, "openai", dialect)
    return dialect


def events(row: Mapping[str, Any]) -> list[Any]:
    """The names in the events of the attempts' spans."""
    found = [event for span in trace_of(row).spans for event in span.events if event.name == "llmgw.dropped"]
    return [list(event.attributes["llmgw.dropped.fields"]) for event in found]  # type: ignore[arg-type]


async def counted(house: House) -> dict[str, float]:
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{house.worker.admin_url}/metrics")).text
    return {name: value for name, value in series(text).items() if "dropped_fields" in name}


@pytest.mark.parametrize("stream", [True, False])
async def test_header_record_span_story_and_counter_tell_the_same(house: House, lossy: Lossy, stream: bool) -> None:
    answer = await post(house, chat(stream=stream))

    record = await house.only_record()
    assert answer.status_code == 200
    assert answer.headers["x-llmgw-dropped"] == ", ".join(TOLD)
    assert record["dropped"] == TOLD
    assert events(record) == [TOLD]
    assert f"What its dialect has no word for was left out: {', '.join(TOLD)}." in list(sentences(record))
    assert await counted(house) == {
        'llmgw_dropped_fields_total{field="logit_bias",provider="chaos"}': 1,
        'llmgw_dropped_fields_total{field="_other",provider="chaos"}': 1,
    }


async def test_names_of_any_length_and_number_make_no_long_header(house: House, lossy: Lossy) -> None:
    lossy.lost = ("n" * 10_000, *(f"field_{number}" for number in range(100)))

    answer = await post(house, chat())

    assert answer.headers["x-llmgw-dropped"].startswith("n" * 64 + ", field_0, ")
    assert answer.headers["x-llmgw-dropped"].endswith(", +70")
    assert len((await house.only_record())["dropped"]) == 32


async def test_a_call_that_lost_nothing_says_nothing(house: House) -> None:
    answer = await post(house, chat())

    record = await house.only_record()
    assert "x-llmgw-dropped" not in answer.headers
    assert record["dropped"] == []
    assert events(record) == []


async def test_of_two_attempts_the_one_that_answered_is_told(house: House, lossy: Lossy) -> None:
    await house.adopt("models: {two: {use: chaos/fault/status-429, fallback: [demo], price: {in: 1, out: 2}}}")

    answer = await post(house, chat("two"))

    record = await house.only_record()
    assert answer.headers["x-llmgw-provider"] == "demo"
    assert "x-llmgw-dropped" not in answer.headers
    assert record["dropped"] == []
    assert events(record) == [TOLD]  # of the attempt that failed


async def test_an_answer_from_the_cache_has_lost_nothing(house: House, lossy: Lossy) -> None:
    await house.adopt("cache: {default: {exact: {ttl: 1h}}}")
    await post(house, chat())

    answer = await post(house, chat())

    assert answer.headers["x-llmgw-cache"] == "hit"
    assert "x-llmgw-dropped" not in answer.headers
    assert (await house.records())[1]["dropped"] == []


async def test_a_strict_policy_refuses_the_call_before_it_is_sent(
    house: House, provider: Chaosprov, lossy: Lossy
) -> None:
    await house.adopt("strict: true\nmodels: {two: {use: chaos/first, fallback: [ok], price: {in: 1, out: 2}}}")

    answer = await post(house, chat("two"))

    error = answer.json()["error"]
    record = await house.only_record()
    assert (answer.status_code, error["code"], error["param"]) == (400, "unsupported_parameter", "logit_bias")
    assert provider.calls == []
    assert [attempt["deployment"] for attempt in record["attempts"]] == ["chaos/first"]
    assert record["attempts"][0]["fault"] == "caller"
    assert record["dropped"] == []
    assert house.account() == (0, 0)


async def test_a_strict_refusal_names_a_field_that_is_harmless(house: House, lossy: Lossy) -> None:
    lossy.lost = ("x" * 10_000,)
    await house.adopt("strict: true")

    answer = await post(house, chat())

    assert answer.json()["error"]["param"] == "x" * 64
