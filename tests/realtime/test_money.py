"""What a session costs is held before it is spent, settled as it is counted, and never runs past a budget unseen."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import InvalidStatus

from tests.conftest import House
from tests.realtime.talker import ASK, Talker, calling, ended, policy, told, until

USD = 1_000_000_000
ONE = 100 * 1000 + 10 * 2000
"""Nano-USD of a response as the talker counts it."""


def limited(limit: str) -> str:
    return f"tenants: {{default: {{{limit}}}}}"


async def test_each_response_is_settled_as_it_is_counted(house: House, talker: Talker) -> None:
    await house.adopt(policy(talker, limited("budget: [{usd: 1, per: day}]")))
    async with calling(house) as client:
        await until(client, "session.created")
        for count in (1, 2, 3):
            await client.send(ASK)
            await until(client, "response.done")
            balances = await house.balances()
            assert [each.spent for name, each in balances.items() if ":usd/" in name] == [count * ONE]

    record = await house.only_record()
    assert record["session"]["responses"] == 3
    assert (record["input_tokens"], record["output_tokens"], record["cost_nano_usd"]) == (300, 30, 3 * ONE)
    assert house.account() == (3 * ONE, 0)


async def test_money_for_a_response_is_held_as_long_as_the_session_lasts(house: House, talker: Talker) -> None:
    await house.adopt(policy(talker, limited("budget: [{usd: 1, per: day}]")))
    async with calling(house) as client:
        await until(client, "session.created")
        (held,) = house.worker.budgets.held().values()
        assert held >= 4096 * 10_000 + 4096 * 20_000  # all of it audio

        await client.send(told("session.update", session={"instructions": "i" * 50_000}))
        await talker.heard.get()
        (more,) = house.worker.budgets.held().values()
        assert more >= held + 45_000 * 10_000

    await house.only_record()
    assert not house.worker.budgets.held()


async def test_tokens_are_priced_by_their_kind(house: House, talker: Talker) -> None:
    async def counts(connection: ServerConnection) -> None:
        await connection.recv()
        await talker.respond(
            connection,
            input_tokens=1000,
            output_tokens=100,
            input_token_details={"text_tokens": 200, "audio_tokens": 500, "cached_tokens": 300},
            output_token_details={"text_tokens": 40, "audio_tokens": 60},
        )
        await connection.wait_closed()

    talker.does = counts
    async with calling(house) as client:
        await client.send(ASK)
        await until(client, "response.done")

    record = await house.only_record()
    assert record["cost_nano_usd"] == 300 * 500 + 500 * 10_000 + 200 * 1000 + 60 * 20_000 + 40 * 2000
    assert (record["cached_tokens"], record["audio_tokens"]) == (300, 560)


async def test_a_budget_that_is_spent_in_mid_session_ends_it_and_says_which(house: House, talker: Talker) -> None:
    async def dear(connection: ServerConnection) -> None:
        async for _ in connection:
            await talker.respond(connection, input_tokens=150_000)

    talker.does = dear
    await house.adopt(policy(talker, limited("budget: [{usd: 0.2, per: day}]")))
    async with calling(house) as client:
        await client.send(ASK)
        await until(client, "response.done")
        error = (await until(client, "error"))["error"]
        assert (error["type"], error["code"]) == ("insufficient_quota", "budget_insufficient_for_request")
        assert "budget per day" in error["message"]
        assert await ended(client) == (1008, "budget_insufficient_for_request")

    assert await talker.closed.get() == 1001
    record = await house.only_record()
    assert (record["outcome"], record["status"]) == ("stopped_budget", 101)
    assert record["cost_nano_usd"] == 150_000 * 1000 + 10 * 2000
    assert record["session"]["closed_by"] == "gateway"
    budget = [stage for stage in record["stages"] if stage["name"] == "budget"]
    assert budget[-1]["result"] == "denied"


async def test_a_spent_budget_lets_nobody_in(house: House, talker: Talker) -> None:
    await house.adopt(policy(talker, limited("budget: [{usd: 0.0001, per: day}]")))

    with pytest.raises(InvalidStatus) as found:
        async with calling(house):
            pass

    assert found.value.response.status_code == 429
    assert talker.sessions == []
    assert (await house.only_record())["outcome"] == "rejected_budget"


async def test_what_a_message_may_cost_is_asked_before_it_is_passed_on(house: House, talker: Talker) -> None:
    await house.adopt(policy(talker, limited("budget: [{usd: 0.3, per: day}]")))
    async with calling(house) as client:
        await until(client, "session.created")
        await client.send(told("session.update", session={"instructions": "i" * 100_000}))

        assert (await ended(client))[0] == 1008

    assert talker.heard.empty()
    assert house.account() == (0, 0)


async def test_several_responses_at_once_are_each_held_for(house: House, talker: Talker) -> None:
    asked = asyncio.Event()

    async def slow(connection: ServerConnection) -> None:
        async for message in connection:
            talker.heard.put_nowait(message)
            if talker.heard.qsize() == 3:
                asked.set()
                for _ in range(3):
                    await talker.respond(connection)

    talker.does = slow
    await house.adopt(policy(talker, limited("budget: [{usd: 10, per: day}]")))
    async with calling(house) as client:
        (one,) = house.worker.budgets.held().values()
        for _ in range(3):
            await client.send(ASK)
        await asked.wait()
        (three,) = house.worker.budgets.held().values()
        assert three >= 3 * one
        for _ in range(3):
            await until(client, "response.done")

    assert (await house.only_record())["cost_nano_usd"] == 3 * ONE


async def test_a_session_has_so_many_responses_at_once(house: House, talker: Talker) -> None:
    async def silent(connection: ServerConnection) -> None:
        async for message in connection:
            talker.heard.put_nowait(message)

    talker.does = silent
    async with calling(house) as client:
        for _ in range(65):
            await client.send(ASK)
        error = (await until(client, "error"))["error"]

        assert (error["type"], error["code"]) == ("insufficient_quota", "too_many_responses")
        assert await ended(client) == (1008, "too_many_responses")

    assert talker.heard.qsize() == 64


async def test_a_response_that_the_provider_begins_by_itself_is_paid(house: House, talker: Talker) -> None:
    async def eager(connection: ServerConnection) -> None:
        for _ in range(3):
            await talker.respond(connection)
        await connection.wait_closed()

    talker.does = eager
    await house.adopt(policy(talker, limited("budget: [{usd: 10, per: day}]")))
    async with calling(house) as client:
        for _ in range(3):
            await until(client, "response.done")

    await house.only_record()
    assert [each.spent for name, each in (await house.balances()).items() if ":usd/" in name] == [3 * ONE]


async def test_a_response_that_was_refused_costs_nothing_and_its_money_waits_for_the_next(
    house: House, talker: Talker
) -> None:
    async def refuses(connection: ServerConnection) -> None:
        message = json.loads(await connection.recv())
        await connection.send(told("error", error={"code": "no", "event_id": message["event_id"]}))
        await connection.recv()
        await talker.respond(connection)
        await connection.wait_closed()

    talker.does = refuses
    await house.adopt(policy(talker, limited("budget: [{usd: 10, per: day}]")))
    async with calling(house) as client:
        held = dict(house.worker.budgets.held())
        await client.send(ASK)
        await until(client, "error")
        assert house.worker.budgets.held() == held
        await client.send(ASK)
        await until(client, "response.done")

    assert (await house.only_record())["cost_nano_usd"] == ONE


@pytest.mark.parametrize("who", ["client", "provider"])
async def test_a_response_that_is_cut_is_billed_by_our_own_count(house: House, talker: Talker, who: str) -> None:
    async def cut(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(told("response.created", response={"id": "r"}))
        await connection.send(told("response.output_text.delta", response_id="r", delta="word " * 40))
        await connection.send(told("response.output_audio.delta", response_id="r", delta="A" * 32_000))
        if who == "provider":
            connection.transport.abort()
        await connection.wait_closed()

    talker.does = cut
    await house.adopt(policy(talker, limited("budget: [{usd: 10, per: day}]")))
    async with calling(house) as client:
        await client.send(told("response.create", response={"instructions": "i" * 400}))
        await until(client, "response.output_audio.delta")
        if who == "client":
            client.transport.abort()
        await ended(client)

    record = await house.only_record()
    assert record["estimated"] is True
    assert record["output_tokens"] == 200 // 4 + 10
    assert 100 <= record["input_tokens"] <= 150
    assert house.account() == (record["cost_nano_usd"], 0)
    assert [each.spent for name, each in (await house.balances()).items() if ":usd/" in name] == [
        record["cost_nano_usd"]
    ]


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"type": "tokens", "input_tokens": 30, "output_tokens": 5, "total_tokens": 35}, (30, 5)),
        ({"type": "duration", "seconds": 2.05}, (21, 0)),
    ],
)
async def test_transcripts_are_paid_too(
    house: House, talker: Talker, usage: dict[str, Any], tokens: tuple[int, int]
) -> None:
    async def transcribes(connection: ServerConnection) -> None:
        await connection.send(told("conversation.item.input_audio_transcription.completed", usage=usage))
        await connection.wait_closed()

    talker.does = transcribes
    await house.adopt(policy(talker, limited("budget: [{tokens: 100k, per: day}]")))
    async with calling(house) as client:
        await until(client, "conversation.item.input_audio_transcription.completed")

    record = await house.only_record()
    assert (record["input_tokens"], record["output_tokens"]) == tokens
    assert [each.spent for name, each in (await house.balances()).items() if ":tokens/" in name] == [sum(tokens)]


async def test_a_transcript_that_is_not_there_at_the_end_is_billed_by_our_own_count(
    house: House, talker: Talker
) -> None:
    async def listens(connection: ServerConnection) -> None:
        transcribing = {"audio": {"input": {"transcription": {"model": "whisper"}}}}
        await connection.send(told("session.created", session=transcribing))
        for item in ("heard", "unheard"):
            await connection.recv()
            await connection.send(told("input_audio_buffer.committed", item_id=item))
        usage = {"type": "tokens", "input_tokens": 30, "output_tokens": 5}
        done = "conversation.item.input_audio_transcription.completed"
        await connection.send(told(done, item_id="heard", usage=usage))
        await connection.wait_closed()

    talker.does = listens
    await house.adopt(policy(talker, limited("budget: [{usd: 10, per: day}]")))
    async with calling(house) as client:
        await until(client, "session.created")
        for _ in range(2):
            await client.send(told("input_audio_buffer.append", audio="A" * 6400 * 30))
            await until(client, "input_audio_buffer.committed")
        await until(client, "conversation.item.input_audio_transcription.completed")

    record = await house.only_record()
    assert (record["input_tokens"], record["output_tokens"], record["estimated"]) == (30 + 30, 5 + 10, True)
    assert house.account() == (record["cost_nano_usd"], 0)


@pytest.mark.parametrize("name", ["max_output_tokens", "max_response_output_tokens"])
async def test_a_session_under_a_hard_budget_has_the_cap_that_was_held_for(
    house: House, talker: Talker, name: str
) -> None:
    async def lavish(connection: ServerConnection) -> None:
        await connection.send(told("session.created", session={name: "inf"}))
        async for message in connection:
            talker.heard.put_nowait(json.loads(message))

    async def heard() -> Any:
        async with asyncio.timeout(5):
            return await talker.heard.get()

    talker.does = lavish
    await house.adopt(policy(talker, limited("budget: [{usd: 10, per: day}]")))
    async with calling(house) as client:
        assert (await heard())["session"][name] == 4096
        await client.send(told("session.update", session={name: "inf", "voice": "x"}))
        assert (await heard())["session"] == {name: 4096, "voice": "x"}
        await client.send(told("session.update", session={name: 50}))
        assert (await heard())["session"] == {name: 50}
        await client.send(ASK)
        assert (await heard())["response"]["max_output_tokens"] <= 4096
        await client.send(told("response.create", response={"max_output_tokens": "inf"}))
        assert (await heard())["response"]["max_output_tokens"] <= 4096
        await client.send(told("response.create", response={"max_output_tokens": 60}))
        assert (await heard())["response"] == {"max_output_tokens": 60}


async def test_without_a_hard_budget_a_session_is_passed_on_as_it_is(house: House, talker: Talker) -> None:
    async def lavish(connection: ServerConnection) -> None:
        await connection.send(told("session.created", session={"max_output_tokens": "inf"}))
        async for message in connection:
            talker.heard.put_nowait(message)

    talker.does = lavish
    await house.adopt(policy(talker, limited("budget: [{usd: 10, per: day, mode: soft}]")))
    async with calling(house) as client:
        await until(client, "session.created")
        await client.send(ASK)

        assert await talker.heard.get() == ASK


async def test_sessions_under_way_count_as_calls_under_way(house: House, talker: Talker) -> None:
    await house.adopt(policy(talker, limited("rate: {concurrent: 1}")))
    async with calling(house) as client:
        await until(client, "session.created")
        with pytest.raises(InvalidStatus) as found:
            async with calling(house):
                pass
        assert found.value.response.status_code == 429

    await talker.closed.get()
    while house.account()[1]:
        await asyncio.sleep(0.01)
    async with calling(house) as client:
        await until(client, "session.created")


async def test_a_fallback_is_held_for_at_its_own_price(house: House, talker: Talker) -> None:
    talker.refuses = 500
    models = "  dear: {use: demo/dear, price: {in: 100, out: 200}}\n"
    models += "  two: {use: talker/a, price: {in: 1, out: 2}, fallback: [dear]}\n"
    await house.adopt(policy(talker, models + limited("budget: [{usd: 0.2, per: day}]")))

    with pytest.raises(InvalidStatus) as found:
        async with calling(house, "two"):
            pass

    assert found.value.response.status_code == 429
    assert [each["deployment"] for each in (await house.only_record())["attempts"]] == ["talker/a"]
    assert not house.worker.budgets.held()


async def test_what_both_sides_cause_at_once_is_held_and_paid_once(house: House, talker: Talker) -> None:
    """Messages that make the next response dearer, while responses begin and end."""

    async def busy(connection: ServerConnection) -> None:
        async for message in connection:
            if json.loads(message)["type"] == "response.create":
                await talker.respond(connection)

    talker.does = busy
    await house.adopt(policy(talker, limited("budget: [{usd: 100, per: day}]")))
    async with calling(house) as client:
        for _ in range(40):
            await client.send(ASK)
            await client.send(told("session.update", session={"instructions": "i" * 5_000}))
        for _ in range(40):
            await until(client, "response.done")

    assert (await house.only_record())["cost_nano_usd"] == 40 * ONE
    assert [each.spent for name, each in (await house.balances()).items() if ":usd/" in name] == [40 * ONE]
