"""A contender: how one server is started, called and paced, and where it may put its files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from socket import AF_INET, SOCK_STREAM, socket


class NotAvailable(Exception):
    """A contender cannot take part; the message says why. The run goes on without it."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a contender is set up: `build` is kept between runs, `scratch` is its own and goes with the run."""

    build: Path
    scratch: Path
    mock_port: int

    @property
    def mock_url(self) -> str:
        return f"http://127.0.0.1:{self.mock_port}/v1"


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard a contender is driven. A slow one gets less, or its queue would be measured instead of its work."""

    connections: int = 64
    calls_per_second: float = 100
    streams: int = 32
    streams_per_second: float = 90


@dataclass(frozen=True, slots=True)
class Contender:
    """`command` is empty for the mock provider itself, which is always running. `patience` is in seconds."""

    name: str
    version: str
    port: int
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = (("Authorization", "Bearer sk-mock"),)
    pace: Pace = Pace()
    patience: float = 30


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket(AF_INET, SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
