"""Stored templates outlive a gateway, and are known to its workers and to replicas that share a Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.policy.mistakes import PolicyError
from tests.admin.conftest import admin_of, created, on_redis, opened, refused
from tests.admin.test_stored_templates import PATH, SUPPORT, TWO, delete, previewed, put, sold, source, until
from tests.conftest import House, settings
from tests.redis_server import RedisServer


async def test_templates_outlive_a_restart(tmp_path: Path, policies: Path) -> None:
    chosen = settings(policies, tmp_path / "data")
    async with opened(chosen) as house, admin_of(house) as admin:
        await put(admin, status=201)
        version = house.worker.policy.current.version

    async with opened(chosen) as house, admin_of(house) as admin:
        assert house.worker.policy.current.version == version
        assert (await source(admin))[1] == SUPPORT.encode()


async def test_a_gateway_does_not_start_without_what_its_templates_need(tmp_path: Path, policies: Path) -> None:
    chosen = settings(policies, tmp_path / "data")
    partial = policies / "templates" / "partials" / "tone.txt"
    partial.parent.mkdir(parents=True)
    partial.write_text("Be kind.")
    text = SUPPORT.replace("{{ product }}.", "{{ product }}. {% include 'tone' %}").partition("tests")[0]
    async with opened(chosen) as house, admin_of(house) as admin:
        await put(admin, text, status=201)
    partial.unlink()

    with pytest.raises(PolicyError, match=r"^stored/support.yaml:5:\d+: .*tone"):
        async with opened(chosen):
            pass
    (policies / "templates" / "support.yaml").write_text(SUPPORT)
    async with opened(chosen) as house:
        assert await sold(house) == (200, "support@1")
        assert dict(house.worker.policy.current.shadowed) == {"support": "templates/support.yaml"}


async def test_another_worker_of_the_same_machine_hears_of_a_template(tmp_path: Path, policies: Path) -> None:
    chosen = settings(policies, tmp_path / "data")
    async with opened(chosen) as house, opened(chosen, number=1) as beside, admin_of(house) as admin:
        _, told = await put(admin, status=201)
        await until(beside, told["policy"])
        assert await sold(beside) == (200, "support@1")

        await delete(admin)
        await until(beside, house.worker.policy.current.version)
        assert await sold(beside) == (404, "template_not_found")


@pytest.fixture
async def pair(policies: Path, tmp_path: Path, redis: RedisServer) -> AsyncIterator[tuple[House, House]]:
    """Two replicas that share a Redis."""
    one, other = (on_redis(policies, tmp_path / name, redis) for name in ("one", "other"))
    async with opened(one) as first, opened(other) as second:
        yield first, second


async def test_replicas_hear_of_templates_and_one_alone_of_two_writers_wins(
    pair: tuple[House, House], redis: RedisServer
) -> None:
    first, second = pair
    async with admin_of(first) as one, admin_of(second) as other:
        key = (await created(one, name="both"))["key"]
        _, told = await put(one, status=201)
        await until(second, told["policy"])
        assert await sold(second, key) == (200, "support@1")
        assert await source(other) == (200, SUPPORT.encode(), told["etag"])

        outcomes = await asyncio.gather(
            *(
                put(each, f"{TWO}# {number}\n", If_Match=told["etag"])
                for number, each in enumerate((one, other, one, other))
            )
        )
        assert sorted(status for status, _ in outcomes) == [200, 409, 409, 409]
        (winner,) = (body for status, body in outcomes if status == 200)
        await until(first, winner["policy"])
        await until(second, winner["policy"])

        redis.send("FLUSHALL")
        async with asyncio.timeout(10):
            while (await source(other))[0] != 200:
                await asyncio.sleep(0.05)
        assert (await source(other))[2] == winner["etag"]
        assert await sold(first, key) == await sold(second, key) == (200, "support@1")

        assert (await delete(other, winner["etag"]))[0] == 204
        async with asyncio.timeout(10):
            while (await sold(first, key))[0] != 404:
                await asyncio.sleep(0.02)


async def test_while_the_store_is_away_nothing_is_put_and_what_was_goes_on(
    pair: tuple[House, House], redis: RedisServer
) -> None:
    house, _ = pair
    async with admin_of(house) as admin:
        _, told = await put(admin, status=201)
        redis.kill()

        status, body = await put(admin, TWO, If_Match=told["etag"])
        assert (status, body["error"]["code"]) == (503, "store_unavailable")
        assert (await delete(admin))[0] == 503
        async with admin.get(PATH + "/source") as reply:
            assert await refused(reply) == (503, "store_unavailable")
        status, body = await previewed(admin, variables={"product": "tea"})
        assert (status, body["messages"][0]["content"]) == (200, "You sell tea.")
        assert house.worker.policy.current.version == told["policy"]
