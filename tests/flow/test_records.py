"""Every call that reached us leaves exactly one record, and its numbers are those of the headers and the provider (R19)."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gateway.trace.journal import open_journal
from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import CUT, DONE, RESET, Event, Finish, Json, Say, Status, Step, Usage
from tests.flow.client import chunks, post
from tests.flow.process import served
from tests.flow.raw import chat

SECRET = b"sk-chaos-canary"
REFUSED: dict[str, tuple[dict[str, str], Any, int, str]] = {
    "a wrong key": ({"authorization": "Bearer sk-llmgw-wrong"}, chat(), 401, "rejected_auth"),
    "no key": ({"authorization": ""}, chat(), 401, "rejected_auth"),
    "an unknown model": ({}, chat("nope"), 404, "rejected_policy"),
    "no messages": ({}, {"model": "ok"}, 400, "rejected_request"),
    "no JSON": ({}, "{", 400, "rejected_request"),
    "no JSON by its name": ({"content_type": "text/plain"}, "{}", 415, "rejected_request"),
    "a template that is not there": ({"x_llmgw_template": "support"}, chat(), 404, "rejected_policy"),
}
FAILED: dict[str, tuple[tuple[Step, ...], int, str, list[int | None]]] = {
    "refused": ((Status(400),), 400, "upstream_400", [400]),
    "failed": ((RESET,), 502, "upstream_reset", [None]),
    "cut": ((Say("Hello"), Finish(), CUT), 502, "upstream_truncated", [200]),
    "limited": ((Status(429, headers=(("Retry-After", "50"),)),), 429, "upstream_rate_limited", [429]),
}


@pytest.mark.parametrize("stream", [True, False])
async def test_the_record_of_an_answer_agrees_with_its_headers_and_the_provider(
    house: House, provider: Chaosprov, stream: bool
) -> None:
    provider.will(Say("Hello"), Finish(), Usage(11, 7))

    answer = await post(house, chat(stream=stream), x_llmgw_tags="a, b", x_llmgw_conversation="c1")

    record = await house.only_record()
    assert record["id"] == answer.headers["x-request-id"]
    assert record["policy"] == answer.headers["x-llmgw-policy"]
    assert record["deployment"] == answer.headers["x-llmgw-model"] == "chaos/ok"
    assert (record["input_tokens"], record["output_tokens"], record["estimated"]) == (11, 7, False)
    assert record["cost_nano_usd"] == 11 * 1000 + 7 * 2000 == house.account()[0]
    assert (record["status"], record["outcome"], record["stream"]) == (200, "upstream", stream)
    assert (record["tags"], record["conversation"]) == (["a", "b"], "c1")
    if not stream:
        assert float(answer.headers["x-llmgw-cost-usd"]) * 1e9 == record["cost_nano_usd"]


@pytest.mark.parametrize("why", REFUSED)
async def test_a_refused_call_has_its_record_and_never_reaches_the_provider(
    house: House, provider: Chaosprov, why: str
) -> None:
    headers, body, status, outcome = REFUSED[why]

    answer = await post(house, body, **headers)

    record = await house.only_record()
    assert record["id"] == answer.headers["x-request-id"]
    assert answer.status_code == record["status"] == status
    assert (record["outcome"], record["error_code"]) == (outcome, answer.json()["error"]["code"])
    assert (record["cost_nano_usd"], record["attempts"], provider.calls) == (None, [], [])


@pytest.mark.parametrize("why", FAILED)
async def test_a_call_that_failed_has_its_record(house: House, provider: Chaosprov, why: str) -> None:
    steps, status, code, statuses = FAILED[why]
    provider.will(*steps)

    answer = await post(house, chat())

    record = await house.only_record()
    assert answer.status_code == record["status"] == status
    assert answer.json()["error"]["code"] == record["error_code"] == code
    assert [attempt["status"] for attempt in record["attempts"]] == statuses
    assert record["outcome"] == "upstream_error"


async def test_a_call_that_was_tried_three_times_has_one_record_with_three_attempts(
    house: House, provider: Chaosprov
) -> None:
    await house.adopt("models: {both: {use: chaos/first, fallback: [chaos/second], price: {in: 1, out: 2}}}")
    provider.will(Status(500))
    provider.will(Status(503))
    provider.will(Say("Hello"), Finish(), Usage(11, 7))

    answer = await post(house, chat("both"))

    record = await house.only_record()
    attempts = record["attempts"]
    assert [(each["deployment"], each["reason"], each["status"]) for each in attempts] == [
        ("chaos/first", "primary", 500),
        ("chaos/second", "fallback", 503),
        ("chaos/second", "retry", 200),
    ]
    assert int(answer.headers["x-llmgw-attempts"]) == len(attempts) == len(provider.calls)
    assert record["cost_nano_usd"] == 11 * 1000 + 7 * 2000
    assert all(each["duration_ms"] >= 0 for each in attempts)


async def test_as_many_records_as_calls_whatever_becomes_of_them(house: House, provider: Chaosprov) -> None:
    faults = ["no-usage", "cut-after-100", "reset-after-request", "status-400", "html", "error-mid-stream", "empty"]
    ids = []
    for fault in faults:
        for stream in (True, False):
            ids.append((await post(house, chat(f"fault/{fault}@{stream}", stream=stream))).headers["x-request-id"])

    records = await house.records()
    assert [record["id"] for record in records] == ids
    assert sum(len(record["attempts"]) for record in records) == len(provider.calls)
    assert house.account()[0] == sum(record["cost_nano_usd"] or 0 for record in records)


async def test_the_records_are_rows_of_a_file(house: House) -> None:
    await post(house, chat("demo"))
    record = await house.only_record()

    with sqlite3.connect(house.data / "calls.sqlite") as file:
        (row,) = file.execute("SELECT id, status, cost_nano_usd, record FROM calls JOIN records USING(seq)").fetchall()
    file.close()

    assert row[:3] == (record["id"], 200, record["cost_nano_usd"])
    assert json.loads(row[3]) == record


async def test_cached_tokens_are_billed_at_their_own_price(house: House, provider: Chaosprov) -> None:
    await house.adopt("models: {saving: {use: chaos/saving, price: {in: 1, out: 2, cached_in: 0.25}}}")
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 40}}
    message = {"role": "assistant", "content": "hi"}
    provider.will(Json({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}))

    await post(house, chat("saving"))

    record = await house.only_record()
    assert record["cached_tokens"] == 40
    assert record["cost_nano_usd"] == 60 * 1000 + 40 * 250 + 10 * 2000


@pytest.mark.parametrize("usage", [Usage(-1, 5), Usage("x", 5), Usage(1.5, True), Usage(10**30, 1), None])
async def test_usage_that_cannot_be_true_is_counted_here_and_marked(
    house: House, provider: Chaosprov, usage: Usage | None
) -> None:
    provider.will(Say("Hello, world"), Finish(), *((usage,) if usage else ()))

    await post(house, chat())

    record = await house.only_record()
    assert (record["estimated"], record["output_tokens"]) == (True, 3)


@pytest.mark.alone  # its record is written in the moment after the answer
async def test_the_record_of_an_answered_call_outlives_a_gateway_that_is_killed_at_once(
    tmp_path: Path, provider: Chaosprov, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.trace.journal.TAKE_OVER", 0.1)  # its worker may end a moment after it
    async with served(tmp_path, provider) as house:
        for _ in range(3):
            provider.will(Say("Hello"), Finish(), Usage(11, 7))
        answered = [(await house.ask()).headers["x-request-id"] for _ in range(3)]
        os.killpg(house.process.pid, signal.SIGKILL)
        await house.process.wait()

    journal = open_journal(tmp_path / "data", stdout=None)
    running = asyncio.ensure_future(journal.run())
    async with asyncio.timeout(10):
        while [record["id"] for record in (await journal.latest()).records] != answered[::-1]:
            await asyncio.sleep(0.05)
    costs = [record["cost_nano_usd"] for record in (await journal.latest()).records]
    running.cancel()
    await journal.close()
    assert costs == [11 * 1000 + 7 * 2000] * 3


@pytest.mark.parametrize("usage", [Usage(0, 0), Usage(7, 0)])
async def test_usage_of_nothing_is_honoured(house: House, provider: Chaosprov, usage: Usage) -> None:
    provider.will(Say("Hello, world"), Finish(), usage)

    await post(house, chat())

    assert (await house.only_record())["cost_nano_usd"] == usage.prompt * 1000


async def test_a_stream_that_tells_its_usage_as_it_goes_is_billed_once(house: House, provider: Chaosprov) -> None:
    choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": None}
    told = [Event({"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": n}}) for n in (1, 2, 3)]
    provider.will(*told, Finish(), Usage(9, 4), DONE)

    answer = await post(house, chat(stream=True, stream_options={"include_usage": True}))

    record = await house.only_record()
    assert record["cost_nano_usd"] == 9 * 1000 + 4 * 2000
    assert chunks(answer.content)[-1]["usage"]["completion_tokens"] == record["output_tokens"]


LEAKS: dict[str, tuple[Step, ...]] = {
    "the words of a refusal": (
        Status(400, b'{"error":{"message":"bad key sk-chaos-canary, Bearer sk-chaos-canary"}}'),
    ),
    "its parameter": (Status(400, b'{"error":{"message":"no","param":"sk-chaos-canary"}}'),),
    "its code": (Status(422, b'{"error":{"message":"no","code":"sk-chaos-canary"}}'),),
    "a bad credential": (Status(401, b"Incorrect API key provided: sk-chaos-canary"),),
    "a failure": (Status(500, b'{"error":{"message":"sk-chaos-canary"}}'),),
    "an error in mid-stream": (Say("Hel"), Event({"error": {"message": "sk-chaos-canary"}})),
    "an error first": (Event({"error": {"message": "sk-chaos-canary", "code": "sk-chaos-canary"}}),),
    "headers": (
        Json(
            {"choices": [{"index": 0, "message": {"content": ""}, "finish_reason": "stop"}]},
            headers=(("x-request-id", "sk-chaos-canary"), ("openai-version", "sk-chaos-canary")),
        ),
    ),
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("where", LEAKS)
async def test_the_provider_s_credential_is_in_no_answer_record_or_log(
    house: House, provider: Chaosprov, caplog: pytest.LogCaptureFixture, where: str, stream: bool
) -> None:
    provider.will(*LEAKS[where])

    answer = await post(house, chat(stream=stream))

    await house.only_record()
    kept = b"".join(path.read_bytes() for path in house.data.rglob("*") if path.is_file())
    for secret in (SECRET, SECRET[::-1], base64.b64encode(SECRET), house.key.encode()):
        assert secret not in answer.content + str(answer.headers).encode()
        assert secret not in kept + caplog.text.encode()


async def test_a_record_is_a_line_of_json_on_standard_output_and_holds_no_secret(
    tmp_path: Path, provider: Chaosprov
) -> None:
    async with served(tmp_path, provider, "--log-level", "debug") as house:
        provider.will(Say("Hello"), Finish(), Usage(11, 7))
        answer = await house.ask()
        provider.will(Status(400, b'{"error":{"message":"bad key sk-chaos-canary","param":"sk-chaos-canary"}}'))
        await house.ask(stream=True)
        (answered, refused) = await house.lines(2)
        told = house.told()

    assert answered["id"] == answer.headers["x-request-id"]
    assert float(answer.headers["x-llmgw-cost-usd"]) * 1e9 == answered["cost_nano_usd"] == 11 * 1000 + 7 * 2000
    assert (refused["status"], refused["error_code"]) == (400, "upstream_400")
    assert SECRET not in told
    assert told.count(house.key.encode()) == 1  # where it is shown for pasting
