"""`llmgw cache`, run as an admin runs it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import orjson
import pytest

from gateway.cache.purges import Purges
from gateway.store.open import open_store
from tests.admin.test_cache import put
from tests.commands.shell import llmgw
from tests.trace.stored import File, line

Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Runs `llmgw cache` on a data folder of its own."""
    return partial(llmgw, "cache", environment={"LLMGW_DATA": str(tmp_path)})


async def fill(folder: Path) -> None:
    store = await open_store("embedded", folder)
    await put(store, 1)
    await put(store, 2, team="sales", route="", tags=("a\x1b[31m",))
    await store.close()


async def test_what_is_kept_is_told_and_listed(shell: Shell, tmp_path: Path) -> None:
    await fill(tmp_path)

    told = shell("stats")
    listed = shell("list")

    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("2 answers are kept")
    rows = listed.stdout.splitlines()
    assert rows[0].split()[:3] == ["ID", "ORG", "TEAM"]
    assert [row.split()[0] for row in rows[1:]] == ["ce_1", "ce_2"]
    assert "\x1b" not in listed.stdout
    assert [each["id"] for each in orjson.loads(shell("list", "--team", "sales", "--json").stdout)] == ["ce_2"]
    assert len(orjson.loads(shell("list", "--limit", "1", "--json").stdout)) == 1


async def test_a_purge_is_heard_by_a_worker_that_runs(shell: Shell, tmp_path: Path) -> None:
    await fill(tmp_path)
    worker = await open_store("embedded", tmp_path)
    before = (await worker.changes()).purges

    done = shell("purge", "--team", "search", "--tag", "docs", "--json")

    assert before is not None
    assert orjson.loads(done.stdout) == {"number": before + 1, "removed": 1}
    number = (await worker.changes()).purges
    assert number == before + 1
    purges = Purges(worker.cache)
    await purges.refresh(number, 0.0)
    assert (await worker.cache.size()).entries == 1
    await worker.close()
    assert "1 answers were removed" in shell("purge", "--all").stdout


@pytest.mark.parametrize("arguments", [("purge",), ("purge", "--all", "--org", "acme")])
def test_a_purge_that_does_not_say_what_it_means_does_nothing(shell: Shell, arguments: tuple[str, ...]) -> None:
    done = shell(*arguments)

    assert (done.returncode, done.stdout) == (1, "")
    assert "--all" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_it_did_in_the_last_day_is_told_by_route(shell: Shell, tmp_path: Path) -> None:
    file = File(tmp_path)
    saved = {"cache": "hit", "cache_kind": "exact", "saved_nano_usd": 2_000_000_000}
    now = time.time()
    file.writer.write([line("1", **saved, at=now), line("2", cache="miss", at=now), line("3", at=now, route="chat")])
    file.close()

    told = shell("stats").stdout

    assert "rest: 50.0% of 2 (1 exact), $2.0000 saved" in told
    assert "chat: nothing looked up, $0.0000 saved" in told


def test_everything_and_something_cannot_be_ordered_together(shell: Shell) -> None:
    done = shell("purge", "--all", "--org", "acme")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "llmgw cache: say either --all or what is to be forgotten, not both\n"
