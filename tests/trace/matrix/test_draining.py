"""A gateway that goes tells what became of the calls that it ended, too: its last record and its last spans are not lost."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.trace.matrix import says, shape
from tests.trace.matrix.cast import Client, opened


async def test_a_stream_that_a_draining_gateway_ends_is_told_like_any_other_call(tmp_path: Path) -> None:
    async with opened(tmp_path, LLMGW_DRAIN_TIMEOUT="0.2") as house:
        client, begun = Client(house, "drained", "acme"), asyncio.Event()
        asking = asyncio.create_task(client.stream(model="fault/hang-after-2-chunks", begun=begun))
        await begun.wait()

        await house.gateway.stop()

        await asking
        (record,) = [row for row in printed(tmp_path / "output.txt") if row["id"] == client.id]
        trace = await house.trace(client.id)
    assert (record["status"], record["outcome"], record["error_code"]) == (503, "overloaded", "shutting_down")
    assert [attempt["error"] for attempt in record["attempts"]] == ["shutting_down"]
    assert client.response is not None
    assert client.response.status_code == 200
    shape.check(trace, record)
    assert not says.differences(says.record(record), says.answer(client))
    assert not says.differences(says.record(record), says.spans(trace))
    assert trace[0].status == trace[-2].status == "ERROR"


def printed(output: Path) -> list[dict[str, Any]]:
    """The records on the gateway's standard output."""
    return [json.loads(line) for line in output.read_text("utf-8").splitlines() if line.startswith("{")]
