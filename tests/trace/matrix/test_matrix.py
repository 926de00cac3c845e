"""Whatever becomes of a call, it leaves one record and one trace, and the answer, the record, the spans and the ledger say
the same of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.ledger.gateway import Row
from tests.trace.matrix import says, shape
from tests.trace.matrix.cast import PROMPT, Client, House, opened
from tests.trace.matrix.outcomes import CALLER, OUTCOMES, TRACE, Outcome
from tests.trace.receiver import Span

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder: Path = tmp_path_factory.mktemp("matrix")
    async with opened(folder) as house:
        yield house


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: outcome.name)
async def test_a_call_is_told_the_same_everywhere(house: House, outcome: Outcome) -> None:
    client = Client(house, outcome.name.replace(" ", "-").replace("'", ""), outcome.tenant)
    before = await house.settled(outcome.tenant)

    await outcome.do(client)

    (record,) = await house.records(client.id)
    told = await house.gateway.record(client.id)
    assert record.items() <= told.items()
    assert told["spans"][0]["name"] == f"{record['method']} {record['path']}"
    check_record(record, outcome)
    check_answer(client, record, outcome)
    assert not says.differences(says.record(record), says.answer(client))
    after = await house.settled(outcome.tenant)
    if before is not None and after is not None:
        cost = await costs(house, client.id)
        assert after.spent - before.spent == cost
    if outcome.exported:
        trace = await house.trace(client.id)
        shape.check(trace, record)
        check_caller(trace[0], record, outcome)
        assert not says.differences(says.record(record), says.spans(trace))
        assert not says.differences(says.answer(client), says.spans(trace))
        check_provider(house, trace, record, outcome)


async def test_nothing_is_told_twice_nothing_is_without_a_parent_and_nothing_is_told_that_nobody_asked_for(
    house: House,
) -> None:
    await house.flushed()

    spans = house.receiver.spans
    records = await house.gateway.records()
    assert not [id for id, count in Counter((span.trace_id, span.span_id) for span in spans).items() if count > 1]
    assert not [id for id, count in Counter(record["id"] for record in records).items() if count > 1]
    known = {span.span_id for span in spans}
    assert {span.parent for span in spans} - known <= {None, CALLER}
    servers = Counter(span.attributes["llmgw.request.id"] for span in spans if span.kind == "SERVER")
    silent = {record["id"] for record in records if not record["sampled"] and record["status"] < 500}
    assert servers == Counter(record["id"] for record in records if record["id"] not in silent)
    told = [span for span in spans if PROMPT in repr(span)]
    assert all(span.trace_id in {each["trace_id"] for each in records if each["org"] == "read"} for span in told)
    assert not [body for body in house.receiver.bodies if b"sk-chaos-canary" in body or b"sk-llmgw" in body]


def check_record(record: Row, outcome: Outcome) -> None:
    found = {
        name: record[name] for name in ("status", "outcome", "error_code", "failed_in", "cache", "route", "estimated")
    }
    assert found == {
        "status": outcome.status,
        "outcome": outcome.outcome,
        "error_code": outcome.code,
        "failed_in": outcome.failed_in,
        "cache": outcome.cache,
        "route": outcome.route,
        "estimated": outcome.estimated,
    }
    assert [attempt["error"] for attempt in record["attempts"]] == list(outcome.attempts)
    paid = [attempt for attempt in record["attempts"] if "served" in attempt]
    for name in ("cost_nano_usd", "input_tokens", "output_tokens"):
        assert not paid or sum(attempt[name] for attempt in paid) == record[name]
    is_known = record["outcome"] != "rejected_auth" or outcome.name in ("a blocked tenant", "an expired key")
    assert record["tenant"] == (outcome.tenant if is_known else None)


def check_answer(client: Client, record: Row, outcome: Outcome) -> None:
    told = outcome.status if outcome.told is None else outcome.told
    assert (client.response.status_code if client.response else 0) == told
    if client.response is not None:
        assert "traceresponse" in client.response.headers
        assert ("x-llmgw-clamped" in client.response.headers) == outcome.is_clamped


def check_caller(root: Span, record: Row, outcome: Outcome) -> None:
    assert record["parent_span_id"] == root.parent == (CALLER if outcome.caller == "parent" else None)
    assert (root.trace_id == TRACE) == (outcome.caller == "parent")
    assert root.state == ("vendor=1" if outcome.caller == "parent" else "")
    assert root.links == (((TRACE, CALLER),) if outcome.caller == "link" else ())
    assert root.flags & 0x200 == (0x200 if outcome.caller == "parent" else 0)


def check_provider(house: House, trace: list[Span], record: Row, outcome: Outcome) -> None:
    """What the provider heard of the trace, in the call that it got last."""
    attempts = [span for span in trace if span.kind == "CLIENT"]
    if not attempts or outcome.code == "upstream_connect_error":
        return
    call = house.provider.calls[-1]
    told = call.header("traceparent")
    flags = f"{record['sampled']:02x}"
    assert told == (f"00-{trace[0].trace_id}-{attempts[-1].span_id}-{flags}" if outcome.told_trace else None)
    assert call.header("tracestate") == ("vendor=1" if outcome.told_trace and outcome.caller == "parent" else None)


async def costs(house: House, id: str) -> int:
    """What the call and those that led up to it have cost, in nano-USD."""
    return sum(record["cost_nano_usd"] or 0 for record in await house.gateway.records() if record["id"].startswith(id))
