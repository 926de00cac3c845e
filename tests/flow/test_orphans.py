"""Nothing of a gateway outlives it, however it ended, and a connection outlives the calls that failed on it."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import CUT, DONE, Event, Finish, Say, Status, Step, Usage
from tests.flow.process import served
from tests.flow.raw import chat, connected, request

FAILED: dict[str, tuple[bool, tuple[Step, ...], int]] = {
    "a refusal": (False, (Status(400),), 400),
    "a failure": (False, (Status(501),), 502),
    "a document that was cut": (False, (Say("Hel"), CUT), 502),
    "a stream that was cut": (True, (Say("Hel"), CUT), 200),
    "a stream with an error in it": (True, (Say("Hel"), Event({"error": {"message": "no"}}), DONE), 200),
}


async def test_workers_end_when_their_parent_is_killed(tmp_path: Path, provider: Chaosprov) -> None:
    """Or else they serve on without anybody to reload, drain or replace them, and hold the port against the next."""
    async with served(tmp_path, provider, "--workers", "2", "--drain-delay", "0") as house:
        workers = house.workers()
        os.kill(house.process.pid, signal.SIGKILL)
        await house.process.wait()
        try:
            async with asyncio.timeout(8):
                while any(is_alive(worker) for worker in workers):
                    await asyncio.sleep(0.05)
        finally:
            for worker in filter(is_alive, workers):
                os.kill(worker, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("what", FAILED)
async def test_a_connection_carries_the_next_call_after_one_that_failed(
    house: House, provider: Chaosprov, what: str
) -> None:
    stream, steps, status = FAILED[what]
    await house.adopt(
        f"providers: {{once: {{dialect: openai, base_url: '{provider.base_url}', allow_private: true,"
        " retry: {attempts: 1}}}\n"
        "models: {once: {use: once/ok}}"
    )
    provider.will(*steps)
    provider.will(Say("Hello"), Finish(), Usage(5, 1))
    async with connected(house) as client:
        client.writer.write(request(house, chat("once", stream=stream)))
        assert (await client.answer())[0] == status

        client.writer.write(request(house, chat("once")))

        next_status, body = await client.answer()
    assert (next_status, b"Hello" in body) == (200, True)
