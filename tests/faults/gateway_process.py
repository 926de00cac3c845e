"""A real gateway as a subprocess, for tests that look at it from outside only."""

import asyncio
import contextlib
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.http1 import read_head
from tests.ports import free_port

KEY_LINE = re.compile(r"OPENAI_API_KEY=['\"]?([^\s'\"]+)")
START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class GatewayUnderTest:
    """Where a running gateway listens, and a virtual key that may ask for every model."""

    host: str
    port: int
    key: str


@contextlib.asynccontextmanager
async def serve(folder: Path, policy: str) -> AsyncIterator[GatewayUnderTest]:
    """Runs `llmgw serve` with this policy and a data folder of its own under `folder`; stops it at the end.

    Raises RuntimeError with the end of its output if it does not start.
    """
    (folder / "policies").mkdir(parents=True)
    (folder / "policies" / "policy.yaml").write_text(policy, "utf-8")
    shutil.copytree(Path(__file__).parent / "templates", folder / "policies" / "templates")
    port, admin_port = free_port(), free_port()
    command = [sys.executable, "-m", "gateway", "serve", "--policies", str(folder / "policies"), "--port", str(port)]
    command += ["--admin-port", str(admin_port), "--data", str(folder / "data"), "--drain-delay", "0"]
    output = folder / "output.txt"
    with output.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(*command, stdout=sink, stderr=sink)
    try:
        yield GatewayUnderTest("127.0.0.1", port, await started(process, port, output))
    finally:
        await _stop(process)


async def started(process: asyncio.subprocess.Process, port: int, output: Path) -> str:
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while asyncio.get_running_loop().time() < deadline and process.returncode is None:
        key = KEY_LINE.search(_read(output))
        if key and await _is_ready(port):
            return key[1]
        await asyncio.sleep(0.05)
    raise RuntimeError(f"the gateway did not start:\n{_read(output)[-4000:]}")


def _read(output: Path) -> str:
    return output.read_text("utf-8", "replace")


async def _is_ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head = await read_head(reader)
    writer.close()
    return head is not None and " 200" in head.start


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), 10)
    except TimeoutError:
        process.kill()
        await process.wait()
