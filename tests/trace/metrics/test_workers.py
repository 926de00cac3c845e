"""The metrics of several workers, as processes of their own: scraped from one, pushed by each."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import Path

import httpx
import pytest

from tests.faults.chaosprov import Chaosprov
from tests.flow.process import Served, served
from tests.otlp import Collector, attributes, http_collector, metrics_of, points
from tests.trace.metrics.scrape import series

CALLS = 'llmgw_calls_total{model="ok",org="default",outcome="upstream"}'


async def scraped(house: Served) -> dict[str, float] | None:
    """None while nobody answers."""
    found = re.search(rb"admin API (\S+)/admin/v1/", house.told())
    assert found is not None
    async with httpx.AsyncClient() as client:
        try:
            return series((await client.get(f"{found[1].decode()}/metrics")).text)
        except httpx.TransportError:
            return None


async def never_falling(house: Served, until: float, since: float) -> float:
    """Scrapes until so many calls are counted; there must never be fewer than at any time before."""
    async with asyncio.timeout(15):
        while since < until:
            if (found := await scraped(house)) is not None:
                calls = found.get(CALLS, 0)  # before the first is counted
                assert calls >= since, "a counter has fallen"
                since = calls
            await asyncio.sleep(0.02)
    return since


async def restarted(house: Served, died: int) -> None:
    async with asyncio.timeout(15):
        while died in house.workers() or len(house.workers()) < 2 or await scraped(house) is None:
            await asyncio.sleep(0.02)


async def ask(house: Served, times: int) -> None:
    """Each over a connection of its own, by whichever worker takes it."""
    for _ in range(times):
        async with asyncio.timeout(10):
            while (status := await _status(house)) == 0:
                await asyncio.sleep(0.05)
        assert status == 200


async def _status(house: Served) -> int:
    try:
        return (await house.ask()).status_code
    except httpx.TransportError:
        return 0  # it came to the worker that has been killed


def pushed(collector: Collector) -> dict[str, int]:
    """The calls that each instance has told of last."""
    found: dict[str, int] = {}
    for request in collector.metrics:
        instance = attributes(request.resource_metrics[0].resource.attributes)["service.instance.id"]
        if (metric := metrics_of(request).get("llmgw.calls")) is not None:
            found[instance] = sum(point.as_int for _, point in points(metric))
    return found


async def test_one_worker_is_scraped_for_all_and_no_counter_falls_when_one_dies(
    tmp_path: Path, provider: Chaosprov
) -> None:
    left_behind = tmp_path / "data" / "metrics" / "earlier"
    left_behind.mkdir(parents=True)
    async with served(tmp_path, provider, "--workers", "2") as house:
        assert not left_behind.exists()
        await ask(house, 20)
        seen = await never_falling(house, 20, 0)

        for number, times in ((1, 10), (0, 10)):
            died = house.workers()[number]
            os.kill(died, signal.SIGKILL)
            await restarted(house, died)
            await ask(house, times)
            seen = await never_falling(house, seen + times, seen)

        assert seen == 40
        found = await scraped(house)
        assert found is not None
        assert found["llmgw_calls_active"] == 0
        house.process.send_signal(signal.SIGINT)
        assert await house.ended() == 0
    assert not list((tmp_path / "data" / "metrics").iterdir())


async def test_each_worker_pushes_its_own_and_all_of_it_when_it_ends(
    tmp_path: Path, provider: Chaosprov, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with http_collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "200")
        async with served(tmp_path, provider, "--workers", "2") as house:
            await ask(house, 20)
            await collector.until(lambda: sum(pushed(collector).values()) == 20)
            await ask(house, 5)
            house.process.send_signal(signal.SIGINT)
            assert await house.ended() == 0

        assert sum(pushed(collector).values()) == 25
        assert len(pushed(collector)) == 2
