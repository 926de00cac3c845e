"""`llmgw serve`, run as an admin runs it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent.parent


def test_the_welcome_says_where_the_admin_api_is(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "LLMGW_DATA": str(tmp_path / "data"), "LLMGW_DRAIN_DELAY": "0"}
    command = [sys.executable, "-m", "gateway", "serve", "--port", "0", "--admin-port", "0"]
    with subprocess.Popen(command, env=environment, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            printed = "".join(line for line, _ in zip(process.stdout, range(4), strict=False))
            admin = re.search(r"^admin API (http://127\.0\.0\.1:\d+)/admin/v1/$", printed, re.MULTILINE)
            assert admin is not None
            with urllib.request.urlopen(f"{admin[1]}/healthz", timeout=5) as reply:
                assert reply.status == 200
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0


def test_where_no_key_is_ready_made_the_welcome_says_how_to_get_one(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "LLMGW_DATA": str(tmp_path / "data"), "LLMGW_DRAIN_DELAY": "0"}
    command = [sys.executable, "-m", "gateway", "serve", "--host", "0.0.0.0", "--port", "0", "--admin-port", "0"]
    with subprocess.Popen(command, env=environment, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        printed += process.stdout.read()

    assert "no virtual key is ready-made here: make one with `llmgw keys create`" in printed
    assert "the admin API is off: set LLMGW_ADMIN_KEY" in printed
