"""The README's snippets work as pasted."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from gateway.policy.compile import compile_policy
from tests.conftest import House

README = (Path(__file__).parent.parent / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)


def block(language: str, holding: str) -> str:
    return next(str(text) for kind, text in BLOCKS if kind == language and holding in text)


async def run(house: House, *command: str) -> str:
    environment = {**os.environ, "OPENAI_BASE_URL": f"{house.url}/v1", "OPENAI_API_KEY": house.key}
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, output
    return output.decode()


async def test_the_curl_snippet(house: House) -> None:
    output = await run(house, "sh", "-c", block("sh", "curl $OPENAI_BASE_URL"))

    assert "This is the demo provider of llmgw. You said: Say hello" in output


async def test_the_sdk_snippet(house: House) -> None:
    output = await run(house, sys.executable, "-c", block("python", "OpenAI()"))

    assert output == "This is the demo provider of llmgw. You said: Say hello"


def test_the_policy_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "policy.yaml").write_text(block("yaml", "providers:"))

    snapshot = compile_policy(tmp_path, {"OPENAI_API_KEY": "sk-x"}, lambda provider, model: None)

    assert set(snapshot.routes.models) == {"strong", "cheap"}
    assert snapshot.notes == ()
