"""Changes of the folder come into force, and mistakes do not: real files, and events instead of sleeps."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from gateway.core.clock import Clock
from gateway.core.tasks import Tasks
from gateway.policy.compile import compile_policy
from gateway.policy.current import Current
from gateway.policy.mistakes import PolicyError
from gateway.policy.snapshot import Snapshot
from gateway.policy.watch import Watch
from tests.policies.test_hostile import unpriced

SOON = 5.0
"""Seconds after which a test gives up; changes are in force within one."""


class Noticed(Current):
    """Tells when something has come of a change."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__(snapshot, loaded_at=0.0)
        self.outcomes: asyncio.Queue[str] = asyncio.Queue()

    def replace(self, snapshot: Snapshot, *, loaded_at: float) -> None:
        super().replace(snapshot, loaded_at=loaded_at)
        self.outcomes.put_nowait("replaced")

    def refuse(self, error: PolicyError) -> None:
        super().refuse(error)
        self.outcomes.put_nowait("refused")

    def keep(self) -> None:
        super().keep()
        self.outcomes.put_nowait("kept")

    async def next(self) -> str:
        async with asyncio.timeout(SOON):
            return await self.outcomes.get()

    def models(self) -> list[str]:
        return list(self.current.routes.models)


def policy(*models: str) -> str:
    names = ", ".join(f"{name}: {{use: demo/{name}}}" for name in models)
    return f"version: 1\nproviders: {{demo: {{dialect: demo}}}}\nmodels: {{{names}}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "policies"
    made.mkdir()
    (made / "policy.yaml").write_text(policy("first"))
    return made


@pytest.fixture
async def current(folder: Path) -> AsyncIterator[Noticed]:
    compile_folder = partial(compile_policy, folder, {}, unpriced)
    noticed = Noticed(compile_folder())
    tasks = Tasks()
    tasks.start(Watch(folder, noticed, compile_folder, Clock()).run(), name="watch")
    yield noticed
    await tasks.close()


async def test_a_change_comes_into_force(folder: Path, current: Noticed) -> None:
    before = current.current

    (folder / "policy.yaml").write_text(policy("second"))

    assert await current.next() == "replaced"
    assert current.models() == ["second"]
    assert current.loaded_at > 0
    assert list(before.routes.models) == ["first"], "a call in flight keeps the snapshot it began with"


async def test_a_mistake_leaves_the_old_policy_in_force_and_is_told_once(
    folder: Path, current: Noticed, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "llmgw.policy"):
        (folder / "policy.yaml").write_text(policy("second").replace("dialect", "dailect"))
        assert await current.next() == "refused"
        os.utime(folder / "policy.yaml")
        assert await current.next() == "refused"

    assert current.models() == ["first"]
    assert "did you mean 'dialect'?" in str(current.last_error)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "did you mean 'dialect'?" in caplog.text


async def test_mending_a_mistake_clears_the_error(folder: Path, current: Noticed) -> None:
    (folder / "policy.yaml").write_text("modles: {}")
    assert await current.next() == "refused"

    (folder / "policy.yaml").write_text(policy("first"))

    assert await current.next() == "kept"
    assert current.last_error is None


async def test_files_come_and_go(folder: Path, current: Noticed) -> None:
    (folder / "more.yaml").write_text("models: {second: {use: demo/second}}")
    assert await current.next() == "replaced"
    assert current.models() == ["second", "first"], "in the order of the file names"

    (folder / "more.yaml").unlink()
    assert await current.next() == "replaced"
    assert current.models() == ["first"]


async def test_a_folder_that_goes_leaves_the_old_policy_in_force(folder: Path, current: Noticed) -> None:
    (folder / "more.yaml").write_text("models: {second: {use: demo/second}}")
    assert await current.next() == "replaced"

    os.rename(folder, folder.with_name("elsewhere"))
    assert await current.next() == "refused"
    assert current.models() == ["second", "first"]

    os.rename(folder.with_name("elsewhere"), folder)
    assert await current.next() == "kept"


async def test_a_link_that_is_swapped_comes_into_force_as_kubernetes_does_it(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "policy.yaml").write_text(policy(name))
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    (mounted / "..data").symlink_to(tmp_path / "first")
    (mounted / "policy.yaml").symlink_to("..data/policy.yaml")
    compile_folder = partial(compile_policy, mounted, {}, unpriced)
    current = Noticed(compile_folder())
    tasks = Tasks()
    tasks.start(Watch(mounted, current, compile_folder, Clock()).run(), name="watch")

    (mounted / "..data_tmp").symlink_to(tmp_path / "second")
    (mounted / "..data_tmp").rename(mounted / "..data")

    assert await current.next() == "replaced"
    assert current.models() == ["second"]
    await tasks.close()


async def test_a_hundred_changes_a_second_never_put_half_a_file_in_force(folder: Path, current: Noticed) -> None:
    def storm() -> None:
        for number in range(150):
            whole = policy(*(f"model-{number}-{part}" for part in range(20)))
            with open(folder / "policy.yaml", "w") as file:
                file.write(whole[:200])
                file.flush()
                file.write(whole[200:])
            time.sleep(0.01)  # the pace is what is tested: it is nothing to wait for

    await asyncio.to_thread(storm)
    while current.models()[0] != "model-149-0":
        await current.next()
        assert len(current.models()) in (1, 20)

    assert len(current.models()) == 20


async def test_reloading_compiles_at_once_whether_anything_changed_or_not(folder: Path) -> None:
    compile_folder = partial(compile_policy, folder, {}, unpriced)
    current = Noticed(compile_folder())
    watch = Watch(folder, current, compile_folder, Clock())

    await watch.reload()
    assert current.outcomes.get_nowait() == "kept"

    (folder / "policy.yaml").write_text(policy("second"))
    await watch.reload()
    assert current.outcomes.get_nowait() == "replaced"

    (folder / "policy.yaml").write_text("nonsense")
    await watch.reload()
    assert current.outcomes.get_nowait() == "refused"
    assert current.models() == ["second"]
