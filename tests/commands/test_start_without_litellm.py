"""A gateway whose policy has no provider through litellm never loads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import asyncio, sys
from pathlib import Path
import httpx
from gateway.app import running
from gateway.upstream.bridge import exchange
from tests.conftest import settings

async def main():
    exchange._SECOND = 0.01
    async with running(settings(Path("policies"), Path(sys.argv[1])), records_to=None) as worker:
        async with httpx.AsyncClient() as client:
            ask = {"model": "demo", "messages": [{"role": "user", "content": "hi"}]}
            headers = {"authorization": f"Bearer {worker.key.reveal()}"}
            answer = await client.post(f"{worker.url}/v1/chat/completions", json=ask, headers=headers)
        await asyncio.sleep(0.1)
        print(answer.status_code, "litellm" in sys.modules)

asyncio.run(main())
"""


def test_the_shipped_policy_serves_without_litellm(tmp_path: Path) -> None:
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / "data")], capture_output=True, text=True, check=True, cwd=root
    )

    assert done.stdout.strip() == "200 False"
