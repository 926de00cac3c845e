"""Runs `llmgw` as a shell does: a process for each command, with an environment, output and exit code of its own.

To import the gateway and to load a vocabulary takes more than a second. So one process does that, and becomes each command
in a fork of itself.
`test_shell.py` has commands that begin from nothing.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from threading import Lock

from gateway.__main__ import main
from gateway.meter.tokens import Tokens

REPOSITORY = Path(__file__).parent.parent.parent
LIMIT = 60
"""Seconds after which a command is killed."""
WARNINGS = ("-W", "error")


def llmgw(*arguments: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs one command in the repository. Beside these variables it has only the PATH."""
    return _prepared().run(arguments, {"PATH": os.environ["PATH"], **environment})


class _Prepared:
    def __init__(self) -> None:
        self._turn = Lock()
        self._process = subprocess.Popen(
            [sys.executable, *WARNINGS, "-m", "tests.commands.shell"],
            env={"PATH": os.environ["PATH"]},
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self.close)

    def run(self, arguments: tuple[str, ...], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._turn, tempfile.TemporaryDirectory(prefix="llmgw-shell-") as folder:
            asked = {"arguments": arguments, "environment": environment, "folder": folder}
            print(json.dumps(asked), file=self._process.stdin, flush=True)
            code = int(self._process.stdout.readline())
            output, errors = (_file(folder, number).read_text() for number in (1, 2))
        return subprocess.CompletedProcess(arguments, code, output, errors)

    def close(self) -> None:
        """It ends when nobody can ask it any more."""
        self._process.communicate()


_prepared = cache(_Prepared)


def _file(folder: str, number: int) -> Path:
    """What a command writes to this descriptor."""
    return Path(folder) / str(number)


def _wait_to_be_a_command() -> bool:
    """True in each process that is to be one; False in the first, at the end."""
    Tokens().load("demo")
    gc.freeze()  # else each command looks for garbage in the whole gateway when it ends
    while line := sys.stdin.readline():
        if (command := os.fork()) == 0:
            _become(**json.loads(line))
            return True
        _, status = os.waitpid(command, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return False


def _become(arguments: list[str], environment: dict[str, str], folder: str) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for number in (1, 2):
        os.dup2(os.open(_file(folder, number), os.O_WRONLY | os.O_CREAT), number)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["llmgw", *arguments]
    signal.alarm(LIMIT)


if __name__ == "__main__" and _wait_to_be_a_command():
    main()
