"""`llmgw export` writes what there is, whole or not at all, from the data folder or through the admin API."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import time
from pathlib import Path

from tests.admin.conftest import call
from tests.commands.shell import llmgw
from tests.conftest import House
from tests.trace.stored import NOON, File, line


async def export(*arguments: str, key: str = "") -> tuple[int, str, str]:
    """Exit code and what was printed, on either stream."""
    done = await asyncio.to_thread(llmgw, "export", *arguments, environment={"LLMGW_ADMIN_KEY": key})
    return done.returncode, done.stdout, done.stderr


def filled(folder: Path) -> None:
    file = File(folder)
    file.writer.write([line(f"call {number}", at=NOON + number, status=200 + number) for number in range(3)])
    file.close()


async def test_the_data_folder_is_read_whether_a_gateway_runs_or_not(tmp_path: Path) -> None:
    filled(tmp_path)

    code, output, _ = await export("--data", str(tmp_path), "--since", str(NOON + 1), "--status", "2xx")

    assert code == 0
    assert [json.loads(each)["id"] for each in output.splitlines()] == ["call 1", "call 2"]


async def test_times_may_be_told_as_how_long_ago(tmp_path: Path) -> None:
    file = File(tmp_path)
    file.writer.write([line(f"{age} s", at=time.time() - age) for age in (10_000, 5_000, 0)])
    file.close()

    code, output, _ = await export("--data", str(tmp_path), "--since", "-2h", "--until", "-1h")

    assert (code, [json.loads(each)["id"] for each in output.splitlines()]) == (0, ["5000 s"])


async def test_a_file_is_there_once_it_is_whole_and_for_its_owner_alone(tmp_path: Path) -> None:
    filled(tmp_path)
    out = tmp_path / "calls.parquet"

    code, output, _ = await export("--data", str(tmp_path), "--format", "parquet", "--out", str(out))

    assert (code, output, out.read_bytes()[:4], out.read_bytes()[-4:]) == (0, "", b"PAR1", b"PAR1")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert [path.name for path in sorted(os.scandir(tmp_path), key=str) if path.name.endswith(".part")] == []


async def test_a_running_gateway_is_asked_with_the_admin_key(house: House) -> None:
    answer = await call(house, house.key)
    assert house.worker.admin_url is not None
    assert house.worker.admin_key is not None
    asked = ("--url", house.worker.admin_url, "--model", "demo")

    code, output, _ = await export(*asked, key=house.worker.admin_key.reveal())
    refused, nothing, told = await export(*asked, key="wrong")

    assert (code, json.loads(output)["id"]) == (0, answer.headers["x-request-id"])
    assert (refused, nothing) == (1, "")
    assert "needs the admin key" in told


async def test_what_makes_no_sense_is_said(tmp_path: Path) -> None:
    assert "status must be" in (await export("--data", str(tmp_path), "--status", "9"))[2]
    assert "no call records" in (await export("--data", str(tmp_path)))[2]
    assert "http" in (await export("--url", "file:///etc/passwd"))[2]
    refused = (await export("--url", "http://127.0.0.1:1"))[2]
    assert refused.startswith("llmgw export: http://127.0.0.1:1 cannot be asked: ")
    filled(tmp_path)
    (tmp_path / "file").touch()
    beneath = str(tmp_path / "file" / "calls.jsonl")
    assert "Error(" not in (await export("--data", str(tmp_path), "--out", beneath))[2]
