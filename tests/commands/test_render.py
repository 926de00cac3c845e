"""`llmgw render` prints what a template makes, and how versions differ; `llmgw explain` says which version and why."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

TEMPLATE = """
mode: append
variables: {who: {}, tone: {default: kind}}
versions:
  1: {messages: [{user: "Hi {{ who }}."}]}
  2: {messages: [{user: "Hi {{ who }}, be {{ tone }}."}], parameters: {temperature: 0.5}}
labels: {production: 1}
rollout: {weights: {1: 1, 2: 0}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "hello.yaml").write_text(TEMPLATE)
    (tmp_path / "policy.yaml").write_text(
        "version: 1\nproviders: {demo: {dialect: demo}}\nmodels: {demo: {use: demo/demo}}\n"
        "routes: [{name: greeted, match: {tags: greet}, template: hello, model: demo}]\n"
    )
    (tmp_path / "vars.json").write_text(json.dumps({"who": "{{ tone }}"}))
    (tmp_path / "body.json").write_text(
        json.dumps(
            {
                "model": "demo",
                "messages": [{"role": "system", "content": "Be brief."}],
                "llmgw": {"variables": {"who": "Ann"}},
            }
        )
    )
    return tmp_path


def llmgw(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    full = [sys.executable, "-m", "gateway", *command, "--policies", str(folder)]
    return subprocess.run(full, capture_output=True, text=True, timeout=60, check=False)


def test_what_is_rendered_is_printed_and_versions_are_compared(folder: Path) -> None:
    given = ("--vars", str(folder / "vars.json"))

    assert llmgw(folder, "render", "hello@2", *given).stdout.splitlines()[1:] == [
        "--- user",
        "…",
        "--- user",
        "Hi {{ tone }}, be kind.",
        "--- temperature: 0.5",
    ]
    round_body = llmgw(folder, "render", "hello", "--file", str(folder / "body.json"))
    assert round_body.stdout.splitlines()[1:] == ["--- system", "Be brief.", "--- user", "Hi Ann."]
    differ = llmgw(folder, "render", "hello@2", "--against", "hello@1").stdout
    assert "-Hi {{ who }}.\n+Hi {{ who }}, be {{ tone }}.\n" in differ
    assert differ.startswith("--- hello@1\n+++ hello@2\n")
    rendered = llmgw(folder, "render", "hello@2", "--against", "hello@1", *given).stdout
    assert "-Hi {{ tone }}.\n+Hi {{ tone }}, be kind.\n" in rendered


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("render", "helo"), "404 template_not_found"),
        (("render", "hello@7"), "404 template_not_found"),
        (("render", "hello", "--vars", "policy.yaml"), "this is not JSON"),
        (("render", "hello", "--file", "vars.json"), "400 template_variable"),
    ],
)
def test_what_cannot_be_rendered_says_why(folder: Path, command: tuple[str, ...], words: str) -> None:
    named = [str(folder / each) if each.endswith((".json", ".yaml")) else each for each in command]
    done = llmgw(folder, *named)

    assert done.returncode == 1
    assert words in done.stderr


def test_explain_says_which_version_and_why(folder: Path) -> None:
    body = ("--file", str(folder / "body.json"), "--data", str(folder / "data"))

    by_route = llmgw(folder, "explain", *body, "--tags", "greet", "--show").stdout
    by_client = llmgw(folder, "explain", *body, "--template", "hello@2").stdout

    assert "put round by route greeted; this version by rollout" in by_route
    assert "user: Hi Ann." in by_route
    assert "template  hello@2" in by_client
    assert "asked for by the client; this version by number" in by_client
    assert "refused   400 template_variable" in llmgw(folder, "explain", *body).stdout
