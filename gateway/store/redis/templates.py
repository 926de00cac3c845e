"""Prompt templates that admins put, in Redis."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.store.contract import away
from gateway.store.redis.names import CHANGES, CHANNEL, TEMPLATES
from gateway.store.redis.server import Server

_TRIES = 5
CHANGE = """
if tonumber(redis.call('HGET', KEYS[1], 'templates') or '0') ~= tonumber(ARGV[1]) then return 0 end
for i = 3, #ARGV, 3 do
  if ARGV[i + 1] == 'put' then redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 2]) else redis.call('HDEL', KEYS[2], ARGV[i]) end
end
redis.call('HINCRBY', KEYS[1], 'templates', 1)
redis.call('PUBLISH', ARGV[2], 'templates')
return 1
"""
RESTORE = """
if redis.call('HEXISTS', KEYS[1], 'templates') == 1 then return 0 end
redis.call('DEL', KEYS[2])
for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
redis.call('HSET', KEYS[1], 'templates', ARGV[1] + 1)
redis.call('PUBLISH', ARGV[2], 'templates')
return 1
"""


class RedisTemplates:
    """See contract.TemplateStore. What was loaded is remembered, to be put back should Redis lose its data."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loaded: tuple[int, Mapping[str, bytes]] = (0, {})

    async def load(self) -> tuple[int, Mapping[str, bytes]]:
        """One by one, so that each answer keeps within the deadline; again when something is changed meanwhile."""
        for _ in range(_TRIES):
            before = await self._number()
            if not before and self._loaded[0]:
                await self.restore()
                continue
            values = {}
            for name in await self._server.command("HKEYS", TEMPLATES):
                value = await self._server.command("HGET", TEMPLATES, name)
                if value is not None:
                    values[name.decode()] = value
            if await self._number() == before:
                self._loaded = before, values
                return self._loaded
        raise away()

    async def change(self, values: Mapping[str, bytes | None], *, since: int) -> bool:
        words: list[bytes | str] = []
        for name, value in values.items():
            words += [name, "remove", b""] if value is None else [name, "put", value]
        return bool(await self._server.script(CHANGE, (CHANGES, TEMPLATES), since, CHANNEL, *words))

    async def restore(self) -> None:
        """Puts them back, unless somebody has. Raises Overloaded."""
        number, values = self._loaded
        if number:
            words = [word for name, value in values.items() for word in (name.encode(), value)]
            await self._server.script(RESTORE, (CHANGES, TEMPLATES), number, CHANNEL, *words)

    async def _number(self) -> int:
        return int(await self._server.command("HGET", CHANGES, "templates") or 0)
