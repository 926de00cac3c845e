"""The admin API over the records of calls, as a console or a script uses it."""

from __future__ import annotations

import asyncio
import importlib
import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.core.clock import Clock
from gateway.ingress.admin.calls import CallRoutes
from gateway.trace.reading import calls as reading
from gateway.trace.reading.parquet import COLUMNS
from tests.admin.conftest import ADMIN_KEY, admin_of, call, created, on_redis, opened, refused
from tests.conftest import House
from tests.redis_server import RedisServer
from tests.trace.stored import NOON, line


async def asked(admin: aiohttp.ClientSession, path: str, **query: str) -> dict[str, Any]:
    async with admin.get(f"/admin/v1/{path}", params=query) as reply:
        assert reply.status == 200, await reply.text()
        body: dict[str, Any] = await reply.json()
        return body


class Tail:
    """What a reader of server-sent events sees."""

    def __init__(self, reply: aiohttp.ClientResponse) -> None:
        self._reply = reply

    async def event(self) -> tuple[str, Any]:
        """The next one, whose name and data these are; a comment is one without a name."""
        async with asyncio.timeout(10):
            block = (await self._reply.content.readuntil(b"\n\n")).decode()
        if block.startswith(":"):
            return "", block[1:].strip()
        name, data = block.strip().split("\n")
        return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


@asynccontextmanager
async def tailing(admin: aiohttp.ClientSession, **query: str) -> AsyncIterator[Tail]:
    async with admin.get("/admin/v1/calls:tail", params=query) as reply:
        assert (reply.status, reply.content_type) == (200, "text/event-stream")
        assert reply.headers["cache-control"] == "no-store"
        tail = Tail(reply)
        assert await tail.event() == ("", "following")
        yield tail


async def test_who_follows_the_calls_sees_those_that_match_as_they_come(
    house: House, admin: aiohttp.ClientSession
) -> None:
    await call(house, house.key)
    async with tailing(admin, outcome="rejected_policy") as tail:
        await call(house, house.key)
        answer = await call(house, house.key, model="nothing")

        name, record = await tail.event()

    assert (name, record["id"], record["status"]) == ("call", answer.headers["x-request-id"], 404)
    assert record.items() <= (await asked(admin, f"calls/{record['id']}")).items()


