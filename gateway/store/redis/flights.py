"""Who gets an answer from a provider, in Redis: a mark beside the place of the answer, and messages between workers.

Messages are published and not kept: whoever misses one asks for it again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from gateway.core.boarding import Boarded
from gateway.store.contract import FLIGHT_LEASE
from gateway.store.redis.names import CACHE, FLIGHT, WORKER
from gateway.store.redis.server import Script, Server

BOARD = Script.of("""
if ARGV[4] == '1' then
  local kept = redis.call('GET', KEYS[1])
  if kept then return kept end
end
local held = redis.pcall('GET', KEYS[2])
if type(held) == 'table' then return {} end
local function number(mark) return tonumber(string.match(mark, '^%d+ ') or -1) end
if held and held ~= ARGV[2] and number(held) >= number(ARGV[1]) then return {held} end
if redis.pcall('SET', KEYS[2], ARGV[1], 'PX', ARGV[3]).err then return {} end
return {ARGV[1]}
""")
HELD = "if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end "
RENEW = Script.of(HELD + "return redis.call('PEXPIRE', KEYS[1], ARGV[2])")
RELEASE = Script.of(HELD + "return redis.call('DEL', KEYS[1])")
SEND = Script.of("""
local heard = 0
for i = 2, #ARGV do heard = heard + redis.call('PUBLISH', ARGV[i], ARGV[1]) end
return heard
""")
LEASE = int(FLIGHT_LEASE * 1000)


class RedisFlights:
    """See contract.FlightStore."""

    def __init__(self, answers: Server, between: Server, *, counts_all: bool) -> None:
        """`answers` has the kept answers and is not closed here. `counts_all`: whether Redis counts all who hear a message."""
        self._answers = answers
        self._between = between
        self._counts_all = counts_all

    async def board(self, name: str, mark: bytes, *, gone: bytes = b"", kept: bool = True) -> Boarded:
        keys = (CACHE + name, _key(name))
        reply = await self._answers.kept_script(BOARD, keys, mark, gone, LEASE, int(kept))
        if isinstance(reply, bytes):
            return Boarded(value=reply)
        return Boarded(leader=reply[0] if reply else None)

    async def renew(self, name: str, mark: bytes) -> None:
        await self._between.kept_script(RENEW, (_key(name),), mark, LEASE)

    async def release(self, name: str, mark: bytes) -> None:
        await self._between.kept_script(RELEASE, (_key(name),), mark)

    async def send(self, workers: Collection[str], letter: bytes) -> bool:
        heard = await self._between.kept_script(SEND, (), letter, *[WORKER + worker for worker in workers])
        return bool(heard) or not self._counts_all

    async def hear(self, worker: str, told: Callable[[bytes], None], listening: Callable[[bool], None]) -> None:
        await self._between.hear(WORKER + worker, told, listening)

    async def close(self) -> None:
        await self._between.close()


def _key(name: str) -> str:
    return f"{FLIGHT}{{{CACHE}{name}}}"
