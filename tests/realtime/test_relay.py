"""What either side says reaches the other as it was said, and how one side ends is told to the other."""

from __future__ import annotations

import asyncio
import json

import pytest
from websockets.asyncio.server import ServerConnection

from tests.conftest import House
from tests.realtime.talker import ASK, Talker, calling, ended, told, until

ODD = '{ "type":"x.odd" , "n":1E2,"s":"\\u00e9 ü \\ud83d\\ude00","a":[1.0,-0],"deep":{"usage":null}}'


async def test_messages_reach_the_other_side_byte_for_byte(house: House, talker: Talker) -> None:
    async def odd(connection: ServerConnection) -> None:
        talker.heard.put_nowait(await connection.recv())
        await connection.send(ODD)
        await connection.wait_closed()

    talker.does = odd
    async with calling(house) as client:
        await client.send(ODD)

        assert await client.recv() == ODD
        assert await talker.heard.get() == ODD


async def test_a_message_in_pieces_is_one_message(house: House, talker: Talker) -> None:
    async with calling(house) as client:
        await until(client, "session.created")
        await client.send([ODD[:5], ODD[5:9], "", ODD[9:]])

        assert await talker.heard.get() == ODD


async def test_large_messages_pass(house: House, talker: Talker) -> None:
    large = told("input_audio_buffer.append", audio="A" * 5_000_000)
    async with calling(house) as client:
        await client.send(large)

        assert await talker.heard.get() == large


async def test_the_gateway_itself_answers_pings(house: House, talker: Talker) -> None:
    async with calling(house) as client:
        await asyncio.wait_for(await client.ping(), 5)


async def test_what_is_no_event_is_answered_and_not_passed_on(house: House, talker: Talker) -> None:
    async with calling(house) as client:
        for wrong in ("[]", "no json", '{"type": 5}', '{"event_id": "mine"}'):
            await client.send(wrong)
            error = (await until(client, "error"))["error"]
            assert error["type"] == "invalid_request_error"
        assert error["event_id"] == "mine"
        await client.send(ODD)

        assert await talker.heard.get() == ODD


@pytest.mark.parametrize("place", ["session", "response"])
async def test_a_session_keeps_its_model(house: House, talker: Talker, place: str) -> None:
    kind = {"session": "session.update", "response": "response.create"}[place]
    async with calling(house) as client:
        await client.send(told(kind, **{place: {"model": "gpt-5-realtime-dear"}}))
        error = (await until(client, "error"))["error"]
        assert (error["code"], error["param"]) == ("model_not_allowed", f"{place}.model")
        await client.send(told(kind, **{place: {"model": "live", "x": 1}}))
        await client.send(told(kind, **{place: {"model": "gpt-realtime"}}))

        heard = [json.loads(await talker.heard.get())[place] for _ in range(2)]
        assert heard == [{"model": "gpt-realtime", "x": 1}, {"model": "gpt-realtime"}]


@pytest.mark.parametrize(("code", "passed"), [(1000, 1000), (1001, 1001), (1008, 1008), (3000, 3000), (4001, 4001)])
async def test_a_provider_s_goodbye_is_told_to_the_client(house: House, talker: Talker, code: int, passed: int) -> None:
    async def leave(connection: ServerConnection) -> None:
        await connection.send(ODD)
        await connection.close(code, "enough")

    talker.does = leave
    async with calling(house) as client:
        assert await client.recv() == ODD
        assert await ended(client) == (passed, "enough")

    record = await house.only_record()
    assert record["session"] == {"closed_by": "provider", "close_code": code, "responses": 0}
    assert record["outcome"] == ("upstream" if code <= 1001 else "upstream_error")


async def test_a_provider_that_is_lost_is_a_failure(house: House, talker: Talker) -> None:
    async def die(connection: ServerConnection) -> None:
        await connection.recv()
        connection.transport.abort()

    talker.does = die
    async with calling(house) as client:
        await client.send(ODD)
        assert (await ended(client))[0] == 1011

    record = await house.only_record()
    assert (record["status"], record["error_code"], record["failed_in"]) == (502, "upstream_truncated", "upstream")
    assert record["attempts"][0]["error"] == "upstream_truncated"
    assert record["session"]["close_code"] == 1006


@pytest.mark.parametrize(("code", "passed"), [(1000, 1000), (4000, 4000)])
async def test_a_client_s_goodbye_is_told_to_the_provider(house: House, talker: Talker, code: int, passed: int) -> None:
    async with calling(house) as client:
        await until(client, "session.created")
        await client.close(code, "bye")

    assert await talker.closed.get() == passed
    record = await house.only_record()
    assert record["session"] == {"closed_by": "client", "close_code": code, "responses": 0}
    assert (record["outcome"], record["status"]) == ("upstream", 101)


async def test_a_client_that_is_lost_leaves_no_provider_talking(house: House, talker: Talker) -> None:
    client = await calling(house)
    await until(client, "session.created")
    client.transport.abort()

    assert await talker.closed.get() == 1001
    record = await house.only_record()
    assert (record["outcome"], record["session"]["close_code"]) == ("client_abort", 1006)


