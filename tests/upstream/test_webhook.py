"""A message reaches a webhook over a checked connection, is tried a few times, and is given up with a line in the log."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.core.deployment import Deadlines, Provider
from gateway.core.secret import Secret
from gateway.upstream import webhook
from gateway.upstream.pool import Pool
from gateway.upstream.webhook import TRIES, post
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import RESET, Status

MESSAGE = {"event": "budget.threshold", "share": 0.8, "subject": "größe"}


@pytest.fixture
async def people() -> AsyncIterator[Chaosprov]:
    """Whoever is told: a server that answers as it is scripted."""
    async with Chaosprov() as server:
        yield server


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool()
    yield pool
    pool.close()


@pytest.fixture
def target(people: Chaosprov) -> Provider:
    return Provider(
        name="webhook",
        dialect="",
        host="127.0.0.1",
        port=people.port,
        tls=False,
        path="/hooks/budgets",
        query="sig=hunter2",
        headers=(("authorization", Secret("Bearer hook-token")),),
        allow_private=True,
        deadlines=Deadlines(connect=1),
    )


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "AGAIN", 0.01)


async def test_the_message_is_posted_as_json_with_the_headers_of_the_policy(
    pool: Pool, people: Chaosprov, target: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    people.will(Status(204, b""))

    await post(pool, target, MESSAGE)

    (call,) = people.calls
    assert (call.method, call.path) == ("POST", "/hooks/budgets?sig=hunter2")
    headers = {name.lower(): value for name, value in call.headers}
    assert headers["content-type"] == "application/json"
    assert headers["authorization"] == "Bearer hook-token"
    assert headers["host"] == f"127.0.0.1:{people.port}"
    assert json.loads(call.body) == MESSAGE
    assert caplog.records == []


@pytest.mark.parametrize("trouble", [Status(500, b""), Status(302, b"", (("location", "/else"),)), RESET], ids=str)
async def test_what_failed_is_tried_again(pool: Pool, people: Chaosprov, target: Provider, trouble: Status) -> None:
    people.will(trouble)
    people.will(Status(200, b"ok"))

    await post(pool, target, MESSAGE)

    assert [json.loads(call.body) for call in people.calls] == [MESSAGE, MESSAGE]


async def test_after_a_few_tries_it_is_given_up_and_logged_without_what_is_secret(
    pool: Pool, people: Chaosprov, target: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(TRIES):
        people.will(Status(503, b""))

    await post(pool, target, MESSAGE)

    assert len(people.calls) == TRIES
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "503" in str(record.__dict__["reason"])
    assert not any(secret in str(record.__dict__) for secret in ("hunter2", "hook-token"))


async def test_a_private_address_is_refused_unless_the_policy_allows_it(
    pool: Pool, people: Chaosprov, target: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    await post(pool, replace(target, allow_private=False), MESSAGE)

    assert people.calls == []
    assert len(caplog.records) == 1


async def test_nobody_there_is_logged(pool: Pool, target: Provider, caplog: pytest.LogCaptureFixture) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()

    await post(pool, replace(target, port=port), MESSAGE)

    assert [record.message for record in caplog.records] == ["a webhook was not delivered"]
