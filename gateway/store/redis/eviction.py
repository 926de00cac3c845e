"""A Redis that may drop any key when its memory is full is no place for a ledger: a budget that is gone is not spent."""

from __future__ import annotations

import logging

from redis.exceptions import ResponseError

from gateway.store.contract import OpenError
from gateway.store.redis.names import LEDGER
from gateway.store.redis.server import Server

ASK = "return string.match(redis.call('INFO', 'memory'), 'maxmemory_policy:([%w-]+)') or ''"
"""Asked in a script, so that the node that has the ledger answers, and also where CONFIG is hidden, as managed ones do."""

log = logging.getLogger("llmgw.store")


async def refuse_eviction(server: Server) -> None:
    """Raises OpenError when the Redis evicts keys that do not expire; Overloaded when it is away."""
    reply = await server.command("EVAL", ASK, 1, LEDGER + "meta", tolerates=(ResponseError,))
    if isinstance(reply, ResponseError) or not reply:
        log.warning("redis does not tell its maxmemory-policy; budgets need noeviction")
    elif reply.startswith(b"allkeys"):
        raise OpenError(
            f"This Redis has maxmemory-policy {reply.decode()}: it may drop budgets that are in use. Give the gateway a "
            "Redis of its own with `maxmemory-policy noeviction`, and keep caches in another."
        )
