"""Runs every client's program against every provider dialect, behind one gateway.

The provider is `@copilotkit/aimock`, which is not ours and speaks them all; each client is the one that its makers publish.
`python -m tests.compatibility.matrix` prints what came of it and writes docs/compatibility.md.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.app import running
from tests.compatibility.wire import Wire, wire
from tests.conftest import settings

HERE = Path(__file__).parent
CLIENTS = HERE.parents[1] / ".clients"
PAGE = HERE.parents[1] / "docs" / "compatibility.md"
CELLS = ("plain", "stream", "tool loop", "structured", "image", "error")
_LONGEST = 300.0


@dataclass(frozen=True, slots=True)
class Client:
    """`program` tries all of CELLS with each model it is given."""

    name: str
    speaks: str
    program: str


PROGRAMS = (
    Client("openai (Python)", "chat", "openai_chat.py"),
    Client("openai (Node)", "chat", "openai_node.mjs"),
    Client("openai (Python)", "responses", "openai_responses.py"),
    Client("anthropic (Python)", "messages", "anthropic_messages.py"),
    Client("langchain-openai", "chat", "langchain_chat.py"),
    Client("pydantic-ai", "chat", "pydantic_ai_chat.py"),
    Client("openai-agents", "responses", "openai_agents.py"),
    Client("llm", "chat", "llm_cli.py"),
    Client("Codex CLI", "responses", "codex_cli.py"),
)

PROVIDERS = """
version: 1
providers:
  openai: {dialect: openai, base_url: MOCK/v1, key: mock-key, allow_private: true}
  azure:
    dialect: openai
    base_url: MOCK/openai/deployments/{model}
    query: api-version=2024-10-21
    key: mock-key
    auth: api-key
    allow_private: true
  anthropic: {dialect: anthropic, base_url: MOCK, key: mock-key, allow_private: true}
  responses: {dialect: responses, base_url: MOCK/v1, key: mock-key, allow_private: true}
  gemini: {dialect: gemini, base_url: MOCK/v1beta, key: mock-key, allow_private: true}
  bedrock: {dialect: bedrock, base_url: MOCK, key: mock-key, region: us-east-1, allow_private: true}
  litellm: {dialect: litellm, litellm: hosted_vllm, base_url: MOCK/v1, key: mock-key, allow_private: true}
models:
  by-openai: {use: openai/gpt-4o}
  by-azure: {use: azure/gpt-4o}
  by-anthropic: {use: anthropic/claude-sonnet-4-5}
  by-responses: {use: responses/gpt-4o}
  by-gemini: {use: gemini/gemini-2.5-flash}
  by-bedrock: {use: "bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0"}
  by-litellm: {use: litellm/llama-3.3}
"""
PICTURE = re.findall(r'PICTURE = "(\S+)"', (HERE / "programs" / "cells.py").read_text())[0].encode()
MODELS = tuple(re.findall(r"by-\w+", PROVIDERS))

Outcome = dict[tuple[str, str, str], str | None]
"""By program, model and cell: None where it went as it should, else why not."""


def missing() -> str | None:
    """What stands in the way of running them here."""
    if not (CLIENTS / ".installed").exists():
        return "the clients are not installed: make .clients/.installed"
    if shutil.which("node") is None or not (CLIENTS / "node_modules").exists():
        return "the provider and a client need Node and npm"
    return None


async def outcome(clients: Sequence[Client] = PROGRAMS, models: Sequence[str] = MODELS) -> Outcome:
    """Runs the programs one after the other."""
    found: Outcome = {}
    with tempfile.TemporaryDirectory() as folder:
        async with _mock(Path(folder)) as mock, AsyncExitStack() as wires:
            policies = Path(folder) / "policies"
            policies.mkdir()
            by_model = {model: await wires.enter_async_context(wire(mock)) for model in MODELS}
            (policies / "policy.yaml").write_text(_policy(by_model.values()))
            async with running(settings(policies, Path(folder) / "data"), records_to=None) as worker:
                assert worker.key is not None
                for client in clients:
                    for each in by_model.values():
                        each.forget()
                    lines, complaint = await _run(client, worker.url, worker.key.reveal(), *models)
                    told = {(line["model"], line["cell"]): line["why"] for line in lines}
                    for model in models:
                        for cell in CELLS:
                            why = told.get((model, cell), f"it was not tried: {complaint}")
                            if cell == "image" and why is None and PICTURE not in by_model[model].told:
                                why = "the provider was not sent the picture"
                            found[client.program, model, cell] = why
                await worker.server.drain(2)
    return found


def _policy(wires: Iterable[Wire]) -> str:
    """Each provider at the end of a wire of its own, in the order of the models."""
    first, *rest = PROVIDERS.split("MOCK")
    return first + "".join(each.url + text for each, text in zip(wires, rest, strict=True))


@asynccontextmanager
async def _mock(folder: Path) -> AsyncIterator[str]:
    """The provider's address while it runs."""
    program = CLIENTS / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
    fixtures = HERE / "fixtures.json"
    words = ("--port", "0", "--fixtures", str(fixtures), "--log-level", "info", "--chunk-size", "7")
    process = await asyncio.create_subprocess_exec(
        "node", str(program), *words, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    reading = None
    try:
        async with asyncio.timeout(30):
            while not (found := re.search(rb"http://[\w.]+:\d+", line := await process.stdout.readline())):
                assert line, "the provider did not start"
        reading = asyncio.create_task(process.stdout.read())  # so that it never waits for us
        yield found.group().decode()
    finally:
        process.terminate()
        await process.wait()
        if reading is not None:
            await reading


async def _run(client: Client, *words: str) -> tuple[list[dict[str, str]], str]:
    """What the program said, line by line, and its complaints."""
    if client.program.endswith(".mjs"):
        shutil.copy(HERE / "programs" / client.program, CLIENTS / client.program)  # Node looks for packages beside it
        command = ["node", str(CLIENTS / client.program)]
    else:
        command = [str(CLIENTS / "bin" / "python"), "-W", "ignore", str(HERE / "programs" / client.program)]
    process = await asyncio.create_subprocess_exec(
        *command, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(_LONGEST):
        out, err = await process.communicate()
    return [json.loads(line) for line in out.splitlines() if line.startswith(b"{")], err.decode()[-500:]


def page(found: Outcome) -> str:
    """docs/compatibility.md."""
    heads = [model.removeprefix("by-") for model in MODELS]
    lines = [
        "# Compatibility",
        "",
        "Written by `python -m tests.compatibility.matrix`, which runs each client as its makers publish it against the gateway,",
        f"and behind the gateway a provider that is not ours. Each cell stands for {len(CELLS)} trials: {', '.join(CELLS)}.",
        "",
        f"| client | speaks | {' | '.join(heads)} |",
        f"|---|---|{'---|' * len(heads)}",
    ]
    for client in PROGRAMS:
        cells = [_cell([cell for cell in CELLS if found[client.program, model, cell] is not None]) for model in MODELS]
        lines.append(f"| {client.name} | {client.speaks} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _cell(failed: Sequence[str]) -> str:
    return "all" if not failed else f"all but {', '.join(failed)}"


if __name__ == "__main__":
    if (why_not := missing()) is not None:
        sys.exit(why_not)
    result = asyncio.run(outcome())
    for key, why in result.items():
        if why is not None:
            print(*key, why, sep=" · ")
    PAGE.write_text(page(result))
    print(PAGE.read_text())
