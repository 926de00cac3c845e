"""Admins, strangers, and gateways that share one Redis."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.app import running
from gateway.core.secret import Secret
from gateway.settings import Settings
from tests.conftest import POLICY, House, settings
from tests.redis_server import RedisServer, redis_server

ADMIN_KEY = Secret("a key of the admin's own choice")


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """A folder whose provider is never called."""
    folder = tmp_path / "shared-policies"
    folder.mkdir()
    (folder / "policy.yaml").write_text(POLICY.format(provider="http://127.0.0.1:9/v1"))
    return folder


def on_redis(policies: Path, data: Path, redis: RedisServer) -> Settings:
    return replace(settings(policies, data), store=redis.url, admin_key=ADMIN_KEY)


@asynccontextmanager
async def opened(chosen: Settings, *, number: int = 0) -> AsyncIterator[House]:
    """Worker `number` of a gateway with these settings."""
    async with running(chosen, number=number, records_to=None) as worker:
        yield House(worker, chosen.policies, chosen.data)


def admin_of(house: House) -> aiohttp.ClientSession:
    """A client that shows the admin key. Whoever calls this closes it."""
    assert house.worker.admin_key is not None
    headers = {"authorization": f"Bearer {house.worker.admin_key.reveal()}"}
    return aiohttp.ClientSession(base_url=house.worker.admin_url, headers=headers)


@pytest.fixture
async def admin(house: House) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that shows the admin key."""
    async with admin_of(house) as session:
        yield session


@pytest.fixture
async def stranger(house: House) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that shows nothing."""
    async with aiohttp.ClientSession(base_url=house.worker.admin_url) as session:
        yield session


async def refused(reply: aiohttp.ClientResponse) -> tuple[int, str]:
    """Status and code of an error, whose envelope is checked on the way."""
    body = await reply.json()
    assert list(body) == ["error"]
    assert list(body["error"]) == ["message", "type", "param", "code"]
    assert reply.content_type == "application/json"
    assert re.fullmatch(r"req_[0-9a-f]+", reply.headers["x-request-id"])
    return reply.status, body["error"]["code"]


async def call(house: House, key: str, *, model: str = "demo") -> aiohttp.ClientResponse:
    """One call on the data plane, read to its end."""
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{house.url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"}
        ) as reply,
    ):
        await reply.read()
        return reply


async def created(admin: aiohttp.ClientSession, **wanted: object) -> dict[str, Any]:
    async with admin.post("/admin/v1/keys", json=wanted) as reply:
        assert reply.status == 201
        body: dict[str, Any] = await reply.json()
        return body
