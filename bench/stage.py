"""Where a run takes place: the mock provider running, the load ready, and a fresh folder for every server started."""

import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.contender import Contender, Site, free_port
from bench.load import Loader
from bench.machine import Cores
from bench.process import running
from bench.programs import Programs
from bench.startup import MODEL, Running, started
from bench.workload import write_bodies

MOCK_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Stage:
    build: Path
    scratch: Path
    mock_port: int
    loader: Loader
    cores: Cores

    def site(self) -> Site:
        """A place for one more server."""
        return Site(self.build, Path(tempfile.mkdtemp(dir=self.scratch)), self.mock_port)

    def start(self, contender: Contender, *, cores: str | None = None) -> AbstractContextManager[Running]:
        """Raises NotAvailable."""
        log = Path(tempfile.mkdtemp(dir=self.scratch)) / f"{contender.name}.log"
        return started(contender, cores=cores or self.cores.server, body=self.loader.bodies[MODEL], log=log)


@contextmanager
def set_stage(build: Path, programs: Programs, cores: Cores) -> Iterator[Stage]:
    """Everything is stopped and removed on the way out. This process moves to the clients' cores for good."""
    os.sched_setaffinity(0, {int(core) for core in cores.clients.split(",")})
    with tempfile.TemporaryDirectory(prefix="llmgw-bench-") as folder:
        scratch, port = Path(folder), free_port()
        mock = [str(programs.mock_provider), str(port)]
        with running(mock, cores=cores.clients, log=scratch / "mock.log"):
            wait_for_listener(port)
            loader = Loader(programs.load, cores.clients, write_bodies(scratch))
            yield Stage(build, scratch, port, loader, cores)


def wait_for_listener(port: int) -> None:
    """Raises ConnectionRefusedError when nobody listens at last."""
    deadline = time.monotonic() + MOCK_PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
