"""What the semantic cache shares in Redis, over a connection of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from redis.exceptions import ResponseError

from gateway.store.contract import NearestStore
from gateway.store.redis.earned import RedisEarned
from gateway.store.redis.neighbours import RedisNeighbours
from gateway.store.redis.search_module import SearchModule
from gateway.store.redis.server import Server
from gateway.store.redis.vector_sets import VectorSets

SEARCHES: Mapping[str, Callable[[Server], NearestStore]] = {"VADD": VectorSets, "FT.SEARCH": SearchModule}
"""The ways to let the server search, by the command that tells that it can; the best first."""

log = logging.getLogger("llmgw.store")


class RedisMeanings:
    """See contract.MeaningStore. `searches` are those of SEARCHES that may be used."""

    def __init__(self, server: Server, searches: Mapping[str, Callable[[Server], NearestStore]] | None = None) -> None:
        self._server = server
        self._searches = SEARCHES if searches is None else searches
        self._nearest: NearestStore | None = None
        self._has_asked = False
        self.neighbours = RedisNeighbours(server)
        self.earned = RedisEarned(server)

    async def nearest(self) -> NearestStore | None:
        if not self._has_asked:
            self._nearest = await self._offered()
            self._has_asked = True
        return self._nearest

    async def close(self) -> None:
        await self._server.close()

    async def _offered(self) -> NearestStore | None:
        for command, search in self._searches.items():
            reply = await self._server.command("COMMAND INFO", command, tolerates=(ResponseError,))
            if _is_known(reply):
                log.info("redis searches large partitions itself", extra={"by": command})
                return search(self._server)
        return None


def _is_known(reply: object) -> bool:
    """Whether COMMAND INFO told of a command; where that is forbidden, nothing is known."""
    if isinstance(reply, ResponseError):
        return False
    return isinstance(reply, list | dict) and bool(reply) and reply != [None]