async def test_who_is_too_slow_is_told_how_many_calls_were_left_out(
    house: House, admin: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BACKLOG", 2)
    monkeypatch.setattr(reading, "EVERY", 1.0)
    async with tailing(admin, model="demo") as tail:
        await asyncio.gather(*(call(house, house.key) for _ in range(5)))
        await asked(admin, "calls")

        dropped, *kept = [await tail.event() for _ in range(3)]

    assert dropped == ("dropped", {"count": 3})
    assert [name for name, _ in kept] == ["call", "call"]


async def test_who_follows_a_quiet_gateway_hears_that_it_is_there(
    admin: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ingress.admin.calls.KEEP_ALIVE", 0.1)
    async with tailing(admin) as tail:
        assert await tail.event() == ("", "nothing new")


async def test_only_so_many_may_follow_and_a_place_is_free_again_when_one_leaves(
    admin: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "TAILS", 1)
    monkeypatch.setattr("gateway.ingress.admin.calls.KEEP_ALIVE", 0.1)
    async with tailing(admin), admin.get("/admin/v1/calls:tail") as reply:
        assert await refused(reply) == (503, "too_many_tails")
    async with asyncio.timeout(10):
        while True:
            async with admin.get("/admin/v1/calls:tail") as reply:
                if reply.status == 200:
                    return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("query", ["since=1", "until=1", "before=1", "limit=1"])
async def test_who_follows_cannot_ask_for_the_past(admin: aiohttp.ClientSession, query: str) -> None:
    async with admin.get(f"/admin/v1/calls:tail?{query}") as reply:
        assert await refused(reply) == (400, "unknown_parameter")


async def test_a_parameter_that_stands_there_twice_is_refused(admin: aiohttp.ClientSession) -> None:
    async with admin.get("/admin/v1/calls?org=a&org=b") as reply:
        assert await refused(reply) == (400, "invalid_value")


async def filled(house: House, count: int) -> None:
    """The gateway's file with so many calls of long ago besides."""
    writer = house.worker.journal._sinks.taker
    lines = [
        line(f"old_{number:05}", at=NOON + number, tags=["a"], stages=[{"name": "auth"}]) for number in range(count)
    ]
    await asyncio.to_thread(writer.add, lines)


async def test_all_calls_can_be_taken_away_as_lines_oldest_first(house: House, admin: aiohttp.ClientSession) -> None:
    await filled(house, 1234)
    await call(house, house.key)

    async with admin.get("/admin/v1/calls:export", params={"since": str(NOON + 4)}) as reply:
        assert (reply.status, reply.content_type) == (200, "application/x-ndjson")
        records = [json.loads(each) for each in (await reply.read()).splitlines()]

    assert [each["id"] for each in records] == [f"old_{number:05}" for number in range(4, 1234)]
    async with admin.get("/admin/v1/calls:export", params={"model": "demo", "format": "jsonl"}) as reply:
        assert len((await reply.read()).splitlines()) == 1


@pytest.mark.parametrize("bound", [{"GROUP": 500}, {"LARGEST": 100_000}], ids=["records", "bytes"])
async def test_all_calls_can_be_taken_away_as_a_table(
    house: House, admin: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch, bound: dict[str, int]
) -> None:
    for name, most in bound.items():
        monkeypatch.setattr(f"gateway.trace.reading.parquet.{name}", most)
    await filled(house, 1234)
    answer = await call(house, house.key)

    async with admin.get("/admin/v1/calls:export", params={"format": "parquet"}) as reply:
        assert (reply.status, reply.content_type) == (200, "application/vnd.apache.parquet")
        file = importlib.import_module("pyarrow.parquet").ParquetFile(io.BytesIO(await reply.read()))

    table = file.read()
    assert file.num_row_groups > 1
    assert table.column_names == [name for name, _ in COLUMNS]
    rows = table.to_pylist()
    old, (new,) = [each for each in rows if each["id"].startswith("old")], rows[:1]
    assert [each["id"] for each in old] == [f"old_{number:05}" for number in range(1234)]
    assert (old[0]["tags"], json.loads(old[0]["stages"])) == (["a"], [{"name": "auth"}])
    assert (new["id"], new["model"], new["cost_nano_usd"] > 0) == (answer.headers["x-request-id"], "demo", True)


async def test_every_field_of_a_record_has_a_column_of_its_own(house: House, admin: aiohttp.ClientSession) -> None:
    answer = await call(house, house.key)

    record = await asked(admin, f"calls/{answer.headers['x-request-id']}")

    assert record.keys() - {"story", "spans"} == {name for name, _ in COLUMNS} & record.keys()


async def test_a_table_without_pyarrow_is_refused_and_says_what_to_install(
    admin: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = importlib.import_module

    def without(name: str, package: str | None = None) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return load(name, package)

    monkeypatch.setattr(importlib, "import_module", without)

    async with admin.get("/admin/v1/calls:export?format=parquet") as reply:
        assert await refused(reply) == (400, "parquet_unavailable")
        assert "pip install pyarrow" in await reply.text()


@pytest.mark.parametrize("query", ["format=csv", "status=abc", "format="])
async def test_an_export_that_makes_no_sense_is_refused(admin: aiohttp.ClientSession, query: str) -> None:
    async with admin.get(f"/admin/v1/calls:export?{query}") as reply:
        assert await refused(reply) == (400, "invalid_value")


async def test_statistics_are_those_of_the_calls_just_made(house: House, admin: aiohttp.ClientSession) -> None:
    key = await created(admin, tenant="acme/search")
    for _ in range(3):
        await call(house, key["key"])
    await call(house, house.key, model="nothing")

    told = await asked(admin, "stats", by="org,model,outcome", step="60")
    records = (await asked(admin, "calls"))["calls"]

    groups = {tuple(group["by"].values()): group for group in told["groups"]}
    assert set(groups) == {("acme", "demo", "upstream"), ("default", "_other", "rejected_policy")}
    acme = groups["acme", "demo", "upstream"]
    assert acme["total"]["calls"] == sum(point["calls"] for point in acme["points"]) == 3
    for name in ("cost_nano_usd", "input_tokens", "output_tokens"):
        assert acme["total"][name] == sum(each[name] for each in records if each["org"] == "acme")
    assert acme["total"]["p95_ms"] > 0
    assert told["step"] == 60
    assert (await asked(admin, "stats", tenant="acme/search"))["groups"][0]["total"]["calls"] == 3


async def test_a_gateway_without_calls_has_statistics_all_the_same(admin: aiohttp.ClientSession) -> None:
    told = await asked(admin, "stats")

    assert [group["total"]["calls"] for group in told["groups"]] == [0]
    assert (await asked(admin, "stats", by="model"))["groups"] == []
    assert await asked(admin, "errors") == {"errors": []}


async def test_what_goes_wrong_is_told_with_an_example(house: House, admin: aiohttp.ClientSession) -> None:
    await call(house, house.key, model="nothing")
    last = await call(house, house.key, model="nothing at all")

    (error,) = (await asked(admin, "errors"))["errors"]

    assert (error["count"], error["outcome"], error["sample_id"]) == (
        2,
        "rejected_policy",
        last.headers["x-request-id"],
    )
    assert "nothing at all" in error["message"]


async def test_deployments_have_the_figures_of_the_last_hour(house: House, admin: aiohttp.ClientSession) -> None:
    await call(house, house.key)
    await call(house, house.key)

    rows = (await asked(admin, "deployments"))["deployments"]

    figures = {each["deployment"]: each["figures"] for each in rows}
    assert (figures["demo/demo"]["attempts"], figures["demo/demo"]["errors"]) == (2, 0)
    assert figures["demo/demo"]["p50_ms"] > 0


async def test_a_record_is_told_with_what_can_be_made_of_it(house: House) -> None:
    def tell(row: Mapping[str, object]) -> Mapping[str, object]:
        return {"story": [f"It was {row['model']}."], "spans": []}

    application = web.Application()
    application.add_routes(CallRoutes(house.worker.journal.calls, Clock(), tell).routes(application))
    answer = await call(house, house.key)

    async with (
        TestClient(TestServer(application)) as client,
        client.get(f"/admin/v1/calls/{answer.headers['x-request-id']}") as reply,
    ):
        told = await reply.json()

    assert (told["model"], told["story"], told["spans"]) == ("demo", ["It was demo."], [])


async def test_the_console_of_every_replica_sees_the_calls_of_all(
    policies: Any, tmp_path: Any, redis: RedisServer
) -> None:
    async with (
        opened(on_redis(policies, tmp_path / "1", redis)) as first,
        opened(on_redis(policies, tmp_path / "2", redis)) as second,
        admin_of(first) as admin,
        admin_of(second) as other,
    ):
        key = await created(admin)
        async with tailing(other) as tail, asyncio.timeout(10):
            await asyncio.sleep(0.5)
            answer = await call(first, key["key"])
            name, record = await tail.event()

        assert (name, record["id"]) == ("call", answer.headers["x-request-id"])
        assert (await asked(other, "stats"))["groups"][0]["total"]["calls"] == 1
        assert ADMIN_KEY.reveal() not in str(record)
