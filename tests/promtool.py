"""Prometheus' own tool, which `make test` installs, and what it says of files and of metrics."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent


def promtool(*arguments: str) -> str:
    """What it says of the files, all of which must please it."""
    code, said = _run(arguments)
    assert code == 0, said
    return said


def complaints(metrics: bytes) -> str:
    """What it says of a page of metrics; nothing, if that pleases it."""
    code, said = _run(("check", "metrics"), metrics)
    return said if code == 0 else f"{code} {said}"


def _run(arguments: tuple[str, ...], text: bytes = b"") -> tuple[int, str]:
    installed = ROOT / ".promtool" / "promtool"
    found = str(installed) if installed.exists() else shutil.which("promtool")
    assert found is not None, (
        "These tests need promtool: run `scripts/get-promtool.sh .promtool`, or install Prometheus."
    )
    done = subprocess.run([found, *arguments], input=text, capture_output=True, check=False, timeout=120)
    return done.returncode, (done.stdout + done.stderr).decode()