async def test_a_client_that_leaves_while_the_provider_is_dialled_leaves_nothing(house: House, talker: Talker) -> None:
    await house.adopt(
        "providers: {mute: {dialect: openai, base_url: 'http://127.0.0.1:9/v1', key: sk-x-canary, allow_private: true}}\n"
        "models: {mute: {use: mute/x, price: {in: 1, out: 2}}}"
    )
    arrived = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await house.adopt(
        f"providers: {{mute: {{dialect: openai, base_url: 'http://127.0.0.1:{port}/v1', key: sk-x-canary,"
        " allow_private: true}}\nmodels: {mute: {use: mute/x, price: {in: 1, out: 2}}}"
    )
    dialling = asyncio.create_task(calling(house, "mute").__aenter__())
    await asyncio.wait_for(arrived.wait(), 5)
    dialling.cancel()

    record = await house.only_record()
    assert record["outcome"] == "client_abort"
    assert house.account() == (0, 0)
    server.close()
    await server.wait_closed()


async def test_a_provider_is_not_read_faster_than_the_client_listens(house: House, talker: Talker) -> None:
    piece, sent = told("x.piece", text="A" * 1_000_000), 0

    async def flood(connection: ServerConnection) -> None:
        nonlocal sent
        for _ in range(200):
            await connection.send(piece)
            sent += 1
        await connection.close()

    talker.does = flood
    async with calling(house, max_queue=1) as client:
        before = -1
        while before != sent or sent == 0:
            before = sent
            await asyncio.sleep(0.3)
        assert sent < 100

        received = 0
        async for _ in client:
            received += 1
    assert received == 200


async def test_a_client_is_not_read_faster_than_the_provider_listens(house: House, talker: Talker) -> None:
    listens, piece, sent = asyncio.Event(), told("input_audio_buffer.append", audio="A" * 1_000_000), 0

    async def deaf(connection: ServerConnection) -> None:
        await listens.wait()
        async for message in connection:
            talker.heard.put_nowait(message)

    async def speak() -> None:
        nonlocal sent
        for _ in range(200):
            await client.send(piece)
            sent += 1

    talker.does = deaf
    async with calling(house) as client:
        speaking = asyncio.create_task(speak())
        before = -1
        while before != sent or sent == 0:
            before = sent
            await asyncio.sleep(0.3)
        assert sent < 100
        listens.set()
        await speaking

    await talker.closed.get()
    assert talker.heard.qsize() == 200


async def test_sessions_do_not_hear_each_other(house: House, talker: Talker) -> None:
    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async def talk(number: int) -> list[str]:
        mine = [told("x.echo", text=f"{number}-{turn}") for turn in range(50)]
        async with calling(house) as client:
            heard = []
            for message in mine:
                await client.send(message)
                heard.append(str(await client.recv()))
        assert heard == mine
        return heard

    talker.does = echo
    await asyncio.gather(*(talk(number) for number in range(10)))

    assert len(await house.records()) == 10


async def test_a_reload_changes_nothing_for_a_session_under_way(house: House, talker: Talker) -> None:
    async with calling(house) as client:
        await until(client, "session.created")
        await house.adopt("models: {other: {use: demo/demo}}")
        await client.send(ASK)
        await until(client, "response.done")

    assert (await house.only_record())["cost_nano_usd"] == 100 * 1000 + 10 * 2000


async def test_a_gateway_that_goes_says_so(house: House, talker: Talker) -> None:
    async with calling(house) as client:
        await until(client, "session.created")
        await client.send(ASK)
        await until(client, "response.done")
        draining = asyncio.create_task(house.worker.server.drain(5))

        assert await ended(client) == (1001, "the gateway is shutting down")
        await draining

    assert await talker.closed.get() == 1001
    record = await house.only_record()
    assert (record["outcome"], record["cost_nano_usd"]) == ("overloaded", 120_000)
    assert record["session"] == {"closed_by": "gateway", "close_code": 1001, "responses": 1}


async def test_a_session_that_nobody_speaks_in_ends(house: House, talker: Talker) -> None:
    await house.adopt(
        f"realtime: {{idle: 300ms}}\n{(house.policies / 'more.yaml').read_text().partition('version: 1')[2]}"
    )
    async with calling(house) as client:
        assert (await until(client, "error"))["error"]["code"] == "session_idle"
        assert await ended(client) == (1001, "session_idle")

    assert (await house.only_record())["session"]["closed_by"] == "gateway"


async def test_a_session_ends_when_its_time_is_over(house: House, talker: Talker) -> None:
    async def chatter(connection: ServerConnection) -> None:
        while True:
            await connection.send(ODD)
            await asyncio.sleep(0.02)

    talker.does = chatter
    await house.adopt(
        f"realtime: {{longest: 500ms}}\n{(house.policies / 'more.yaml').read_text().partition('version: 1')[2]}"
    )
    async with calling(house) as client:
        assert (await until(client, "error"))["error"]["code"] == "session_expired"
        assert await ended(client) == (1001, "session_expired")
