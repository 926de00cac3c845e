"""`llmgw policy` and `llmgw certificates`, run as an admin runs them, against a gateway that serves."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import orjson
import pytest

from tests.admin.test_certificates import LOOSE
from tests.admin.test_policies import MORE, PLAIN
from tests.commands.shell import llmgw
from tests.conftest import House
from tests.flow.scholars import Scholars, teaching
from tests.flow.test_certificates import ROUTED

Shell = Callable[..., Awaitable[subprocess.CompletedProcess[str]]]


@pytest.fixture
def shell(house: House) -> Shell:
    """Runs `llmgw` beside the gateway; `key` is the admin key that it shows."""
    assert house.worker.admin_key is not None
    right = house.worker.admin_key.reveal()

    async def run(*arguments: str, key: str = right) -> subprocess.CompletedProcess[str]:
        there = ("--url", str(house.worker.admin_url))
        return await asyncio.to_thread(llmgw, *arguments, *there, environment={"LLMGW_ADMIN_KEY": key})

    return run


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    folder = tmp_path / "edited"
    folder.mkdir()
    (folder / "policy.yaml").write_text(PLAIN)
    (folder / "more.yaml").write_text(MORE)
    return folder


async def test_a_folder_is_applied_compared_and_taken_back(house: House, shell: Shell, edited: Path) -> None:
    tried = await shell("policy", "validate", str(edited))
    applied = await shell("policy", "apply", str(edited), "--reason", "another model")
    first = house.worker.policy.current.version
    (edited / "more.yaml").unlink()
    refused = await shell("policy", "apply", str(edited), "--reason", "no more of it")
    removed = await shell("policy", "apply", str(edited), "--reason", "no more of it", "--removes")
    second = house.worker.policy.current.version
    difference = await shell("policy", "show", second, "--against", first)
    back = await shell("policy", "rollback", first, "--reason", "it was needed")
    listed = await shell("policy", "list", "--json")

    assert tried.stdout.startswith("policies OK: 0 tests, version ")
    assert (applied.returncode, applied.stdout) == (0, f"{first} is in force\n")
    assert (refused.returncode, "more.yaml" in refused.stderr) == (1, True)
    assert removed.stdout == f"{second} is in force\n"
    assert f"--- more.yaml@{first}" in difference.stdout
    assert (back.returncode, house.worker.policy.current.version) == (0, first)
    assert [each["why"] for each in orjson.loads(listed.stdout)["versions"]][:3] == [
        "back to this version: it was needed",
        "no more of it",
        "another model",
    ]


async def test_mistakes_are_told_with_their_places_and_change_nothing(house: House, shell: Shell, edited: Path) -> None:
    before = house.worker.policy.current.version
    (edited / "more.yaml").write_text("version: 1\nmodles: {}\n")

    tried = await shell("policy", "validate", str(edited))
    applied = await shell("policy", "apply", str(edited), "--reason", "x")
    stale = await shell("policy", "apply", str(house.policies), "--reason", "x", "--base", "0123456789ab")

    assert tried.returncode == applied.returncode == stale.returncode == 1
    assert tried.stdout.startswith("more.yaml:2:1: ")
    assert "more.yaml:2:1: " in applied.stderr
    assert "0123456789ab was edited" in stale.stderr
    assert house.worker.policy.current.version == before


async def test_certificates_are_listed_and_begun_anew(house: House, shell: Shell) -> None:
    async with teaching(Scholars()) as school:
        await house.adopt(ROUTED.format(url=school.base_url, candidates="cheap, checked", guarantee=LOOSE))

        listed = await shell("certificates", "list")
        done = await shell("certificates", "reset", "sums", "checked", "--reason", "another prompt")
        told = await shell("certificates", "list", "--route", "sums", "--json")
        missing = await shell("certificates", "reset", "sums", "nobody", "--reason", "x")

    rows = listed.stdout.splitlines()
    assert rows[0].split()[:3] == ["ROUTE", "CANDIDATE", "PROMPT"]
    assert [row.split()[:3] for row in rows[1:]] == [
        ["sums", "cheap", "any"],
        ["sums", "checked", "any"],
    ]
    assert "0 of 1 USD" in rows[1]
    assert done.stderr == ""
    assert done.stdout == "1 certificate of checked on sums begin anew; it does not serve\n"
    assert [(each["trial"], each["why"]) for each in orjson.loads(told.stdout)] == [
        (1, "no label yet shows enough"),
        (2, "begun anew by admin: another prompt"),
    ]
    assert (missing.returncode, missing.stdout) == (1, "")


@pytest.mark.parametrize(("key", "said"), [("", "LLMGW_ADMIN_KEY"), ("wrong", "admin key")])
async def test_without_the_admin_key_it_says_what_is_needed(shell: Shell, key: str, said: str) -> None:
    done = await shell("policy", "list", key=key)

    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
