"""`llmgw replay` of a changed template: real calls with variables, and what their new prompts would come to."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import tiktoken

from gateway.meter.tokens import Tokens
from tests.commands.shell import llmgw
from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import Finish, Say, Usage
from tests.flow.client import post

SUPPORT = """
model: ok
variables:
  product: {max_length: 40}
  question: {}
versions:
  1: {messages: [{system: "About {{ product }}."}, {user: "{{ question }}"}]}
labels: {production: 1}
"""
LONGER = SUPPORT.replace("labels: {production: 1}", "labels: {production: 2}").replace(
    "labels:",
    """  2:
    messages:
      - system: You answer questions about {{ product }}, and about nothing else. Be brief.
      - user: "{{ question }}"
labels:""",
)
CAPTURED = "trace: {capture: {to: records, redact: [email]}}\n"
QUESTIONS = (
    "Why?",
    "Does it float on water?",
    "What does ann@example.com think?",
    "How much is it, and how many are left?",
)


async def asked(house: House, provider: Chaosprov, policy: str = CAPTURED) -> None:
    """A call for each question, each of 20 tokens in and 5 out."""
    folder = house.policies / "templates"
    folder.mkdir(exist_ok=True)
    (folder / "support.yaml").write_text(SUPPORT)
    await house.adopt(policy)
    for question in QUESTIONS:
        provider.will(Say("Yes."), Finish(), Usage(20, 5))
        variables = {"product": "Widget", "question": question}
        answer = await post(house, {"model": "template:support", "llmgw": {"variables": variables}})
        assert answer.status_code == 200
    while len(await house.records()) < len(QUESTIONS):
        await asyncio.sleep(0.01)


def changed(house: House, folder: Path, template: str, policy: str = "") -> Path:
    """The policy in force with another template."""
    new = folder / "new"
    (new / "templates").mkdir(parents=True)
    for file in house.policies.glob("*.yaml"):
        (new / file.name).write_text(file.read_text())
    (new / "templates" / "support.yaml").write_text(template)
    if policy:
        (new / "promise.yaml").write_text(policy)
    return new


async def replay(house: House, new: Path, *more: str) -> tuple[int, str]:
    arguments = (
        "replay",
        str(new),
        "--against",
        str(house.policies),
        "--data",
        str(house.data),
        "--traffic",
        "last-1h",
    )
    done = await asyncio.to_thread(llmgw, *arguments, *more, environment={})
    assert done.stderr == ""
    return done.returncode, done.stdout


def counted(*texts: str) -> int:
    """By hand: three for each message, and what it says, line by line."""
    Tokens()  # says where the vocabulary lies
    return 3 * (len(texts) // 2) + len(tiktoken.get_encoding("o200k_base").encode("\n".join(texts)))


def kept(question: str) -> str:
    return question.replace("ann@example.com", "[email]")


async def test_a_longer_version_is_told_in_tokens_and_money(house: House, provider: Chaosprov, tmp_path: Path) -> None:
    await asked(house, provider)
    new = changed(house, tmp_path, LONGER)

    _, output = await replay(house, new, "--json")
    _, text = await replay(house, new)

    old_tokens = sum(counted("system", "About Widget.", "user", kept(each)) for each in QUESTIONS)
    longer = "You answer questions about Widget, and about nothing else. Be brief."
    new_tokens = sum(counted("system", longer, "user", kept(each)) for each in QUESTIONS)
    more = new_tokens - old_tokens
    report = json.loads(output)
    (told,) = report["templates"]
    assert more > 30
    assert (told["template"], told["old"]["version"], told["new"]["version"]) == ("support", 1, 2)
    assert [told[name] for name in ("calls", "changed", "counted", "reworded", "redacted")] == [4, 4, 4, 4, 1]
    assert told["input_tokens"] == {"old": old_tokens, "new": new_tokens, "delta": more}
    # 20 tokens in at 1 USD and 5 out at 2 USD for a million, four times
    assert told["cost_usd"]["old"] == "0.00012"
    assert told["cost_usd"]["new"] == f"{0.00012 + more / 1e6:.6f}"
    assert told["cost_usd"]["delta"] == f"{more / 1e6:.6f}"
    assert report["total"]["cost_usd"]["new"] == told["cost_usd"]["new"]
    assert told["failures"] == []
    assert told["unjudged"] == {}
    assert f"{old_tokens} -> {new_tokens} (+{more})" in text
    assert "of 1 calls something in the variables was redacted" in text
    assert "output and cached tokens stay as they were" in text


async def test_calls_that_lack_what_a_version_needs_now_are_named(
    house: House, provider: Chaosprov, tmp_path: Path
) -> None:
    await asked(house, provider)
    new = changed(house, tmp_path, SUPPORT.replace("question: {}", "question: {max_length: 30}\n  tone: {}"))
    ids = [record["id"] for record in await house.records()]

    _, output = await replay(house, new, "--json")
    _, text = await replay(house, new)

    report = json.loads(output)
    (told,) = report["templates"]
    named = {each["param"]: (each["code"], each["calls"], set(each["examples"])) for each in told["failures"]}
    assert named["variables.question"] == ("template_variable", 1, {ids[3]})
    assert named["variables.tone"] == ("template_variable", 3, {ids[0], ids[1], ids[2]})
    assert (told["changed"], told["counted"], told["cost_usd"]["calls"]) == (4, 0, 0)
    assert report["total"]["refused"] == {"old": 0, "new": 4}
    assert f"the variable 'tone': it is required, and missing (such as {ids[0]}, {ids[1]}, {ids[2]})" in text
    assert "ok -> refused (template_variable)" in text


async def test_what_was_not_recorded_is_told_and_no_promise_on_it_is_kept(
    house: House, provider: Chaosprov, tmp_path: Path
) -> None:
    await asked(house, provider, "")
    assert all("content" not in record for record in await house.records())
    promise = "version: 1\nreplay: [{traffic: last 1h, assert: {cost: '<= 500%'}}]\n"
    new = changed(house, tmp_path, LONGER, promise)

    code, output = await replay(house, new, "--json")
    _, text = await replay(house, new)

    report = json.loads(output)
    (told,) = report["templates"]
    assert (told["calls"], told["changed"], told["counted"]) == (4, 4, 0)
    assert told["unjudged"] == {"their variables": 4}
    assert (code, report["promises"][0]["kept"]) == (1, None)
    assert "support: 4 calls could not be judged: the records do not have their variables" in text
    assert "(+0)" not in text


async def test_a_policy_that_leaves_templates_alone_needs_no_variables(
    house: House, provider: Chaosprov, tmp_path: Path
) -> None:
    await asked(house, provider, "")

    _, output = await replay(house, changed(house, tmp_path, SUPPORT), "--json")

    (told,) = json.loads(output)["templates"]
    assert (told["calls"], told["changed"], told["unjudged"]) == (4, 0, {})
    assert told["old"] == told["new"]


async def test_the_admin_api_tells_the_same(house: House, provider: Chaosprov, tmp_path: Path) -> None:
    await asked(house, provider)
    new = changed(house, tmp_path, LONGER)
    files = {str(file.relative_to(new)): file.read_text() for file in new.rglob("*.yaml")}
    _, output = await replay(house, new, "--json")
    assert house.worker.admin_key is not None
    headers = {"authorization": f"Bearer {house.worker.admin_key.reveal()}"}

    async with aiohttp.ClientSession(headers=headers) as session:
        url = f"{house.worker.admin_url}/admin/v1/policies:replay"
        async with session.post(url, json={"files": files, "traffic": "last-1h"}) as reply:
            report: dict[str, Any] = await reply.json()

    assert reply.status == 200, report
    assert report["templates"] == json.loads(output)["templates"]
    assert report["templates"][0]["counted"] == 4


async def test_variables_are_recorded_as_messages_are(house: House, provider: Chaosprov) -> None:
    await asked(house, provider)

    record = (await house.records())[2]

    content = record["content"]
    assert content["variables"] == {"product": "Widget", "question": "What does [email] think?"}
    assert (content["variables_cut"], content["variables_redacted"]) == ([], ["question"])
    assert (record["prompt"]["wanted"], record["prompt"]["is_model"]) == (None, True)


@pytest.mark.parametrize("capture", ["{to: records, limit: 16}", "{to: records, tenants: [nobody]}"])
async def test_variables_that_are_not_whole_are_not_taken_for_whole(
    house: House, provider: Chaosprov, tmp_path: Path, capture: str
) -> None:
    await asked(house, provider, f"trace: {{capture: {capture}}}\n")

    _, output = await replay(house, changed(house, tmp_path, LONGER), "--json")

    (told,) = json.loads(output)["templates"]
    reason, count = ("the whole of their variables", 3) if "limit" in capture else ("their variables", 4)
    assert told["unjudged"] == {reason: count}
    assert told["counted"] == 4 - count
