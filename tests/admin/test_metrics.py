"""`/metrics`: one story with the records, told to whoever asks, and never longer for what clients make up."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import openai
import pytest

from gateway.cache.semantic.asked import NoSemantic
from gateway.core.errors import Overloaded
from gateway.trace.journal import Dropped, Journal
from tests.conftest import House
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import HANG, Say
from tests.promtool import complaints
from tests.trace.metrics.scrape import OPEN_METRICS, exemplars, series

HELLO: Any = [{"role": "user", "content": "Say hello"}]


async def scraped(stranger: aiohttp.ClientSession) -> dict[str, float]:
    async with stranger.get("/metrics") as reply:
        assert reply.status == 200
        assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
        return series(await reply.text())


async def counted(stranger: aiohttp.ClientSession, calls: int) -> dict[str, float]:
    """What is scraped once so many calls have been counted."""
    async with asyncio.timeout(5):
        while (found := await scraped(stranger)).get("llmgw_request_overhead_seconds_count") != calls:
            await asyncio.sleep(0.02)
    return found


async def test_requests_that_become_no_call_are_counted_by_what_was_wrong(
    house: House, stranger: aiohttp.ClientSession
) -> None:
    for method, path in (("GET", "/v1/nothing"), ("POST", "/wp-admin"), ("DELETE", "/v1/models")):
        async with stranger.request(method, house.url + path) as reply:
            assert reply.status in (404, 405)

    found = await scraped(stranger)

    assert found['llmgw_refused_requests_total{error_type="not_found"}'] == 2
    assert found['llmgw_refused_requests_total{error_type="method_not_allowed"}'] == 1


async def test_what_was_dropped_is_told_to_admins(
    house: House, admin: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with admin.get("/admin/v1/telemetry") as reply:
        assert await reply.json() == {"dropped": []}

    monkeypatch.setattr(Journal, "dropped", Dropped(queue=3, stdout=0, file=0, spool=7))

    async with admin.get("/admin/v1/telemetry") as reply:
        assert (await reply.json())["dropped"] == [
            {"signal": "records", "where": "queue", "count": 3},
            {"signal": "records", "where": "spool", "count": 7},
        ]


async def test_metrics_say_what_the_record_says(
    house: House, sdk: openai.AsyncOpenAI, stranger: aiohttp.ClientSession
) -> None:
    await sdk.chat.completions.create(model="ok", messages=HELLO)

    found = await counted(stranger, 1)

    record = await house.only_record()
    whose = 'model="ok",org="default",provider="chaos"'
    assert found[f"llmgw_cost_usd_total{{{whose}}}"] == pytest.approx(record["cost_nano_usd"] / 1e9)
    assert found[f'llmgw_tokens_total{{{whose},type="input"}}'] == record["input_tokens"]
    assert found[f'llmgw_tokens_total{{{whose},type="output"}}'] == record["output_tokens"]
    assert found['llmgw_calls_total{model="ok",org="default",outcome="upstream"}'] == 1
    assert found["llmgw_request_overhead_seconds_sum"] == pytest.approx(record["overhead_ms"] / 1000)
    assert found['llmgw_upstream_attempts_total{deployment="chaos/ok",reason="primary"}'] == 1


async def test_clients_that_make_everything_up_create_no_series(
    house: House, sdk: openai.AsyncOpenAI, stranger: aiohttp.ClientSession, provider: Chaosprov
) -> None:
    async def both(text: str) -> None:
        """One call that is refused, and one that is answered."""
        headers = {"x-llmgw-tags": text, "x-llmgw-conversation": text, "x-request-id": text}
        with pytest.raises(openai.NotFoundError):
            await sdk.chat.completions.create(model=text, messages=HELLO, user=text, extra_headers=headers)
        await sdk.chat.completions.create(model="ok", messages=HELLO, user=text, extra_headers=headers)

    await both("first")
    before = await counted(stranger, 2)
    for number in range(20):
        await both(f"made-up-{number}")

    after = await counted(stranger, 42)

    assert set(after) == set(before)
    assert after['llmgw_calls_total{model="_other",org="default",outcome="rejected_policy"}'] == 21


async def test_a_stranger_without_a_key_has_no_organisation(house: House, stranger: aiohttp.ClientSession) -> None:
    async with openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key="sk-wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            await client.chat.completions.create(model="ok", messages=HELLO)

    found = await counted(stranger, 1)

    assert found['llmgw_calls_total{outcome="rejected_auth"}'] == 1


async def test_a_call_is_under_way_until_it_ends(
    house: House, sdk: openai.AsyncOpenAI, stranger: aiohttp.ClientSession, provider: Chaosprov
) -> None:
    provider.will(Say("Hel"), HANG)
    stream = await sdk.chat.completions.create(model="ok", messages=HELLO, stream=True)
    assert (await scraped(stranger))["llmgw_calls_active"] == 1

    await stream.close()

    assert (await counted(stranger, 1))["llmgw_calls_active"] == 0


async def test_a_deployment_that_rests_is_shown_if_the_policy_names_it_and_else_as_some_other(
    house: House, sdk: openai.AsyncOpenAI, stranger: aiohttp.ClientSession
) -> None:
    await house.adopt("models: {failing: {use: chaos/fault/status-500}}")
    metric = 'llmgw_deployment_resting{deployment="%s"}'
    assert (await scraped(stranger))[metric % "chaos/fault/status-500"] == 0

    for model in ("failing", "fault/status-503"):
        for _ in range(3):
            with pytest.raises(openai.InternalServerError):
                await sdk.chat.completions.create(model=model, messages=HELLO)

    found = await scraped(stranger)
    assert found[metric % "chaos/fault/status-500"] == 1
    assert found[metric % "_other"] == 1
    assert found[metric % "chaos/ok"] == 0


async def test_what_came_of_reading_the_policy_again_is_counted(house: House, stranger: aiohttp.ClientSession) -> None:
    await house.adopt("models: {again: {use: demo/demo}}")
    (house.policies / "more.yaml").write_text("version: 1\nmodles: {}\n")
    await house.worker.watch.reload()

    found = await scraped(stranger)

    assert found['llmgw_policy_reloads_total{result="replaced"}'] == 1
    assert found['llmgw_policy_reloads_total{result="refused"}'] >= 1
    version = house.worker.policy.current.version
    assert any(name.startswith(f'llmgw_build_info{{policy="{version}",version="') for name in found)


async def test_what_is_left_of_a_budget_is_told_of_those_that_operators_have_named(
    house: House, sdk: openai.AsyncOpenAI, stranger: aiohttp.ClientSession
) -> None:
    await house.adopt("tenants: {default: {budget: [{usd: 1, per: ever}], users: {budget: [{usd: 1, per: day}]}}}")
    await sdk.chat.completions.create(model="ok", messages=HELLO, user="ann")

    found = await counted(stranger, 1)

    left = {name: value for name, value in found.items() if name.startswith("llmgw_budget_remaining_ratio")}
    (name,) = left
    assert name == 'llmgw_budget_remaining_ratio{level="org",subject="default",unit="usd",window="ever"}'
    assert 0 < left[name] < 1


async def test_how_much_is_kept_of_answers_is_told_and_asked_of_the_store_seldom(
    house: House, sdk: openai.AsyncOpenAI, stranger: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.adopt("cache: {default: {exact: {ttl: 1h}}}")
    await sdk.chat.completions.create(model="ok", messages=HELLO)
    async with asyncio.timeout(5):
        while not (size := await house.worker.cache.size()).entries:
            await asyncio.sleep(0.02)

    found = await counted(stranger, 1)
    asked = []
    monkeypatch.setattr(house.worker.cache, "size", lambda: asked.append("size"))
    again = await scraped(stranger)

    assert (found["llmgw_cache_entries"], found["llmgw_cache_dropped_total"]) == (1, 0)
    assert found["llmgw_cache_bytes"] == again["llmgw_cache_bytes"] == size.bytes > 0
    assert found['llmgw_cache_requests_total{kind="exact",reason="new",result="miss"}'] == 1
    assert asked == []


async def test_what_the_semantic_cache_says_of_itself_is_told(
    house: House, stranger: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NoSemantic, "figures", lambda _: {"entries": 7, "not_kept_busy": 2})

    found = await scraped(stranger)

    assert found["llmgw_cache_semantic_entries"] == 7
    assert found['llmgw_cache_semantic_events_total{event="not_kept_busy"}'] == 2


async def test_metrics_are_served_while_the_store_is_away(
    house: House, stranger: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise Overloaded("the store is away")

    monkeypatch.setattr(house.worker.budgets, "balances", away)
    monkeypatch.setattr(house.worker.cache, "size", away)

    assert "llmgw_calls_active" in await scraped(stranger)


async def test_open_metrics_name_the_trace_of_a_call(
    house: House, sdk: openai.AsyncOpenAI, stranger: aiohttp.ClientSession
) -> None:
    await sdk.chat.completions.create(model="ok", messages=HELLO)
    await counted(stranger, 1)

    async with stranger.get("/metrics", headers={"accept": OPEN_METRICS}) as reply:
        text = await reply.text()

    assert set(exemplars(text).values()) == {(await house.only_record())["trace_id"]}


async def test_promtool_finds_nothing_to_say(sdk: openai.AsyncOpenAI, stranger: aiohttp.ClientSession) -> None:
    await sdk.chat.completions.create(model="ok", messages=HELLO)
    await counted(stranger, 1)
    async with stranger.get("/metrics") as reply:
        text = await reply.read()

    assert await asyncio.to_thread(complaints, text) == ""


async def test_two_budgets_of_one_tenant_for_different_models_are_two_series(
    house: House, sdk: openai.AsyncOpenAI, stranger: aiohttp.ClientSession
) -> None:
    budgets = "[{usd: 1, per: ever}, {usd: 2, per: ever, models: [ok]}]"
    await house.adopt(f"tenants: {{default: {{budget: {budgets}}}}}")
    await sdk.chat.completions.create(model="ok", messages=HELLO)

    found = await counted(stranger, 1)

    left = sorted(name for name in found if name.startswith("llmgw_budget_remaining_ratio"))
    assert left == [
        'llmgw_budget_remaining_ratio{level="org",models="ok",subject="default",unit="usd",window="ever"}',
        'llmgw_budget_remaining_ratio{level="org",subject="default",unit="usd",window="ever"}',
    ]


async def test_records_that_a_full_disk_keeps_out_of_the_spool_are_counted(
    house: House, stranger: aiohttp.ClientSession
) -> None:
    house.worker.journal._spool.missed = 3

    assert (await scraped(stranger))['llmgw_telemetry_dropped_total{signal="records",where="spool"}'] == 3
