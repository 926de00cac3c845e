"""`llmgw keys`, run as an admin runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from gateway.auth.virtual_key import well_formed

REPOSITORY = Path(__file__).parent.parent.parent


class Shell:
    """Runs `llmgw keys` on a data folder of its own."""

    def __init__(self, data: Path) -> None:
        self._environment = {"PATH": os.environ["PATH"], "LLMGW_DATA": str(data)}

    def keys(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", "-m", "gateway", "keys", *arguments]
        return subprocess.run(
            command, env=self._environment, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=30
        )


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
