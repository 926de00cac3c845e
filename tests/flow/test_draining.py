"""A gateway that is told to stop says so at once, lets streams end, and leaves with 0 (R7)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import DONE, Finish, Say, Sleep, Usage
from tests.flow.raw import chat

POLICY = """
version: 1
providers:
  chaos: {{dialect: openai, base_url: {provider}, key: sk-chaos, allow_private: true}}
models:
  ok: {{use: chaos/ok, price: {{in: 1, out: 2}}}}
"""


@asynccontextmanager
async def served(
    folder: Path, provider: Chaosprov, *flags: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str, str]]:
    """The process, its base URL and a key."""
    (folder / "policies").mkdir()
    (folder / "policies" / "policy.yaml").write_text(POLICY.format(provider=provider.base_url))
    command = [sys.executable, "-m", "gateway", "serve", "--policies", f"{folder}/policies", "--data", f"{folder}/data"]
    process = await asyncio.create_subprocess_exec(
        *command,
        "--port",
        "0",
        "--admin-port",
        "0",
        *flags,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        line = ""
        while not line.startswith("export OPENAI_BASE_URL"):
            line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        url, key = (word.partition("=")[2] for word in line.split()[1:3])
        yield process, url, key
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_running_stream_ends_whole_and_readiness_says_no_meanwhile(tmp_path: Path, provider: Chaosprov) -> None:
    provider.will(Say("Hel"), Sleep(1.5), Say("lo"), Finish(), Usage(5, 2), DONE)
    async with served(tmp_path, provider, "--drain-delay", "1") as (process, url, key), httpx.AsyncClient() as client:
        headers = {"authorization": f"Bearer {key}"}
        async with client.stream("POST", f"{url}/chat/completions", json=chat(stream=True), headers=headers) as answer:
            lines = answer.aiter_lines()
            assert "Hel" in await anext(lines)

            process.send_signal(signal.SIGTERM)
            while (ready := await client.get(url.replace("/v1", "/readyz"))).status_code == 200:
                await asyncio.sleep(0.01)
            assert ready.json()["error"]["code"] == "not_ready"
            assert (await client.get(url.replace("/v1", "/healthz"))).status_code == 200

            rest = [line async for line in lines]

        assert rest[-1] == "" or rest[-1] == "data: [DONE]"
        assert any("lo" in line for line in rest)
        assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_signals_drain_reload_and_end(tmp_path: Path, provider: Chaosprov) -> None:
    async with served(tmp_path, provider, "--drain-delay", "30") as (process, url, key), httpx.AsyncClient() as client:
        first = (await client.get(url + "/models")).headers["x-llmgw-policy"]
        (tmp_path / "policies" / "policy.yaml").write_text("version: 1\nmodles: {}\n")
        process.send_signal(signal.SIGHUP)
        answer = await client.post(f"{url}/chat/completions", json=chat(), headers={"authorization": f"Bearer {key}"})
        assert (answer.status_code, answer.headers["x-llmgw-policy"]) == (200, first)

        process.send_signal(signal.SIGTERM)
        while (await client.get(url.replace("/v1", "/readyz"))).status_code == 200:
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGTERM)

        assert await asyncio.wait_for(process.wait(), 8) == 0


async def test_two_workers_share_the_port_and_one_that_is_killed_comes_back(
    tmp_path: Path, provider: Chaosprov
) -> None:
    async with served(tmp_path, provider, "--workers", "2", "--drain-delay", "0") as (process, url, key):
        children = _children(process.pid)
        assert len(children) == 2
        os.kill(children[1], signal.SIGKILL)
        while (now := _children(process.pid)) == children or len(now) < 2:
            await asyncio.sleep(0.05)

        headers = {"authorization": f"Bearer {key}"}
        for _ in range(20):
            async with httpx.AsyncClient() as client:
                answer = await client.post(f"{url}/chat/completions", json=chat(), headers=headers)
                assert answer.status_code == 200

        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
