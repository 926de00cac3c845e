"""The stores that the contract is tried on: the embedded one and a real Redis, each as two workers would open it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from gateway.core.clock import Clock
from gateway.core.secret import Secret
from gateway.store.contract import Store
from gateway.store.open import EMBEDDED, open_store
from tests.redis_server import RedisServer, redis_server

Opens = Callable[..., Awaitable[Store]]


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(params=[EMBEDDED, "redis"])
def url(request: pytest.FixtureRequest) -> str:
    """Of an empty store."""
    if request.param == EMBEDDED:
        return EMBEDDED
    server: RedisServer = request.getfixturevalue("shared_redis")
    server.send("FLUSHALL")
    return server.url


@pytest.fixture
async def opens(url: str, tmp_path: Path) -> AsyncIterator[Opens]:
    """Opens the store once more, as another worker does."""
    opened: list[Store] = []

    async def opens(*, pepper: Secret | None = None, clock: Clock | None = None) -> Store:
        store = await open_store(url, tmp_path, pepper=pepper, clock=clock)
        opened.append(store)
        return store

    yield opens
    for store in opened:
        await store.close()


@pytest.fixture
async def store(opens: Opens) -> Store:
    return await opens()


@pytest.fixture
async def other(store: Store, opens: Opens) -> Store:
    """The same store as another worker sees it."""
    return await opens()
