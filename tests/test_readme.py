"""The README's snippets work as pasted, and what it and the operating manual list is what there is."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from gateway.auth.virtual_key import well_formed
from gateway.policy.compile import compile_policy
from gateway.settings import PREFIX, add_flags
from tests.conftest import House
from tests.ports import free_port

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
NEEDS_CURL = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)


def block(language: str, holding: str) -> str:
    return next(str(text) for kind, text in BLOCKS if kind == language and holding in text)


async def run(house: House, *command: str) -> str:
    """What the command prints, in a shell in which the `export` lines of `house` were pasted."""
    assert house.worker.admin_key is not None
    pasted = {
        "OPENAI_BASE_URL": f"{house.url}/v1",
        "OPENAI_API_KEY": house.key,
        "LLMGW_ADMIN_KEY": house.worker.admin_key.reveal(),
        "LLMGW_DATA": str(house.data),
    }
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **pasted}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, output
    return output.decode()


@NEEDS_CURL
async def test_the_curl_snippet(house: House) -> None:
    output = await run(house, "sh", "-c", block("sh", "curl $OPENAI_BASE_URL"))

    assert "This is the demo provider of llmgw. You said: Say hello" in output


async def test_the_sdk_snippet(house: House) -> None:
    output = await run(house, sys.executable, "-c", block("python", "OpenAI()"))

    assert output == "This is the demo provider of llmgw. You said: Say hello"


@NEEDS_CURL
async def test_the_admin_snippet(house: House) -> None:
    await run(house, "sh", "-c", block("sh", "curl $OPENAI_BASE_URL"))

    output = await run(
        house, "sh", "-c", block("sh", "/admin/v1/calls").replace("http://127.0.0.1:8081", str(house.worker.admin_url))
    )

    assert [call["model"] for call in json.loads(output)["calls"]] == ["demo"]


async def test_the_keys_snippet(house: House) -> None:
    llmgw = f"'{sys.executable}' -m gateway"
    create, show, revoke = block("sh", "keys create").replace(".venv/bin/llmgw", llmgw).splitlines()

    created = await run(house, "sh", "-c", create)
    id = created.split()[1]
    shown = await run(house, "sh", "-c", show)

    assert re.search(rf"{id} +search-ci +acme/search +cheap .* active", shown)
    assert await run(house, "sh", "-c", revoke.replace("ID", id)) == f"key {id} is revoked\n"


@contextmanager
def serving(folder: Path) -> Iterator[Mapping[str, str]]:
    """`llmgw serve` in a folder with a copy of `policies`; what it prints for another shell, and where its admin API is."""
    shutil.copytree(ROOT / "policies", folder / "policies")
    ports = ["--port", str(free_port()), "--admin-port", str(free_port())]
    environment = {"PATH": os.environ["PATH"], "LLMGW_DRAIN_DELAY": "0"}
    command = [sys.executable, "-m", "gateway", "serve", *ports]
    output = folder / "output.txt"
    with output.open("wb") as sink:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=sink, stderr=sink)
    try:
        printed = until(output.read_text, lambda text: "LLMGW_ADMIN_KEY=" in text and text.endswith("\n"))[-1]
        yield {**environment, **dict(re.findall(r"(\w+)=(\S+)", printed)), "ADMIN": f"http://127.0.0.1:{ports[3]}"}
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0, output.read_text()
    finally:
        process.kill()
        process.wait()


def until(look: Callable[[], str], is_right: Callable[[str], bool]) -> list[str]:
    """What is seen until it is right, which may take a moment."""
    seen = [look()]
    deadline = time.monotonic() + 30
    while not is_right(seen[-1]):
        assert time.monotonic() < deadline, seen[:3] + seen[-3:]
        time.sleep(0.05)
        seen.append(look())
    return seen


def sh(folder: Path, environment: Mapping[str, str], commands: str) -> str:
    """What a shell prints into which the commands are pasted."""
    done = subprocess.run(
        ["sh", "-e"],
        input=commands,
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@NEEDS_CURL
def test_the_budgets_snippet(tmp_path: Path) -> None:
    snippet = block("sh", "policies/acme.yaml").replace(".venv/bin/llmgw", f"'{sys.executable}' -m gateway")

    with serving(tmp_path) as shell:
        pasted = snippet.replace("http://127.0.0.1:8081", shell["ADMIN"])
        policy, end, rest = pasted.rpartition("EOF\n")
        commands = rest.splitlines()
        sh(tmp_path, shell, policy + end)
        key, story = (sh(tmp_path, shell, command) for command in commands[:2])
        # an edit is in force within a second
        budgets = until(lambda: sh(tmp_path, shell, commands[2]), lambda shown: bool(json.loads(shown)["budgets"]))[-1]

    assert well_formed(key.splitlines()[-1])
    assert re.search(r"team acme/search: \S+ USD of 50 USD left of 50 USD per day@Europe/Berlin", story)
    rows = {row["account"].partition("|")[0]: row for row in json.loads(budgets)["budgets"]}
    assert rows["team:acme/search:usd/day@Europe/Berlin"]["left_usd"] == "50"
    assert rows["team:acme/search:requests/60s"]["limit"] == 600


@NEEDS_CURL
def test_the_caching_snippet(tmp_path: Path) -> None:
    snippet = block("sh", "policies/caching.yaml").replace(".venv/bin/llmgw", f"'{sys.executable}' -m gateway")

    with serving(tmp_path) as shell:
        policy, end, rest = snippet.replace("\\\n", "").rpartition("EOF\n")
        write, explain, call, stats = rest.splitlines()
        sh(tmp_path, shell, policy + end + write)
        story = sh(tmp_path, shell, explain)
        # An edit is in force within a second, and an answer is kept a little after it was given.
        met = until(lambda: sh(tmp_path, shell, call).strip(), lambda last: last == "x-llmgw-cache: hit")
        figures = sh(tmp_path, shell, stats)

    assert "looked up, kept for 1d (the policy's rule for faq)" in story
    assert "shared in organisation default" in story
    assert {each for each in met[:-1] if each != "x-llmgw-cache: bypass"} == {"x-llmgw-cache: miss"}
    assert re.search(r"faq: \S+% of \d+", figures)


@NEEDS_CURL
def test_the_routing_snippet(tmp_path: Path) -> None:
    snippet = block("sh", "policies/cheaper.yaml")

    with serving(tmp_path) as shell:
        pasted = snippet.replace("http://127.0.0.1:8081", shell["ADMIN"])
        policy, end, rest = pasted.replace("\\\n", "").rpartition("EOF\n")
        *ask, show = rest.splitlines()
        sh(tmp_path, shell, policy + end)
        until(
            lambda: sh(tmp_path, shell, "\n".join(ask)) + sh(tmp_path, shell, show),
            lambda shown: json.loads(shown)["certificates"][0]["standing"] == "certified",
        )
        headers = sh(
            tmp_path, shell, "\n".join(ask).replace("-o /dev/null", "-o /dev/null -D-").replace("seq 100", "seq 3")
        )

    assert set(re.findall("x-llmgw-model: (\\S+)", headers)) == {"demo/weak"}


@NEEDS_CURL
def test_the_templates_snippet(tmp_path: Path) -> None:
    llmgw = f"'{sys.executable}' -m gateway"
    ask, rest = block("sh", "llmgw templates").replace(".venv/bin/llmgw", llmgw).split("ask 1 ")
    ask_200 = next(line for line in rest.splitlines() if "seq 200" in line)
    edit, _, rest = f"ask 1 {rest}".partition(ask_200)

    with serving(tmp_path) as shell:
        show, roll_back, ask_7 = re.sub("(templates .*)", rf"\1 --url {shell['ADMIN']}", rest).strip().splitlines()
        first = sh(tmp_path, shell, ask + edit)
        # an edit is in force within a second
        counted = until(lambda: sh(tmp_path, shell, ask + ask_200), lambda shown: "support@2" not in shown)[-1]
        table = sh(tmp_path, shell, show.partition("#")[0] + show.rpartition(" --url")[1] + f" {shell['ADMIN']}")
        sh(tmp_path, shell, roll_back)
        after = sh(tmp_path, shell, ask + ask_7)

    assert first.startswith(("x-llmgw-template: support@1", "x-llmgw-template: support@2"))
    assert "0 mistakes" not in first
    answers = {version: int(number) for number, version in re.findall(r"(\d+) x-llmgw-template: (\S+)", counted)}
    assert set(answers) == {"support@1", "support@3"}
    assert 5 <= answers["support@3"] <= 40, answers
    assert re.search(rf"(?m)^3 +10% +{answers['support@3']} ", table), table
    assert after.strip() == "x-llmgw-template: support@1"


def test_the_policy_compiles(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(block("yaml", "providers:"))

    snapshot = compile_policy(tmp_path, {"OPENAI_API_KEY": "sk-x"}, lambda provider, model: None)

    assert set(snapshot.routes.models) == {"strong", "cheap"}
    assert snapshot.notes == ()


async def test_the_record_shown_has_the_fields_of_a_record(house: House) -> None:
    await run(house, sys.executable, "-c", block("python", "OpenAI()"))

    shown, record = json.loads(block("json", "outcome")), dict(await house.only_record())

    assert list(shown) == [name for name in record if name in shown]
    assert list(shown["attempts"][0]) == [name for name in record["attempts"][0] if name in shown["attempts"][0]]
    manual = (ROOT / "docs" / "observability.md").read_text()
    assert [name for name in record if f"`{name}`" not in manual] == []


async def test_every_header_of_an_answer_is_explained(house: House) -> None:
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {house.key}"}) as client:
        body = {"model": "demo", "messages": [{"role": "user", "content": "Say hello"}]}
        answer = await client.post(f"{house.url}/v1/chat/completions", json=body)

    ours = {name for name in answer.headers if name.startswith("x-")}
    assert {name for name in ours if f"`{name}`" not in README} == set()


def test_the_manual_names_every_setting() -> None:
    manual = (ROOT / "docs" / "operating.md").read_text()
    parser = argparse.ArgumentParser()
    add_flags(parser, {})
    flags = [flag for action in parser._actions for flag in action.option_strings if flag not in ("-h", "--help")]

    assert [flag for flag in flags if f"`{flag}`" not in manual] == []
    variables = [PREFIX + flag.removeprefix("--").upper().replace("-", "_") for flag in flags]
    assert [name for name in variables if f"`{name}`" not in manual] == []
