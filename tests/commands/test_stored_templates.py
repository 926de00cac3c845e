"""`llmgw templates put | delete | export`, run as an admin runs them, against a gateway that serves."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import orjson
import pytest

from tests.admin.test_stored_templates import SUPPORT, TWO
from tests.commands.shell import llmgw
from tests.conftest import House

AS_IT_WAS = b"# as it was \xc3\xa4\r\n" + SUPPORT.encode()
Shell = Callable[..., Awaitable[subprocess.CompletedProcess[str]]]


@pytest.fixture
def shell(house: House) -> Shell:
    """Runs `llmgw templates` beside the gateway."""
    assert house.worker.admin_key is not None
    environment = {"LLMGW_ADMIN_KEY": house.worker.admin_key.reveal()}

    async def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        words = ["templates", *map(str, arguments), "--url", str(house.worker.admin_url)]
        return await asyncio.to_thread(llmgw, *words, environment=environment)

    return run


@pytest.fixture
def written(tmp_path: Path) -> Path:
    file = tmp_path / "support.yaml"
    file.write_bytes(AS_IT_WAS)
    return file


def edit(file: Path, text: str) -> None:
    file.write_text(text)


async def test_a_template_goes_from_the_store_into_a_file_and_is_then_the_files(
    house: House, shell: Shell, written: Path
) -> None:
    first = await shell("put", written, "--reason", "the first")
    listed = await shell("list")
    exported = await shell("export", house.policies / "templates")
    again = await shell("export", house.policies / "templates", "support")
    async with asyncio.timeout(10):
        while not house.worker.policy.current.shadowed:
            await asyncio.sleep(0.02)
    over = await shell("put", written, "--reason", "the second")
    removed = await shell("delete", "support", "--reason", "it is in git now")
    after = await shell("list", "--json")

    etag, version = first.stdout.split("etag ")[1].split(";")[0], first.stdout.split("policy ")[1].split()[0]
    assert first.stdout == f"support is stored, etag {etag}; policy {version} is in force\n"
    assert listed.stdout.splitlines()[1].split()[:3] == ["support", "stored", "1"]
    assert (house.policies / "templates" / "support.yaml").read_bytes() == AS_IT_WAS
    assert exported.stdout == again.stdout == f"{house.policies / 'templates' / 'support.yaml'}\n"
    assert (over.returncode, "templates/support.yaml, which counts" in over.stderr) == (1, True)
    assert removed.stdout == "support is stored no more\n"
    (row,) = orjson.loads(after.stdout)
    assert (row["template"], row["source"], row["stored"]) == ("support", "file", None)


async def test_an_export_replaces_no_other_file_unless_it_is_told_to(
    house: House, shell: Shell, written: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "exported"
    folder.mkdir()
    await shell("put", written, "--reason", "the first")
    await shell("put", written, "--name", "another", "--reason", "the first")
    (folder / "support.yaml").write_text("somebody's")

    refused = await shell("export", folder)
    left = sorted(each.name for each in folder.iterdir())
    forced = await shell("export", folder, "--force", "--json")
    (folder / "support.yaml").rename(folder / "support.yml")
    twice = await shell("export", folder, "--force")
    unknown = await shell("export", folder, "nobody")
    odd = await shell("export", folder, "../support")

    assert (refused.returncode, "says something else" in refused.stderr, left) == (1, True, ["support.yaml"])
    assert orjson.loads(forced.stdout) == [str(folder / "another.yaml"), str(folder / "support.yaml")]
    assert (folder / "support.yml").read_bytes() == AS_IT_WAS
    assert (twice.returncode, "support.yml is the file" in twice.stderr) == (1, True)
    assert (unknown.returncode, "no template 'nobody' is stored" in unknown.stderr) == (1, True)
    assert (odd.returncode, "is no name of a template" in odd.stderr) == (1, True)


async def test_what_is_wrong_is_told_as_check_tells_it_and_an_old_etag_is_refused(
    house: House, shell: Shell, written: Path
) -> None:
    first = await shell("put", written, "--reason", "the first", "--json")
    etag = orjson.loads(first.stdout)["etag"]
    edit(written, TWO)
    second = await shell("put", written, "--reason", "the second", "--if-match", etag, "--json")
    late = await shell("put", written, "--reason", "the third", "--if-match", etag)
    edit(written, TWO.replace("prepend", "sideways"))
    wrong = await shell("put", written, "--reason", "the fourth")
    missing = await shell("put", written.with_name("nothing.yaml"), "--reason", "x")
    kept = await shell("delete", "support", "--reason", "x", "--if-match", etag)
    gone = await shell("delete", "nobody", "--reason", "x")

    assert second.returncode == 0
    assert (late.returncode, "was changed meanwhile" in late.stderr) == (1, True)
    assert (wrong.returncode, "stored/support.yaml:1:7: " in wrong.stderr) == (1, True)
    assert (missing.returncode, "nothing.yaml cannot be read" in missing.stderr) == (1, True)
    assert (kept.returncode, "was changed meanwhile" in kept.stderr) == (1, True)
    assert (gone.returncode, "no template 'nobody' is stored" in gone.stderr) == (1, True)
    assert house.worker.policy.current.templates.named["support"].labels == {"production": 1, "staging": 2}
