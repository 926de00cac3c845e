"""OpenAI's Codex, the command as people give it, with the gateway as its provider of models."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cells

home = Path(tempfile.mkdtemp())
(home / "config.toml").write_text(
    'model_provider = "llmgw"\n'
    "check_for_update_on_startup = false\n"
    "[analytics]\n"
    "enabled = false\n"
    "[model_providers.llmgw]\n"
    'name = "llmgw"\n'
    f'base_url = "{cells.BASE_URL}/v1"\n'
    'env_key = "LLMGW_KEY"\n'
    'wire_api = "responses"\n'
    "request_max_retries = 0\n"
    "stream_max_retries = 0\n"
)
(home / "schema.json").write_text(json.dumps(cells.PERSON_SCHEMA))
(home / "picture.png").write_bytes(base64.b64decode(cells.PICTURE))


class CommandError(Exception):
    """What the command said as it failed."""


def codex(model: str, *words: str) -> list[Any]:
    """The events that it tells."""
    command = [str(Path(sys.prefix) / "node_modules" / ".bin" / "codex"), "exec", "--json", "--skip-git-repo-check"]
    command += ["--dangerously-bypass-approvals-and-sandbox", "-C", str(home), "-m", model, *words]
    environment = {**os.environ, "CODEX_HOME": str(home), "HOME": str(home), "LLMGW_KEY": cells.KEY}
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise CommandError(done.stdout + done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def items(events: list[Any], kind: str) -> list[Any]:
    done = [event["item"] for event in events if event["type"] == "item.completed"]
    return [item for item in done if item["type"] == kind]


def said(events: list[Any]) -> str:
    return str(items(events, "agent_message")[-1]["text"])


def plain(model: str) -> None:
    events = codex(model, cells.HELLO)
    cells.equal(said(events), cells.HELLO_ANSWER)
    cells.true(events[-1]["usage"]["input_tokens"], "no usage")


def stream(model: str) -> None:
    """It always asks for a stream; a conversation goes on with what the first one gave."""
    thread = next(event["thread_id"] for event in codex(model, cells.HELLO) if event["type"] == "thread.started")
    cells.equal(said(codex(model, "resume", thread, cells.HELLO)), cells.HELLO_ANSWER)


def tools(model: str) -> None:
    events = codex(model, cells.WEATHER)
    cells.equal(said(events), cells.WEATHER_ANSWER)
    (run,) = items(events, "command_execution")
    cells.equal(run["aggregated_output"].strip(), "21 degrees")


def structured(model: str) -> None:
    cells.equal(
        json.loads(said(codex(model, "--output-schema", str(home / "schema.json"), cells.EXTRACT))), cells.PERSON
    )


def image(model: str) -> None:
    cells.equal(said(codex(model, "-i", str(home / "picture.png"), "--", cells.PICTURE_QUESTION)), cells.PICTURE_ANSWER)


def error(model: str) -> None:
    cells.fails(CommandError, lambda: codex(model, cells.FAIL))


cells.run(
    {"plain": plain, "stream": stream, "tool loop": tools, "structured": structured, "image": image, "error": error}
)
