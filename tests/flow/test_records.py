"""Every call that reached us leaves exactly one record, and its numbers are those of the headers and the provider (R19)."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import Finish, Json, Say, Status, Usage
from tests.flow.raw import chat

REFUSED = {
    "a wrong key": ({"authorization": "Bearer sk-llmgw-wrong"}, chat(), 401, "rejected_auth"),
    "no key": ({"authorization": ""}, chat(), 401, "rejected_auth"),
    "an unknown model": ({}, chat("nope"), 404, "rejected_policy"),
    "no messages": ({}, {"model": "ok"}, 400, "rejected_request"),
    "a template that is not there": ({"x-llmgw-template": "support"}, chat(), 404, "rejected_policy"),
}


async def post(house: House, body: object, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        all_headers = {"authorization": f"Bearer {house.key}", **headers}
        return await client.post(f"{house.url}/v1/chat/completions", json=body, headers=all_headers)


async def test_the_record_of_an_answer_agrees_with_its_headers_and_the_provider(
    house: House, provider: Chaosprov
) -> None:
    provider.will(Say("Hello"), Finish(), Usage(11, 7))

    answer = await post(house, chat(), **{"x-llmgw-tags": "a, b", "x-llmgw-conversation": "c1"})

    record = await house.only_record()
    assert record["id"] == answer.headers["x-request-id"]
    assert record["policy"] == answer.headers["x-llmgw-policy"]
    assert record["deployment"] == answer.headers["x-llmgw-model"] == "chaos/ok"
    assert (record["input_tokens"], record["output_tokens"], record["estimated"]) == (11, 7, False)
    assert record["cost_nano_usd"] == 11 * 1000 + 7 * 2000 == house.account()[0]
    assert float(answer.headers["x-llmgw-cost-usd"]) * 1e9 == record["cost_nano_usd"]
    assert (record["status"], record["outcome"], record["tags"]) == (200, "upstream", ["a", "b"])
    assert record["conversation"] == "c1"


@pytest.mark.parametrize("why", REFUSED)
async def test_a_refused_call_has_its_record_and_never_reaches_the_provider(
    house: House, provider: Chaosprov, why: str
) -> None:
    headers, body, status, outcome = REFUSED[why]

    answer = await post(house, body, **headers)

    record = await house.only_record()
    assert answer.status_code == record["status"] == status
    assert (record["outcome"], record["error_code"]) == (outcome, answer.json()["error"]["code"])
    assert provider.calls == []


async def test_cached_tokens_are_billed_at_their_own_price(house: House, provider: Chaosprov) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 40}}
    message = {"role": "assistant", "content": "hi"}
    provider.will(Json({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}))
    policy = (
        (house.policies / "policy.yaml")
        .read_text()
        .replace("ok, price: {in: 1,", "ok, price: {cached_in: 0.25, in: 1,")
    )
    (house.policies / "policy.yaml").write_text(policy)
    await house.worker.watch.reload()

    await post(house, chat())

    record = await house.only_record()
    assert record["cached_tokens"] == 40
    assert record["cost_nano_usd"] == 60 * 1000 + 40 * 250 + 10 * 2000


@pytest.mark.parametrize("usage", [Usage(-1, 5), Usage("x", 5), Usage(1.5, True)])
async def test_usage_that_cannot_be_true_is_counted_here_and_marked(
    house: House, provider: Chaosprov, usage: Usage
) -> None:
    provider.will(Say("Hello, world"), Finish(), usage)

    await post(house, chat())

    record = await house.only_record()
    assert (record["estimated"], record["output_tokens"]) == (True, 3)


async def test_no_secret_is_in_a_record_or_an_answer(house: House, provider: Chaosprov, tmp_path: Path) -> None:
    provider.will(Status(400, b'{"error":{"message":"bad key sk-chaos-canary, Bearer sk-chaos-canary"}}'))
    answer = await post(house, chat())
    provider.will(Status(401, b"Incorrect API key provided: sk-chaos-canary"))
    second = await post(house, chat())
    await house.records()

    kept = b"".join(path.read_bytes() for path in house.data.iterdir())
    for secret in (b"sk-chaos-canary", house.key.encode()):
        assert secret not in answer.content + second.content
        assert secret not in kept
