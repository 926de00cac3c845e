"""What an operator tells the process by signals (R7, R8)."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import httpx
import pytest

from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import HANG, Say
from tests.flow.process import Served, served
from tests.flow.raw import chat


async def version_other_than(house: Served, version: str) -> str:
    async with asyncio.timeout(5):
        while (now := (await house.ask()).headers["x-llmgw-policy"]) == version:
            await asyncio.sleep(0.02)
    return now


async def test_signals_drain_reload_and_end(tmp_path: Path, provider: Chaosprov) -> None:
    """A bad policy keeps the old one, a good one is taken up, the first SIGTERM drains and the second hurries."""
    async with served(tmp_path, provider, "--drain-delay", "30") as house:
        first = (await house.ask()).headers["x-llmgw-policy"]
        good = house.policy.read_text()

        house.policy.write_text(good.replace("models:", "modles:"))
        house.process.send_signal(signal.SIGHUP)
        while b"modles" not in house.told():
            await asyncio.sleep(0.02)
        assert (await house.ask()).headers["x-llmgw-policy"] == first

        house.policy.write_text(good.replace("out: 2", "out: 3"))
        house.process.send_signal(signal.SIGHUP)
        assert await version_other_than(house, first) != first

        house.process.send_signal(signal.SIGTERM)
        assert await house.unready() == 503
        drained = await house.ask()
        assert (drained.status_code, drained.headers["connection"]) == (200, "close")

        house.process.send_signal(signal.SIGTERM)
        assert await house.ended() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_an_interrupt_ends_a_stream_with_an_error_within_seconds(
    tmp_path: Path, provider: Chaosprov, workers: str
) -> None:
    provider.will(Say("Hel"), HANG)
    async with served(tmp_path, provider, "--drain-timeout", "1", "--workers", workers) as house:
        async with (
            httpx.AsyncClient(timeout=20) as client,
            client.stream(
                "POST", f"{house.url}/v1/chat/completions", json=chat(stream=True), headers=house.headers
            ) as answer,
        ):
            lines = answer.aiter_lines()
            assert "Hel" in await anext(lines)
            house.process.send_signal(signal.SIGINT)
            rest = [line async for line in lines if line]

        assert '"shutting_down"' in rest[-1]
        assert await house.ended() == 0
        record = (await house.lines(1))[-1]
        assert (record["status"], record["error_code"], record["estimated"]) == (503, "shutting_down", True)
        assert record["cost_nano_usd"] > 0
