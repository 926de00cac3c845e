"""`llmgw templates`, run as an admin runs it, against a gateway that serves."""

from __future__ import annotations

from collections.abc import AsyncIterator

import orjson
import pytest

from tests.commands.test_policy import Shell, shell
from tests.conftest import House
from tests.flow.test_rollouts import Play
from tests.flow.troupe import Part, Troupe, playing

__all__ = ["shell"]


@pytest.fixture
async def play(house: House) -> AsyncIterator[Play]:
    async with playing(Troupe()) as troupe:
        play = Play(house, troupe)
        await play.stage()
        yield play


async def test_versions_are_listed_shown_promoted_and_taken_back(play: Play, shell: Shell) -> None:
    await play.versions(20)
    await play.settled()
    listed = await shell("templates", "list")
    told = await shell("templates", "show", "support")
    promoted = await shell("templates", "promote", "support", "3", "--reason", "it is better")
    after = await shell("templates", "show", "support", "--since", "-1h", "--json")
    back = await shell("templates", "rollback", "support", "--reason", "it was not")
    reset = await shell("templates", "reset", "support", "--reason", "as the file says", "--json")

    assert listed.stderr == told.stderr == ""
    assert "production  50%" in listed.stdout
    assert "errors +1%: " in listed.stdout
    assert "feedback -10%: " in listed.stdout
    head = told.stdout.splitlines()[1]
    assert head.split("  ")[0] == "VERSION"
    assert "0% [0% to " in told.stdout
    assert "0.00018 [0.00018 to 0.00018]" in told.stdout
    assert promoted.stdout == "support: 100% get version 3\n"
    assert orjson.loads(after.stdout)["override"]["reason"] == "it is better"
    assert back.stdout == "support: 100% get version 1\n"
    assert orjson.loads(reset.stdout)["override"] is None


async def test_a_step_back_is_told(play: Play, shell: Shell) -> None:
    play.troupe.parts[2] = Part(fails=1)
    await play.until_stepped_back(most=100)

    assert "stepped back: errors: worse than +1% allows, shown by " in (await shell("templates", "list")).stdout


async def test_what_cannot_be_done_is_said_on_stderr(play: Play, shell: Shell) -> None:
    missing = await shell("templates", "show", "other")
    stale = await shell("templates", "rollback", "support", "--reason", "x", "--if-match", "0123")

    assert (missing.returncode, missing.stderr) == (1, "llmgw templates: there is no template 'other'\n")
    assert stale.returncode == 1
    assert "was changed meanwhile" in stale.stderr
