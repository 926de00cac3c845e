"""A gateway that is told to stop says so at once, lets calls end, and leaves with 0 (R7)."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import DONE, HANG, Finish, Say, Sleep, Usage
from tests.flow.client import DONE as SAID_DONE
from tests.flow.client import events
from tests.flow.process import Served, served
from tests.flow.raw import chat, connected, request


async def stream(house: Served, began: asyncio.Event, client: httpx.AsyncClient) -> bytes:
    """A whole stream; `began` is set once its first bytes are here."""
    received = b""
    url = f"{house.url}/v1/chat/completions"
    async with client.stream("POST", url, json=chat(stream=True), headers=house.headers) as answer:
        async for piece in answer.aiter_bytes():
            received += piece
            began.set()
    return received


async def streaming(house: Served, client: httpx.AsyncClient) -> asyncio.Task[bytes]:
    """A stream that is under way."""
    began = asyncio.Event()
    task = asyncio.create_task(stream(house, began, client))
    await asyncio.wait_for(began.wait(), 5)
    return task


async def test_readiness_says_no_at_once_and_what_comes_meanwhile_is_still_served(
    tmp_path: Path, provider: Chaosprov
) -> None:
    provider.will(Say("Hel"), Sleep(1.5), Say("lo"), Finish(), Usage(5, 2), DONE)
    async with served(tmp_path, provider, "--drain-delay", "1") as house, httpx.AsyncClient() as client:
        running = await streaming(house, client)

        house.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(house.unready(), 0.5) == 503
        late = await house.ask()
        alive = await client.get(f"{house.url}/healthz")

        assert (late.status_code, late.headers["connection"], alive.status_code) == (200, "close", 200)
        assert events(await running)[-1] == SAID_DONE
        assert await house.ended() == 0
        assert len(await house.lines(2)) == 2


async def test_a_second_signal_hurries(tmp_path: Path, provider: Chaosprov) -> None:
    async with served(tmp_path, provider, "--drain-delay", "30") as house:
        house.process.send_signal(signal.SIGTERM)
        await house.unready()
        house.process.send_signal(signal.SIGTERM)

        assert await house.ended() == 0


async def test_a_stream_that_outlasts_the_drain_ends_with_an_error_and_is_billed(
    tmp_path: Path, provider: Chaosprov
) -> None:
    flags = ("--drain-delay", "0", "--drain-timeout", "0.5")
    provider.will(Say("Hello"), HANG)
    async with served(tmp_path, provider, *flags) as house, httpx.AsyncClient() as client:
        running = await streaming(house, client)
        house.process.send_signal(signal.SIGTERM)

        last = events(await running)[-1]
        assert await house.ended() == 0
        (record,) = await house.lines(1)

    assert "shutting_down" in last
    assert (record["status"], record["error_code"]) == (503, "shutting_down")
    assert record["output_tokens"] == 1
    assert record["cost_nano_usd"] > 0


async def test_a_request_that_is_still_coming_in_is_answered(house: House) -> None:
    sent = request(house, chat("demo"))
    async with connected(house) as client:
        client.writer.write(sent[:-20])
        while house.worker.server.open_connections == 0:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)  # the bytes have no event to wait for
        draining = asyncio.create_task(house.worker.drain(delay=0, limit=3))
        await asyncio.sleep(0)
        client.writer.write(sent[-20:])

        answer = await client.rest()

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nconnection: close\r\n" in answer
    await draining


async def test_an_idle_connection_does_not_hold_up_the_end(house: House) -> None:
    async with connected(house) as client:
        client.writer.write(request(house, chat("demo")))
        await client.answer()

        async with asyncio.timeout(1):
            await house.worker.drain(delay=0, limit=5)
        assert await client.rest() == b""


async def test_two_workers_share_the_port_and_one_that_is_killed_comes_back(
    tmp_path: Path, provider: Chaosprov
) -> None:
    flags = ("--workers", "2", "--drain-delay", "0")
    async with served(tmp_path, provider, *flags) as house, httpx.AsyncClient(timeout=20) as client:
        for _ in range(4):
            provider.will(Say("Hel"), Sleep(2), Say("lo"), Finish(), Usage(5, 2), DONE)
        running: list[asyncio.Task[Any]] = [await streaming(house, client) for _ in range(4)]
        before = house.workers()
        os.kill(before[1], signal.SIGKILL)

        results = await asyncio.gather(*running, return_exceptions=True)
        whole = [each for each in results if isinstance(each, bytes)]
        assert all(events(each)[-1] == SAID_DONE for each in whole)
        async with asyncio.timeout(5):
            while len(house.workers()) < 2:
                await asyncio.sleep(0.05)
        answers = [(await house.ask()).status_code for _ in range(10)]

        assert answers == [200] * 10
        assert before[0] in house.workers()
        house.process.send_signal(signal.SIGTERM)
        assert await house.ended() == 0


async def test_two_workers_drain_together(tmp_path: Path, provider: Chaosprov) -> None:
    flags = ("--workers", "2", "--drain-delay", "0.5")
    async with served(tmp_path, provider, *flags) as house, httpx.AsyncClient(timeout=20) as client:
        for _ in range(6):
            provider.will(Say("Hel"), Sleep(1), Say("lo"), Finish(), Usage(5, 2), DONE)
        running = [await streaming(house, client) for _ in range(6)]

        house.process.send_signal(signal.SIGTERM)

        assert {events(each)[-1] for each in await asyncio.gather(*running)} == {SAID_DONE}
        assert await house.ended() == 0
        assert len(await house.lines(6)) == 6
