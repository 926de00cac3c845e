"""What goes wrong in the gateway itself is its operator's business: no call waits for it, and no client learns of it."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.app import running
from tests.conftest import POLICY, House, settings
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import DONE, Finish, Say, Usage
from tests.flow.client import chunks, events, post
from tests.flow.raw import chat

CANARY = "canary-of-a-bug"
AWKWARD = 'no\nsuch "model" \x1b[31m%s %(x)d \u2028\u2029\x85 \N{FACE WITH TEARS OF JOY}'
INTERNAL = {"message": "internal error", "type": "server_error", "param": None, "code": "internal_error"}
STAGES = {
    "auth": "gateway.auth.keyring.Keyring.identify",
    "ingress": "gateway.ingress.openai.OpenAIArrival.read",
    "template": "gateway.template.prompts.Prompts.apply",
    "budget": "gateway.budget.budgets.Budgets.hold",
    "cache": "gateway.cache.replay.Replays.claim",
    "route": "gateway.route.plan.settle",
    "upstream": "gateway.upstream.open.Upstream.asking",
    "dialect": "gateway.upstream.dialects.openai.dialect.request_body",
    "meter": "gateway.meter.bill.Meter.bill",
}


@pytest.fixture
def blocked() -> Iterator[tuple[int, int]]:
    """A full pipe: where it can be read, and where nothing more can be written."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writing, b" " * 4095 + b"\n")
    yield reading, writing
    os.close(reading)
    os.close(writing)


@pytest.fixture
async def plugged(tmp_path: Path, provider: Chaosprov, blocked: tuple[int, int]) -> AsyncIterator[House]:
    """A house whose standard output is that pipe."""
    policies, data = tmp_path / "policies", tmp_path / "data"
    policies.mkdir()
    (policies / "policy.yaml").write_text(POLICY.format(provider=provider.base_url))
    async with running(settings(policies, data), records_to=blocked[1]) as worker:
        yield House(worker, policies, data)


async def test_a_blocked_log_blocks_no_call(plugged: House, blocked: tuple[int, int]) -> None:
    async with asyncio.timeout(5):
        answers = [await post(plugged, chat("demo")) for _ in range(30)]
        refused = await post(plugged, chat(AWKWARD))

    assert {answer.status_code for answer in answers} == {200}
    assert refused.status_code == 404
    assert len(await plugged.records()) == 31
    written = [json.loads(line) for line in await lines(blocked[0], 31)]
    assert [record["id"] for record in written] == [record["id"] for record in await plugged.records()]
    assert written[-1]["model"] == AWKWARD


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("stage", STAGES)
async def test_a_bug_is_answered_with_the_request_id_and_nothing_else(
    house: House,
    provider: Chaosprov,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    stage: str,
    stream: bool,
) -> None:
    def bug(*args: Any, **fields: Any) -> Any:
        raise RuntimeError(CANARY)

    monkeypatch.setattr(STAGES[stage], bug)
    provider.will(Say("Hello"), Finish(), Usage(5, 1), DONE)

    answer = await post(house, chat(stream=stream))

    error = chunks(answer.content)[-1]["error"] if answer.status_code == 200 else answer.json()["error"]
    assert error == INTERNAL
    assert (answer.status_code == 200) is (stage == "meter" and stream)
    assert "[DONE]" not in events(answer.content)
    assert CANARY not in answer.text + str(answer.headers)
    record = await house.only_record()
    assert record["id"] == answer.headers["x-request-id"]
    assert (record["status"], record["outcome"], record["error_code"]) == (500, "internal_error", "internal_error")
    told = [logged for logged in caplog.records if logged.exc_info]
    assert [getattr(logged, "request_id", None) for logged in told] == [record["id"]]


async def test_the_next_call_after_a_bug_is_served(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.delattr("gateway.route.plan.order")
        assert (await post(house, chat("demo"), idempotency_key="once")).status_code == 500

    assert (await post(house, chat("demo"), idempotency_key="once")).status_code == 200


async def lines(descriptor: int, count: int) -> list[str]:
    """What was written to a pipe, by Unicode's idea of lines, once there are so many line feeds; blank ones do not count."""
    text = b""
    async with asyncio.timeout(10):
        while text.count(b"\n") <= count:
            text += await asyncio.to_thread(os.read, descriptor, 65536)
    return [line for line in text.decode().splitlines() if line.strip()]
