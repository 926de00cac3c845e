"""Starts a contender and waits for its first 200 to a chat completion: the cold start that a user sees."""

import http.client
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.contender import Contender, NotAvailable
from bench.process import Process, running

MODEL = "mock-512"
RETRY = 0.002
SETTLE = 0.5


@dataclass(frozen=True, slots=True)
class Running:
    """A contender that answers. `process`, `cold_start` in seconds and `idle_mb` are None for the mock itself."""

    contender: Contender
    process: Process | None = None
    cold_start: float | None = None
    idle_mb: float | None = None


@contextmanager
def started(contender: Contender, *, cores: str, body: Path, log: Path) -> Iterator[Running]:
    """Stops the contender on the way out. Raises NotAvailable when it ends, or does not answer within its patience."""
    if not contender.command:
        yield Running(contender)
        return
    begin = time.monotonic()
    with running(contender.command, cores=cores, log=log, environment=contender.environment) as process:
        _wait_for_200(contender, process, body.read_bytes())
        cold_start = time.monotonic() - begin
        time.sleep(SETTLE)
        yield Running(contender, process, cold_start, process.resident_mb())


def call(contender: Contender, body: bytes, *, authenticated: bool = True) -> http.client.HTTPResponse:
    """One chat completion on a connection of its own; its body has been read and left."""
    headers = {"Content-Type": "application/json"} | (dict(contender.headers) if authenticated else {})
    connection = http.client.HTTPConnection("127.0.0.1", contender.port, timeout=10)
    with closing(connection):
        connection.request("POST", "/v1/chat/completions", body=body, headers=headers)
        response = connection.getresponse()
        response.read()
        return response


def _wait_for_200(contender: Contender, process: Process, body: bytes) -> None:
    deadline = time.monotonic() + contender.patience
    answer = "no answer"
    while time.monotonic() < deadline:
        if not process.alive:
            raise NotAvailable(f"ended while starting: {process.last_words() or 'said nothing'}")
        try:
            response = call(contender, body)
        except (OSError, http.client.HTTPException) as error:
            answer = f"{type(error).__name__}: {error}"
        else:
            if response.status == http.client.OK:
                return
            answer = f"status {response.status}"
        time.sleep(RETRY)
    raise NotAvailable(f"no 200 within {contender.patience:.0f} s ({answer}): {process.last_words()}")
