"""The stores that the contract is tried on: the embedded one and a real Redis, each as two workers would open it."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from gateway.core.clock import Clock
from gateway.core.secret import Secret
from gateway.store.contract import Store
from gateway.store.open import EMBEDDED, open_store
from tests.redis_server import RedisServer, redis_sentinel, redis_server

Opens = Callable[..., Awaitable[Store]]


@pytest.fixture(scope="session", autouse=True)
def what_pytest_collected() -> None:
    """Is never garbage; to look through it would take longer than a caller of a store waits."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[RedisServer]:
    with redis_server(cluster=True) as server:
        yield server


@pytest.fixture(scope="session")
def shared_sentinel(shared_redis: RedisServer) -> Iterator[RedisServer]:
    with redis_sentinel(shared_redis, name="mymaster") as sentinel:
        yield sentinel


@pytest.fixture(params=[EMBEDDED, "redis", "redis+cluster", "redis+sentinel"])
def url(request: pytest.FixtureRequest) -> str:
    """Of an empty store."""
    if request.param == EMBEDDED:
        return EMBEDDED
    if request.param == "redis+cluster":
        cluster: RedisServer = request.getfixturevalue("shared_cluster")
        cluster.send("FLUSHALL")
        return f"redis+cluster://127.0.0.1:{cluster.port}"
    server: RedisServer = request.getfixturevalue("shared_redis")
    server.send("FLUSHALL")
    if request.param == "redis":
        return server.url
    sentinel: RedisServer = request.getfixturevalue("shared_sentinel")
    return f"redis+sentinel://127.0.0.1:{sentinel.port}/mymaster/0"


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
