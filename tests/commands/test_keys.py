"""`llmgw keys`, run as an admin runs it."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import orjson
import pytest

from gateway.auth.virtual_key import well_formed
from tests.admin.conftest import call
from tests.commands.shell import llmgw
from tests.conftest import House


class Shell:
    """Runs `llmgw keys` on a data folder of its own."""

    def __init__(self, data: Path) -> None:
        self._environment = {"LLMGW_DATA": str(data)}

    def keys(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return llmgw("keys", *arguments, environment=self._environment)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "data")


def test_a_new_key_stands_alone_on_the_last_line(shell: Shell) -> None:
    done = shell.keys("create", "--name", "ci")

    assert (done.returncode, done.stderr) == (0, "")
    assert well_formed(done.stdout.splitlines()[-1])


def test_keys_are_created_listed_and_revoked(shell: Shell) -> None:
    created = orjson.loads(
        shell.keys("create", "--tenant", "acme/search", "--models", "a,b*", "--expires", "30d", "--json").stdout
    )
    assert well_formed(created.pop("key"))
    assert created["expires"] == created["created"] + 30 * 86400
    assert orjson.loads(shell.keys("list", "--json").stdout) == [created]

    assert shell.keys("revoke", created["id"]).returncode == 0

    row = shell.keys("list").stdout.splitlines()[1].split()
    assert (row[0], row[1], row[2], row[-1]) == (created["id"], "acme/search", "a,b*", "revoked")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create", "--tenant", "a/b/c"), "organisation/team"),
        (("create", "--expires", "soon"), "30d"),
        (("create", "--models", ""), "models"),
        (("revoke", "nothing"), "llmgw keys list"),
        (("list", "--store", "postgres://x"), "redis://"),
    ],
)
def test_what_cannot_be_done_is_told_with_what_would_be_right(
    shell: Shell, arguments: tuple[str, ...], told: str
) -> None:
    done = shell.keys(*arguments)

    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


async def key_of(shell: Shell, *arguments: str) -> dict[str, str]:
    """A new key, made while a gateway runs on this loop."""
    done = await asyncio.to_thread(shell.keys, "create", "--json", *arguments)
    key: dict[str, str] = orjson.loads(done.stdout)
    return key


async def test_a_running_server_takes_a_new_key_at_once_and_refuses_it_within_a_second_of_its_end(house: House) -> None:
    shell = Shell(house.data)
    key = await key_of(shell)
    assert (await call(house, key["key"])).status == 200

    done = await asyncio.to_thread(shell.keys, "revoke", key["id"], "--json")

    assert orjson.loads(done.stdout) == {"id": key["id"], "revoked": True}
    async with asyncio.timeout(1.0):
        while (await call(house, key["key"])).status != 401:
            pass


async def test_a_key_ends_by_itself_when_its_time_is_over(house: House) -> None:
    shell = Shell(house.data)
    key = await key_of(shell, "--expires", "2s")
    assert (await call(house, key["key"])).status == 200

    async with asyncio.timeout(5.0):
        while (await call(house, key["key"])).status != 401:
            await asyncio.sleep(0.05)

    (listed,) = orjson.loads((await asyncio.to_thread(shell.keys, "list", "--json")).stdout)
    assert listed["state"] == "expired"


def test_a_key_is_never_shown_again(shell: Shell) -> None:
    text = shell.keys("create").stdout.splitlines()[-1]

    for arguments in (("list",), ("list", "--json")):
        assert text not in shell.keys(*arguments).stdout
