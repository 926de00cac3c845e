"""A real Redis for the tests, on a free port of the loopback, that can be killed, paused and started again."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port

REPOSITORY = Path(__file__).parent.parent
STARTING = 5.0
"""Seconds a server may take until it answers."""


class RedisServer:
    """Made by `redis_server` and `redis_sentinel`. `folder` holds what it keeps over a restart."""

    def __init__(self, folder: Path, options: Sequence[str]) -> None:
        self._binary = _binary()
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Returns when it answers."""
        place = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        self._process = subprocess.Popen(
            [*_dies_with_us(), self._binary, *self._options, *place], stdout=subprocess.DEVNULL
        )
        self.wait(self._answers)

    def wait(self, holds: Callable[[], bool]) -> None:
        """Until something holds that must soon."""
        patience = time.monotonic() + STARTING
        while not holds():
            if self._process is None or self._process.poll() is not None or time.monotonic() > patience:
                self.kill()
                raise RuntimeError(f"{self._binary} did not start on port {self.port}")
            time.sleep(0.01)

    def kill(self) -> None:
        """As a crash does: nothing is saved or said."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """It keeps its connections and answers nothing, until `resume`."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def send(self, *words: str) -> bytes:
        """The raw reply to one short command."""
        command = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        with socket.create_connection(("127.0.0.1", self.port), timeout=STARTING) as connection:
            connection.sendall(command.encode())
            return connection.recv(65536)

    def kept(self) -> bytes:
        """All that it has written for a restart: where it saves, each command that changed anything."""
        return b"\n".join(path.read_bytes() for path in self._folder.rglob("*") if path.is_file())

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _answers(self) -> bool:
        try:
            return self.send("PING") == b"+PONG\r\n"
        except OSError:
            return False


@contextmanager
def redis_server(*, save: bool = False, cluster: bool = False) -> Iterator[RedisServer]:
    """A server that answers, or a cluster of one; it is killed in the end, and what it kept is removed."""
    options = ["--appendonly", "yes", "--appendfsync", "always"] if save else ["--save", ""]
    if cluster:
        options += ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
    with _running(options) as server:
        if cluster:
            server.send("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
            server.wait(lambda: b"cluster_state:ok" in server.send("CLUSTER", "INFO"))
        yield server


@contextmanager
def redis_sentinel(master: RedisServer, *, name: str) -> Iterator[RedisServer]:
    """A sentinel that watches this master under this name."""
    with tempfile.TemporaryDirectory(prefix="llmgw-sentinel-") as folder:
        settings = Path(folder) / "sentinel.conf"
        settings.write_text(f"sentinel monitor {name} 127.0.0.1 {master.port} 1\n")
        with _running([str(settings), "--sentinel"]) as server:
            yield server


@contextmanager
def _running(options: Sequence[str]) -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="llmgw-redis-") as folder:
        server = RedisServer(Path(folder), options)
        server.start()
        try:
            yield server
        finally:
            server.kill()


def _binary() -> str:
    installed = REPOSITORY / ".redis" / "redis-server"
    found = str(installed) if installed.exists() else shutil.which("redis-server")
    if found is None:
        raise RuntimeError("These tests need a real Redis: run `scripts/get-redis.sh .redis`, or install redis-server.")
    return found


def _dies_with_us() -> Sequence[str]:
    """Starts a program that is killed when we are."""
    setpriv = shutil.which("setpriv")
    return [] if setpriv is None else [setpriv, "--pdeathsig", "KILL"]
