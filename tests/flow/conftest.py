"""Gateways with less patience than the one that ships, and either store for those that are several."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from gateway.ingress.request import Limits
from tests.redis_server import RedisServer, redis_server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway waits 0.3 s, and not a minute, for a client to take something. To be asked for before the house."""
    monkeypatch.setattr("gateway.app.Limits", partial(Limits, write_stall=0.3))


@pytest.fixture(params=["embedded", "redis"])
def either_store(request: pytest.FixtureRequest) -> Iterator[RedisServer | None]:
    """A Redis, or None for the embedded store."""
    if request.param == "embedded":
        yield None
        return
    with redis_server() as server:
        yield server
