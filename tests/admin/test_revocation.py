"""A revoked key is refused everywhere within a second."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.admin.conftest import admin_of, call, created, on_redis, opened
from tests.conftest import House, settings
from tests.redis_server import RedisServer

ROUNDS = 5


async def ends_everywhere(first: House, second: House) -> None:
    """A key made and used at both is revoked at the first, and refused by both within a second."""
    async with admin_of(first) as admin:
        key = await created(admin)
        for house in (first, second):
            assert (await call(house, key["key"])).status == 200

        async with asyncio.timeout(1.0):
            async with admin.delete(f"/admin/v1/keys/{key['id']}") as reply:
                assert reply.status == 204
            for house in (first, second):
                while (await call(house, key["key"])).status != 401:
                    pass


async def test_a_revocation_reaches_another_worker_within_a_second(policies: Path, tmp_path: Path) -> None:
    chosen = settings(policies, tmp_path / "data")
    async with opened(chosen) as first, opened(chosen, number=1) as second:
        for _ in range(ROUNDS):
            await ends_everywhere(first, second)


async def test_a_revocation_reaches_another_replica_within_a_second(
    policies: Path, tmp_path: Path, redis: RedisServer
) -> None:
    async with (
        opened(on_redis(policies, tmp_path / "a", redis)) as first,
        opened(on_redis(policies, tmp_path / "b", redis)) as second,
    ):
        for _ in range(ROUNDS):
            await ends_everywhere(first, second)


async def test_a_revocation_needs_no_push(policies: Path, tmp_path: Path, redis: RedisServer) -> None:
    async with (
        opened(on_redis(policies, tmp_path / "a", redis)) as first,
        opened(on_redis(policies, tmp_path / "b", redis)) as second,
    ):
        for _ in range(ROUNDS):
            while b":2\r\n" not in redis.send("PUBSUB", "NUMSUB", "llmgw:changed"):
                await asyncio.sleep(0.01)
            killed = redis.send(
                "CLIENT", "KILL", "TYPE", "pubsub"
            )  # these, and those of flights that have begun to listen
            assert int(killed[1:]) >= 2
            await ends_everywhere(first, second)
