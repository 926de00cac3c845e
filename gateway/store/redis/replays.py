"""Answers kept for their Idempotency-Key, in Redis.

A value is the claim's token, the hash of the body, and then either nothing (pending) or the answer.
"""

from __future__ import annotations

import secrets

import msgspec

from gateway.core.claim import Claim, Conflict, Fresh, Pending, Stored
from gateway.store.contract import CLAIM_LEASE, REPLAY_LIMIT, REPLAY_TTL
from gateway.store.names import replay_name
from gateway.store.redis.names import REPLAY
from gateway.store.redis.server import Server

CLAIM = """
local held = redis.call('GET', KEYS[1])
if not held then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return held
"""
PENDING = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end "
FINISH = PENDING + "redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2], 'PX', ARGV[3]) return 1"
RENEW = PENDING + "return redis.call('PEXPIRE', KEYS[1], ARGV[2])"
ABANDON = PENDING + "return redis.call('DEL', KEYS[1])"


class RedisReplays:
    """See contract.ReplayStore."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def claim(self, scope: str, key: str, body_hash: str) -> Fresh | Pending | Conflict | Stored:
        claim = Claim(name=REPLAY + replay_name(scope, key), token=secrets.token_hex(16), body_hash=body_hash)
        lease = _milliseconds(CLAIM_LEASE)
        held = await self._server.script(CLAIM, (claim.name,), _head(claim), lease)
        if held is None:
            return Fresh(claim)
        _, theirs, answer = held.split(b"\n", 2)
        if theirs != body_hash.encode():
            return Conflict()
        return msgspec.msgpack.decode(answer, type=Stored) if answer else Pending()

    async def renew(self, claim: Claim) -> bool:
        return bool(await self._server.script(RENEW, (claim.name,), _head(claim), _milliseconds(CLAIM_LEASE)))

    async def finish(self, claim: Claim, answer: Stored) -> None:
        if len(answer.body) > REPLAY_LIMIT:
            await self.abandon(claim)
            return
        kept = msgspec.msgpack.encode(answer)
        await self._server.script(FINISH, (claim.name,), _head(claim), kept, _milliseconds(REPLAY_TTL))

    async def abandon(self, claim: Claim) -> None:
        await self._server.script(ABANDON, (claim.name,), _head(claim))


def _head(claim: Claim) -> str:
    return f"{claim.token}\n{claim.body_hash}\n"


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
