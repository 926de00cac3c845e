"""Which key opens what, and that a refusal tells nothing more than that it is one."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from gateway.auth.virtual_key import mint
from gateway.auth.wanted import Wanted
from gateway.core.secret import Secret
from gateway.store.open import open_store
from tests.admin.conftest import admin_of, call, created, on_redis, opened, refused
from tests.conftest import House
from tests.redis_server import RedisServer


async def reply_to(house: House, key: str, model: str = "demo") -> bytes:
    """The whole reply to one call, byte for byte, but for the ids of the request and its trace."""
    body = b'{"model":"%b","messages":[{"role":"user","content":"hi"}]}' % model.encode()
    head = f"Host: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", int(house.url.rpartition(":")[2]))
    writer.write(f"POST /v1/chat/completions HTTP/1.1\r\n{head}Authorization: Bearer {key}\r\n\r\n".encode() + body)
    reply = await reader.read()
    writer.close()
    await writer.wait_closed()
    return re.sub(rb"req_[0-9a-f]+|00-[0-9a-f]{32}-[0-9a-f]{16}", b"id", reply)


async def kept(house: House, wanted: Wanted) -> str:
    """The text of a key put into the house's store by someone else."""
    store = await open_store("embedded", house.data)
    key, text = mint(wanted, store.pepper, now=time.time())
    await store.keys.create(key)
    await store.close()
    return text.reveal()


def unknown() -> str:
    """A key as well made as ours, which nobody has created."""
    return mint(Wanted(), Secret("x" * 16), now=0.0)[1].reveal()


async def test_a_revoked_key_is_refused_like_an_unknown_one(house: House, admin: aiohttp.ClientSession) -> None:
    key = await created(admin)
    assert (await reply_to(house, key["key"])).startswith(b"HTTP/1.1 200")

    async with admin.delete(f"/admin/v1/keys/{key['id']}") as reply:
        assert reply.status == 204
    async with asyncio.timeout(1.0):
        while not (revoked := await reply_to(house, key["key"])).startswith(b"HTTP/1.1 401"):
            pass

    assert revoked == await reply_to(house, unknown())


async def test_an_expired_key_is_refused_like_an_unknown_one(house: House) -> None:
    expired = await kept(house, Wanted(expires=time.time() - 1))

    reply = await reply_to(house, expired)

    assert reply.startswith(b"HTTP/1.1 401")
    assert reply == await reply_to(house, unknown())


async def test_a_model_that_is_not_allowed_looks_unknown(house: House) -> None:
    key = await kept(house, Wanted(models=("ok",)))

    reply = await reply_to(house, key, "demo")

    assert reply.startswith(b"HTTP/1.1 404")
    assert b'"code":"model_not_found"' in reply
    assert reply.replace(b"demo", b"none") == await reply_to(house, key, "none")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("GET", "/v1/models/demo"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/completions"),
        ("POST", "/v1/embeddings"),
    ],
)
async def test_an_admin_key_opens_nothing_on_the_data_port(
    house: House, admin: aiohttp.ClientSession, method: str, path: str
) -> None:
    async with admin.request(method, house.url + path, json={} if method == "POST" else None) as reply:
        assert await reply.json() == {
            "error": {
                "message": "This is an admin key; calls need a virtual key.",
                "type": "invalid_request_error",
                "param": None,
                "code": "not_found",
            }
        }
        assert reply.status == 403


async def test_an_admin_key_of_ones_own_choice_opens_the_admin_port_alone(
    policies: Path, tmp_path: Path, redis: RedisServer
) -> None:
    chosen = on_redis(policies, tmp_path / "data", redis)
    for own in ("a key of my own", "sk-llmgw-looks-like-a-virtual-one", "clé"):
        async with opened(replace(chosen, admin_key=Secret(own))) as house, admin_of(house) as admin:
            async with admin.get("/admin/v1/keys") as reply:
                assert reply.status == 200
            assert (await reply_to(house, own)).startswith(b"HTTP/1.1 401")


async def test_without_an_admin_key_the_admin_port_only_answers_health_checks(
    policies: Path, tmp_path: Path, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = replace(on_redis(policies, tmp_path / "data", redis), admin_key=None)
    async with opened(chosen) as house, aiohttp.ClientSession(base_url=house.worker.admin_url) as stranger:
        for path in ("/healthz", "/readyz"):
            async with stranger.get(path) as reply:
                assert reply.status == 200
        for shown in ("", "Bearer ", "Bearer None", "Bearer x"):
            async with stranger.get("/admin/v1/keys", headers={"authorization": shown}) as reply:
                assert await refused(reply) == (404, "not_found")

    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len([each for each in warnings if "LLMGW_ADMIN_KEY" in each]) == 1


async def test_an_unknown_key_is_not_refused_while_the_key_store_is_down(
    policies: Path, tmp_path: Path, redis: RedisServer
) -> None:
    async with opened(on_redis(policies, tmp_path / "data", redis)) as house, admin_of(house) as admin:
        known = (await created(admin))["key"]
        assert (await call(house, known)).status == 200
        redis.kill()

        reply = await call(house, unknown())

        assert (await refused(reply)) == (503, "auth_unavailable")
        assert "retry-after" in reply.headers
        assert (await call(house, known)).status == 200


async def test_with_the_store_away_no_key_is_made_or_revoked(
    policies: Path, tmp_path: Path, redis: RedisServer
) -> None:
    async with opened(on_redis(policies, tmp_path / "data", redis)) as house, admin_of(house) as admin:
        key = await created(admin)
        redis.kill()

        async with admin.post("/admin/v1/keys", json={}) as reply:
            assert await refused(reply) == (503, "store_unavailable")
        async with admin.delete(f"/admin/v1/keys/{key['id']}") as reply:
            assert await refused(reply) == (503, "store_unavailable")
            assert "retry-after" in reply.headers
