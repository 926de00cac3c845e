"""Deployments at rest, in Redis."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.clock import Clock
from gateway.store.redis.names import CHANGES, CHANNEL, COOLDOWNS
from gateway.store.redis.server import Server

PUBLISH = """
redis.call('HINCRBY', KEYS[1], 'cooldowns', 1)
if ARGV[2] == '' then redis.call('HDEL', KEYS[2], ARGV[1]) else redis.call('HSET', KEYS[2], ARGV[1], ARGV[2]) end
return redis.call('PUBLISH', ARGV[3], 'cooldowns')
"""


class RedisCooldowns:
    """See contract.CooldownStore. There are no more entries than deployments, so those that have passed may stay."""

    def __init__(self, server: Server, clock: Clock) -> None:
        self._server = server
        self._clock = clock

    async def publish(self, deployment: str, until_utc: float, reason: str) -> None:
        entry = f"{until_utc!r} {reason}" if until_utc > self._clock.now() else ""
        await self._server.script(PUBLISH, (CHANGES, COOLDOWNS), deployment, entry, CHANNEL)

    async def cooldowns(self) -> Mapping[str, float]:
        return {deployment: until for deployment, (until, _) in (await self._resting()).items()}

    async def reasons(self) -> Mapping[str, str]:
        return {deployment: reason for deployment, (_, reason) in (await self._resting()).items()}

    async def _resting(self) -> Mapping[str, tuple[float, str]]:
        resting = {}
        for deployment, entry in (await self._server.table(COOLDOWNS)).items():
            until, _, reason = entry.partition(" ")
            if float(until) > self._clock.now():
                resting[deployment] = (float(until), reason)
        return resting
