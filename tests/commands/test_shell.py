"""What the other tests here run is what an admin runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.shell import REPOSITORY, WARNINGS, llmgw


@pytest.mark.parametrize(
    "arguments",
    [("explain", "--model", "demo"), ("explain", "--model", "unheard-of"), ("cache", "list", "--limit", "much"), ()],
    ids=["succeeds", "fails", "is misused", "is missing"],
)
def test_a_command_is_the_same_when_it_begins_from_nothing(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    own = {"LLMGW_DATA": str(tmp_path)}

    alone = subprocess.run(
        [sys.executable, *WARNINGS, "-m", "gateway", *arguments],
        env={"PATH": os.environ["PATH"], **own},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    prepared = llmgw(*arguments, environment=own)

    assert (prepared.returncode, prepared.stdout, prepared.stderr) == (alone.returncode, alone.stdout, alone.stderr)
