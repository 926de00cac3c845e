"""The Redis store, whole."""

from __future__ import annotations

import asyncio
import logging
import secrets
from urllib.parse import urlsplit

from gateway.core.clock import Clock
from gateway.core.errors import Overloaded
from gateway.core.secret import Secret
from gateway.store.contract import Changes, OpenError, away
from gateway.store.redis.cache import RedisCache
from gateway.store.redis.calls import RedisCalls
from gateway.store.redis.connect import connect
from gateway.store.redis.cooldowns import RedisCooldowns
from gateway.store.redis.eviction import refuse_eviction
from gateway.store.redis.flights import RedisFlights
from gateway.store.redis.keys import RedisKeys
from gateway.store.redis.ledger import RedisLedger
from gateway.store.redis.meanings import SEARCHES, RedisMeanings
from gateway.store.redis.names import CHANGES, CHANNEL, PEPPER
from gateway.store.redis.pins import RedisPins
from gateway.store.redis.policies import RedisPolicies
from gateway.store.redis.replays import RedisReplays
from gateway.store.redis.responses import RedisResponses
from gateway.store.redis.server import Server
from gateway.store.redis.templates import RedisTemplates
from gateway.store.redis.versions import RedisVersions

OPENING = 5.0
"""Seconds for which opening keeps trying."""

log = logging.getLogger("llmgw.store")


class RedisStore:
    """See contract.Store. `answers` has what may be slow or be lost.

    `epoch` was made with the data: when Redis has another one, or none, it lost them.
    """

    def __init__(
        self,
        server: Server,
        calls: RedisCalls,
        cache: RedisCache,
        flights: RedisFlights,
        meanings: RedisMeanings,
        answers: Server,
        *,
        pepper: Secret,
        epoch: bytes,
        clock: Clock,
    ) -> None:
        self._server = server
        self.meanings = meanings
        self.calls = calls
        self.cache = cache
        self.flights = flights
        self.pins = RedisPins(answers)
        self.responses = RedisResponses(answers)
        self._epoch = epoch
        self._woken = asyncio.Event()
        self.pepper = pepper
        self.keys = RedisKeys(server)
        self.cooldowns = RedisCooldowns(server, clock)
        self.replays = RedisReplays(server)
        self.versions = RedisVersions(server)
        self.policies = RedisPolicies(server)
        self.templates = RedisTemplates(server)
        self.ledger = RedisLedger(server)
        server.listen(CHANNEL, self._woken)

    async def changes(self) -> Changes:
        kinds = ("epoch", "keys", "cooldowns", "purges", "templates")
        epoch, keys, cooldowns, purges, templates = await self._server.command("HMGET", CHANGES, *kinds)
        if epoch != self._epoch:
            await self._restore()
        last_order = await self.cache.last_order(None if purges is None else int(purges))
        return Changes(int(keys or 0), int(cooldowns or 0), last_order, int(templates or 0))

    async def pushed(self, *, within: float) -> None:
        try:
            async with asyncio.timeout(within):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()

    async def close(self) -> None:
        await self.calls.close()
        await self.flights.close()
        await self.cache.close()
        await self.meanings.close()
        await self._server.close()

    async def _restore(self) -> None:
        """Puts the keys back that Redis lost, revoked ones too, so that none comes to life again; and templates."""
        await self._server.command("HSETNX", CHANGES, "epoch", self._epoch)
        if await self._server.command("HGET", CHANGES, "epoch") != self._epoch:
            log.error("redis holds the data of another start; restart this gateway to use them")
            raise away()
        log.warning("redis lost its data; putting the keys and templates back")
        await self._server.command("SET", PEPPER, self.pepper.reveal(), "NX")
        await self.keys.restore()
        await self.templates.restore()


async def open_redis(url: str, *, pepper: Secret | None, clock: Clock) -> RedisStore:
    """The store at this URL; `pepper` None: the one it keeps, made when there is none. Raises OpenError."""
    name = urlsplit(url).netloc.rpartition("@")[2]
    server = Server(connect(url), name=name)
    try:
        async with asyncio.timeout(OPENING):
            epoch, kept = await _data(server)
    except OpenError:
        await server.close()
        raise
    except TimeoutError:
        await server.close()
        raise OpenError("Redis does not answer; see the log for the reason.") from None
    calls = RedisCalls(Server(connect(url), name=f"{name} (call records)"))
    answers = Server(connect(url), name=f"{name} (cache)")
    cache = RedisCache(answers, clock)
    between = Server(connect(url), name=f"{name} (shared calls)")
    flights = RedisFlights(answers, between, counts_all=not _is_cluster(url))
    searches = {command: search for command, search in SEARCHES.items() if command == "VADD" or not _is_cluster(url)}
    meanings = RedisMeanings(Server(connect(url), name=f"{name} (semantic cache)"), searches)
    return RedisStore(
        server,
        calls,
        cache,
        flights,
        meanings,
        answers,
        pepper=pepper or kept,
        epoch=epoch,
        clock=clock,
    )


def _is_cluster(url: str) -> bool:
    """There, a search module answers for one node alone, and so does who is asked how many hear a message."""
    return url.startswith("redis+cluster:")


async def _data(server: Server) -> tuple[bytes, Secret]:
    while True:
        try:
            await refuse_eviction(server)
            await server.command("HSETNX", CHANGES, "epoch", secrets.token_hex(8))
            await server.command("SET", PEPPER, secrets.token_hex(32), "NX")
            epoch = await server.command("HGET", CHANGES, "epoch")
            return epoch, Secret((await server.command("GET", PEPPER)).decode())
        except Overloaded:
            await asyncio.sleep(0.1)
