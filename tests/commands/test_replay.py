"""`llmgw replay` says what a change would have done, and fails where a promise of the policy is not kept."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from pathlib import Path

from gateway.trace.sink import Line
from tests.admin.conftest import call as made
from tests.commands.shell import llmgw
from tests.conftest import House
from tests.replay.records import MODELS, PLAIN, call
from tests.trace.stored import File


async def replay(*arguments: str | Path, key: str = "") -> tuple[int, str, str]:
    """Exit code and what was printed, on either stream."""
    done = await asyncio.to_thread(llmgw, "replay", *map(str, arguments), environment={"LLMGW_ADMIN_KEY": key})
    return done.returncode, done.stdout, done.stderr


def policy(folder: Path, more: str) -> Path:
    folder.mkdir()
    (folder / "policy.yaml").write_text(MODELS + more)
    return folder


def promise(asserted: str) -> str:
    return PLAIN.replace("strong", "cheap") + f"replay: [{{traffic: last 7d, assert: {asserted}}}]\n"


async def test_a_file_packed_or_not_is_compared_and_promises_are_checked(tmp_path: Path) -> None:
    old, new = policy(tmp_path / "old", PLAIN), policy(tmp_path / "new", promise('{cost: "<= 70%"}'))
    lines = b"\n".join([*(call(number) for number in range(20)), b"", b"broken", b""])
    plain, packed = tmp_path / "calls.jsonl", tmp_path / "calls.jsonl.gz"
    plain.write_bytes(lines)
    packed.write_bytes(gzip.compress(lines))

    code, output, _ = await replay(new, "--against", old, "--traffic", plain)
    also = await replay(new, "--against", old, "--traffic", packed, "--json")

    assert code == 0
    assert "20 calls, 2026-" in output
    assert "1 lines are no records; the first is line 21: " in output
    assert "0.28 -> 0.028 USD (-90.0 %)" in output
    assert "kept    cost <= 70%: 10%" in output
    report = json.loads(also[1])
    assert (also[0], report["traffic"]["bad_lines"], report["total"]["changed"]) == (0, 1, 20)


async def test_a_promise_that_is_broken_or_unknown_fails_and_says_which(tmp_path: Path) -> None:
    old = policy(tmp_path / "old", PLAIN)
    new = policy(tmp_path / "new", promise('{cost: "<= 5%", loss_upper_95: "<= 2%", labelled: ">= 2 per route"}'))
    (tmp_path / "calls.jsonl").write_bytes(call(0))

    code, output, _ = await replay(new, "--against", old, "--traffic", tmp_path / "calls.jsonl")

    assert code == 1
    assert "BROKEN  cost <= 5%: 10%" in output
    assert "UNKNOWN loss_upper_95 <= 2%: unknown on all" in output
    assert "BROKEN  labelled >= 2 per route: 0 on all" in output
    assert "policy.yaml:" in output


async def test_the_data_folder_is_asked_as_the_policy_says(tmp_path: Path) -> None:
    old, new = policy(tmp_path / "old", PLAIN), policy(tmp_path / "new", promise('{cost: "<= 70%"}'))
    file = File(tmp_path)
    ages = (60, 6 * 86_400, 8 * 86_400)
    file.writer.write([recorded(number, time.time() - age) for number, age in enumerate(ages)])
    file.close()

    code, output, _ = await replay(new, "--against", old, "--data", tmp_path, "--json")

    assert (code, json.loads(output)["traffic"]["calls"]) == (0, 2)
    code, output, _ = await replay(new, "--against", old, "--data", tmp_path, "--json", "--traffic", "last-1h")
    assert (code, json.loads(output)["traffic"]["calls"]) == (0, 1)


def recorded(number: int, at: float) -> Line:
    line = call(number, at=at)
    return Line(json.loads(line), line)


async def test_a_running_gateway_compares_with_its_own_policy_and_calls(house: House, tmp_path: Path) -> None:
    assert house.worker.admin_key is not None
    await made(house, house.key)
    written = (house.policies / "policy.yaml").read_text().replace("demo: {use: demo/demo", "demo: {use: chaos/ok")
    new = tmp_path / "new"
    new.mkdir()
    (new / "policy.yaml").write_text(written)
    url = house.worker.admin_url or ""
    ask = (new, "--url", url, "--traffic", "last-1h", "--json")

    code, output, errors = await replay(*ask, key=house.worker.admin_key.reveal())

    assert (code, errors) == (0, "")
    assert json.loads(output)["total"]["changes"] == [{"old": "demo", "new": "demo", "calls": 1}]
    code, _, errors = await replay(*ask, key="another")
    assert (code, "llmgw replay: " in errors) == (1, True)


async def test_what_cannot_be_told_is_said_in_a_line(tmp_path: Path) -> None:
    old, new = policy(tmp_path / "old", PLAIN), policy(tmp_path / "new", PLAIN)
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(call(0) * 100)[:-20])
    (tmp_path / "none.jsonl").write_bytes(b"")
    against = (new, "--against", old)

    for arguments, message in (
        ((*against,), "say which calls"),
        ((*against, "--traffic", "last-7x"), "is not the traffic of a time"),
        ((*against, "--traffic", tmp_path / "missing"), "the traffic cannot be read"),
        ((*against, "--traffic", cut), "the traffic cannot be read"),
        ((*against, "--traffic", tmp_path / "none.jsonl"), "there is no call in this traffic"),
        ((*against, "--traffic", "last-7d", "--data", tmp_path / "empty"), "there are no call records in"),
        ((*against, "--traffic", cut, "--state", "other=certified"), "has no route 'other'"),
        ((tmp_path, "--against", old, "--traffic", cut), "there is no policy file"),
    ):
        code, _, errors = await replay(*arguments)
        assert code == 1, arguments
        assert message in errors
        assert "Traceback" not in errors
