"""A Redis client from a URL, with deadlines short enough for the way of a call."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TypedDict
from urllib.parse import unquote, urlsplit

from redis.asyncio import ConnectionPool, Redis, RedisCluster, Sentinel
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from gateway.core.tasks import Tasks
from gateway.store.contract import OpenError

SCHEMES = ("redis", "rediss", "redis+sentinel", "redis+cluster")
SOCKET = 0.2
"""Seconds for connecting, and for one answer, until a connection is given up; callers do not wait that long."""
CONNECTIONS = 32
"""Most connections of a worker; one of them is for pushes."""

Client = Redis | RedisCluster

_NO_URL = "The URL of the store is not one. In a user or password, `/`, `?`, `#`, `@` and `:` are percent-encoded."
"""Without what stands in it: urlsplit takes a password with a slash in it for a port, and says so."""


@dataclass(frozen=True, slots=True)
class Link:
    """The client to use; `sentinels` say where the master is."""

    client: Client
    sentinels: Sentinels | None = None

    async def close(self) -> None:
        await self.client.aclose()
        if self.sentinels is not None:
            await self.sentinels.close()


class Sentinels(Sentinel):
    """Asks once for all connections that are opened at the same time.

    Each connection asks where the master is. If each asked for itself, over a connection of its own, the first burst of
    commands would spend half of its deadline on that, and on a busy machine all of it.
    """

    def __init__(self, addresses: list[tuple[str, int]]) -> None:
        super().__init__(addresses, sentinel_kwargs=dict(_options()))  # type: ignore[no-untyped-call]
        self._tasks = Tasks()
        self._asking: asyncio.Task[tuple[str, int] | Exception] | None = None

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Raises RedisError, OSError, TimeoutError."""
        if self._asking is None or self._asking.done():
            self._asking = self._tasks.start(self._ask(service_name), name="sentinel")
        found = await asyncio.shield(self._asking)
        if isinstance(found, Exception):
            raise found
        return found

    async def close(self) -> None:
        await self._tasks.close()
        for each in self.sentinels:
            await each.aclose()

    async def _ask(self, service_name: str) -> tuple[str, int] | Exception:
        try:
            host, port = await super().discover_master(service_name)
        except (RedisError, OSError, TimeoutError, RuntimeError) as error:  # the last is uvloop's; see server.NO_ANSWER
            return error
        return str(host), int(port)


class _Options(TypedDict):
    socket_timeout: float
    socket_connect_timeout: float
    retry: Retry
    protocol: int
    driver_info: None
    maint_notifications_config: MaintNotificationsConfig


class _Credentials(TypedDict):
    username: str | None
    password: str | None


def connect(url: str) -> Link:
    """A client that connects on first use and tries each command once. Whoever calls this closes it. Raises OpenError.

    `redis://[user:password@]host[:port][/db]`, `rediss://…` (TLS), `redis+sentinel://[…@]host:port,host:port/master[/db]`,
    `redis+cluster://[…@]host:port,host:port`.
    """
    scheme = url.partition("://")[0]
    try:
        if scheme == "redis+sentinel":
            return _behind_sentinels(url)
        if scheme == "redis+cluster":
            return _cluster(url)
        pool = ConnectionPool.from_url(url, max_connections=CONNECTIONS, **_options())
    except ValueError:
        raise OpenError(_NO_URL) from None
    return Link(Redis.from_pool(pool))


def _behind_sentinels(url: str) -> Link:
    master, _, db = urlsplit(url).path.strip("/").partition("/")
    if not master:
        raise OpenError("A redis+sentinel:// URL names the master: redis+sentinel://host:26379/mymaster/0")
    sentinels = Sentinels(_addresses(url, default=26379))
    client = sentinels.master_for(
        master, db=int(db or 0), max_connections=CONNECTIONS, **_credentials(url), **_options()
    )
    assert isinstance(client, Redis)
    return Link(client, sentinels)


def _cluster(url: str) -> Link:
    host, port = _addresses(url, default=6379)[0]
    return Link(RedisCluster(host=host, port=port, max_connections=CONNECTIONS, **_credentials(url), **_options()))


def _addresses(url: str, *, default: int) -> list[tuple[str, int]]:
    hosts = urlsplit(url).netloc.rpartition("@")[2]
    addresses = []
    for address in hosts.split(","):
        host, _, port = address.rpartition(":") if ":" in address else (address, "", "")
        if not host:
            raise OpenError("The URL of the store names no host.")
        addresses.append((host.strip("[]"), int(port or default)))
    return addresses


def _credentials(url: str) -> _Credentials:
    user, _, password = urlsplit(url).netloc.rpartition("@")[0].partition(":")
    return {"username": unquote(user) or None, "password": unquote(password) or None}


def _options() -> _Options:
    return {
        "socket_timeout": SOCKET,
        "socket_connect_timeout": SOCKET,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
