"""`llmgw check --judge`: models that judge answers, asked over the gateway's own upstream with a key of the environment."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.commands.shell import llmgw
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import Finish, Say, Status, Step, Usage

POLICY = """version: 1
providers:
  acme: {{dialect: openai, base_url: "{url}", key: "${{ACME_KEY}}", allow_private: true, retry: {{attempts: 1}}}}
models:
  careful: {{use: acme/ok, price: {{in: 1, out: 2}}}}
"""
TEMPLATE = """
versions: {1: {messages: [{user: "May I send it back?"}]}}
tests:
  - name: promises no refund
    answer: We take it back, and give you a voucher.
    expect_answer: {judge: {asks: "Does the answer promise a refund?", expect: no, model: careful}}
"""
KEY = {"ACME_KEY": "sk-acme-canary"}


@pytest.fixture
def folder(tmp_path: Path, provider: Chaosprov) -> Path:
    (tmp_path / "policies" / "templates").mkdir(parents=True)
    (tmp_path / "policies" / "policy.yaml").write_text(POLICY.format(url=provider.base_url))
    (tmp_path / "policies" / "templates" / "refund.yaml").write_text(TEMPLATE)
    return tmp_path / "policies"


async def check(folder: Path, *more: str, environment: dict[str, str]) -> tuple[int, str]:
    done = await asyncio.to_thread(llmgw, "check", str(folder), *more, environment=environment)
    assert done.stderr == ""
    return done.returncode, done.stdout


async def test_a_judge_that_agrees_is_a_pass_and_what_it_cost_is_told(folder: Path, provider: Chaosprov) -> None:
    provider.will(Say("No."), Finish(), Usage(100, 2))

    code, output = await check(folder, "--judge", environment=KEY)

    (call,) = provider.calls
    body = json.loads(call.body)
    assert code == 0
    assert "1 answers were judged, for 0.000104 USD\n" in output
    assert "SKIPPED" not in output
    assert "Does the answer promise a refund?" in body["messages"][0]["content"]
    assert "give you a voucher" in body["messages"][0]["content"]
    assert ("authorization", "Bearer sk-acme-canary") in [(name.lower(), value) for name, value in call.headers]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((Say("YES"), Finish()), "expected no, and careful says yes of 'We take it back, and give you a voucher.'"),
        ((Say("It depends."), Finish()), "the judge careful said neither yes nor no: 'It depends.'"),
        ((Say(""), Finish()), "the judge careful said neither yes nor no: ''"),
        ((Status(500),), "the judge careful could not be asked: "),
        ((Status(401),), "the judge careful could not be asked: "),
    ],
)
async def test_a_judge_that_disagrees_or_gives_no_verdict_is_a_failure(
    folder: Path, provider: Chaosprov, steps: tuple[Step, ...], message: str
) -> None:
    provider.will(*steps)

    code, output = await check(folder, "--judge", environment=KEY)

    assert code == 1
    assert "templates/refund.yaml:4:5: test 'promises no refund': refund@1: the answer: " in output
    assert message in output
    assert "1 answers were judged" in output
    assert "canary" not in output


@pytest.mark.parametrize(
    ("flags", "environment", "why"),
    [
        ((), KEY, "careful is asked with `llmgw check --judge`"),
        (("--judge",), {}, "no provider of careful is switched on"),
    ],
)
async def test_nobody_is_asked_without_the_flag_or_the_key_and_the_test_is_told_as_skipped(
    folder: Path, provider: Chaosprov, flags: tuple[str, ...], environment: dict[str, str], why: str
) -> None:
    code, output = await check(folder, *flags, environment=environment)

    assert code == 0
    assert "1 tests SKIPPED, as nobody judged them:" in output
    assert f"test 'promises no refund': refund@1: {why}" in output
    assert "were judged" not in output
    assert provider.calls == []
