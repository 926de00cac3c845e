"""A gateway as a process of its own, to be sent signals and to be watched from outside."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.faults.chaosprov import Chaosprov
from tests.flow.raw import chat
from tests.ports import free_port

POLICY = """
version: 1
providers:
  chaos: {{dialect: openai, base_url: {provider}, key: sk-chaos-canary, allow_private: true}}
models:
  ok: {{use: chaos/ok, price: {{in: 1, out: 2}}}}
"""


@dataclass
class Served:
    """A running process, where it serves, and what it prints."""

    process: asyncio.subprocess.Process
    folder: Path
    url: str
    key: str

    @property
    def policy(self) -> Path:
        return self.folder / "policies" / "policy.yaml"

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    async def ask(self, **fields: Any) -> httpx.Response:
        """An answer over a connection of its own, by whichever worker takes it."""
        async with httpx.AsyncClient(timeout=20) as client:
            return await client.post(f"{self.url}/v1/chat/completions", json=chat(**fields), headers=self.headers)

    async def ready(self) -> int:
        """The status of the readiness check; 0 when nobody listens any more."""
        async with httpx.AsyncClient() as client:
            try:
                return (await client.get(f"{self.url}/readyz")).status_code
            except httpx.TransportError:
                return 0

    async def unready(self) -> int:
        """Waits until readiness says no."""
        while (status := await self.ready()) == 200:
            await asyncio.sleep(0.01)
        return status

    def told(self) -> bytes:
        """All that was printed, on either stream."""
        return (self.folder / "output.txt").read_bytes() + (self.folder / "errors.txt").read_bytes()

    async def lines(self, count: int) -> list[dict[str, Any]]:
        """The call records on standard output, once there are so many."""
        while True:
            lines = (self.folder / "output.txt").read_text().splitlines()
            if len(records := [json.loads(line) for line in lines if line.startswith("{")]) >= count:
                return records
            await asyncio.sleep(0.02)

    def workers(self) -> list[int]:
        """The process ids of the workers, oldest first."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    async def ended(self) -> int:
        """The exit code."""
        return await asyncio.wait_for(self.process.wait(), 12)


@asynccontextmanager
async def served(
    folder: Path, provider: Chaosprov, *flags: str, more: str = "", key: str = ""
) -> AsyncIterator[Served]:
    """`llmgw serve` on ports of its own, with one model `ok` and `more` policy. Nothing of it is left at the end.

    `key` is the one to use, where none is ready-made.
    """
    (folder / "policies").mkdir()
    (folder / "policies" / "policy.yaml").write_text(POLICY.format(provider=provider.base_url) + more)
    port = free_port()
    command = [sys.executable, "-m", "gateway", "serve", "--policies", f"{folder}/policies", "--data", f"{folder}/data"]
    command += ["--port", str(port), "--admin-port", str(free_port()), *flags]
    with (folder / "output.txt").open("wb") as output, (folder / "errors.txt").open("wb") as errors:
        process = await asyncio.create_subprocess_exec(*command, stdout=output, stderr=errors, start_new_session=True)
    house = Served(process, folder, f"http://127.0.0.1:{port}", key)
    try:
        async with asyncio.timeout(20):
            house.key = key or await _key(house)
            while await house.ready() != 200:
                await asyncio.sleep(0.02)
        yield house
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _key(house: Served) -> str:
    while (found := (house.folder / "output.txt").read_text().partition("OPENAI_API_KEY=")[2]).count("\n") == 0:
        assert house.process.returncode is None, house.told()
        await asyncio.sleep(0.02)
    return found.split()[0]
