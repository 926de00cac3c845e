"""Who is let in, and how whoever is not is told: with a status, before there is a WebSocket."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.conftest import House
from tests.flow.raw import connected
from tests.realtime.talker import ASK, KEY, Talker, calling, policy, until

KEY_LINE = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\n"


async def refused(house: House, model: str = "live", **options: Any) -> tuple[int, Any]:
    """The status and the error of a handshake that failed."""
    with pytest.raises(InvalidStatus) as found:
        async with calling(house, model, **options):
            pass
    response = found.value.response
    return response.status_code, json.loads(response.body or b"{}")["error"]


async def answer(house: House, lines: str, *, target: str = "/v1/realtime?model=live") -> tuple[int, Any]:
    async with connected(house) as client:
        head = f"GET {target} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {house.key}\r\n{lines}\r\n"
        client.writer.write(head.encode())
        status, body = await client.answer()
        return status, json.loads(body)["error"]


@pytest.mark.parametrize(
    ("lines", "status", "code"),
    [
        ("", 426, "upgrade_required"),
        (f"Connection: Upgrade\r\nUpgrade: h2c\r\n{KEY_LINE}", 426, "upgrade_required"),
        (UPGRADE + KEY_LINE + "Sec-WebSocket-Version: 8\r\n", 426, "upgrade_required"),
        (UPGRADE + "Sec-WebSocket-Version: 13\r\n", 400, "bad_handshake"),
        (UPGRADE + "Sec-WebSocket-Key: c2hvcnQ=\r\nSec-WebSocket-Version: 13\r\n", 400, "bad_handshake"),
        (UPGRADE + "Sec-WebSocket-Key: ????\r\nSec-WebSocket-Version: 13\r\n", 400, "bad_handshake"),
        (UPGRADE + KEY_LINE + "Sec-WebSocket-Version: 13\r\nContent-Length: 5\r\n", 400, "bad_http"),
    ],
)
async def test_a_handshake_that_is_none(house: House, talker: Talker, lines: str, status: int, code: str) -> None:
    found, error = await answer(house, lines)

    assert (found, error["code"]) == (status, code)
    assert talker.sessions == []


async def test_a_plain_get_is_told_what_would_be_spoken_here(house: House) -> None:
    async with httpx.AsyncClient() as client:
        plain = await client.get(
            f"{house.url}/v1/realtime?model=demo", headers={"authorization": f"Bearer {house.key}"}
        )
        wrong = await client.post(f"{house.url}/v1/realtime?model=demo")

    assert (plain.status_code, plain.headers["upgrade"]) == (426, "websocket")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET")


async def test_elsewhere_nothing_becomes_a_websocket(house: House) -> None:
    async with connected(house) as client:
        head = f"GET /v1/models HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {house.key}\r\n{UPGRADE}{KEY_LINE}"
        client.writer.write(f"{head}Sec-WebSocket-Version: 13\r\n\r\n".encode())

        assert (await client.answer())[0] == 200


@pytest.mark.parametrize(
    ("model", "options", "status", "code"),
    [
        ("live", {"key": "sk-llmgw-nobody"}, 401, "invalid_api_key"),
        ("live", {"key": ""}, 401, "invalid_api_key"),
        ("nothing", {}, 404, "model_not_found"),
        ("", {}, 400, "missing_required_parameter"),
        ("live&model=demo", {}, 400, "missing_required_parameter"),
        ("live&call_id=rtc_1", {}, 400, "unknown_parameter"),
    ],
)
async def test_who_may_not_is_told_by_status(
    house: House, talker: Talker, model: str, options: dict[str, Any], status: int, code: str
) -> None:
    found, error = await refused(house, model, **options)

    assert (found, error["code"]) == (status, code)
    assert talker.sessions == []
    assert (await house.only_record())["status"] == status


@pytest.mark.parametrize(("theirs", "ours"), [(401, 502), (429, 429), (500, 502), (400, 400), (404, 404)])
async def test_a_provider_that_does_not_let_us_in(house: House, talker: Talker, theirs: int, ours: int) -> None:
    talker.refuses = theirs

    status, _ = await refused(house)

    record = await house.only_record()
    assert (status, record["status"]) == (ours, ours)
    assert [attempt["status"] for attempt in record["attempts"]] == [theirs]
    assert house.account() == (0, 0)


async def test_another_provider_answers_where_the_first_does_not(house: House, talker: Talker) -> None:
    talker.refuses = 500
    await house.adopt(policy(talker, "  both: {use: talker/gpt-realtime, fallback: [demo], price: {in: 1, out: 2}}"))

    async with calling(house, "both") as client:
        assert (await until(client, "session.created"))["session"]["model"] == "demo"

    record = await house.only_record()
    assert [(each["provider"], each["reason"]) for each in record["attempts"]] == [
        ("talker", "primary"),
        ("demo", "fallback"),
    ]


async def test_the_provider_sees_its_own_key_and_model_and_nothing_of_the_client_s(
    house: House, talker: Talker
) -> None:
    await house.adopt(policy(talker, "  mine: {use: talker/gpt-realtime, price: {in: 1, out: 2}}"))
    headers = {"OpenAI-Beta": "realtime=v1", "Cookie": "c=1", "X-Private": "p"}

    async with calling(house, "mine", headers=headers) as client:
        await until(client, "session.created")

    request = talker.sessions[0].request
    assert request is not None
    sent = {name.lower(): value for name, value in request.headers.raw_items()}
    assert request.path == "/v1/realtime?model=gpt-realtime"
    assert sent["authorization"] == f"Bearer {KEY}"
    assert sent["openai-beta"] == "realtime=v1"
    assert house.key not in str(sent)
    assert not {"cookie", "x-private"} & set(sent)


async def test_a_browser_s_key_among_its_protocols_lets_it_in_and_goes_no_further(house: House, talker: Talker) -> None:
    offered: Any = ["realtime", f"openai-insecure-api-key.{house.key}", "openai-beta.realtime-v1"]

    async with calling(house, key="", subprotocols=offered) as client:
        await client.send(ASK)
        await until(client, "response.done")
        assert client.subprotocol == "realtime"
        assert client.response is not None
        assert house.key not in str(client.response.headers)

    request = talker.sessions[0].request
    assert request is not None
    assert house.key not in str(request.headers)
    assert request.headers["openai-beta"] == "realtime=v1"
    assert house.key not in json.dumps(dict(await house.only_record()))


async def test_what_is_known_of_the_session_is_in_the_answer_s_headers(house: House, talker: Talker) -> None:
    async with calling(house) as client:
        assert client.response is not None
        headers = client.response.headers
        assert (headers["x-llmgw-provider"], headers["x-llmgw-model"]) == ("talker", "talker/gpt-realtime")
        assert headers["x-request-id"]
        assert headers["traceresponse"]


async def test_a_model_that_holds_no_sessions_is_told(house: House, talker: Talker) -> None:
    address = f"http://127.0.0.1:{talker.port}"
    silent = """
  deaf: {use: deaf/claude, price: {in: 1, out: 2}}
"""
    provider = f"  deaf: {{dialect: anthropic, base_url: {address}, key: k, allow_private: true}}\nmodels:"
    await house.adopt(policy(talker, silent).replace("models:", provider, 1))

    status, error = await refused(house, "deaf")

    assert (status, error["code"], error["param"]) == (400, "model_not_realtime", "model")
    assert talker.sessions == []


async def test_a_session_that_asks_for_a_template_is_not_begun_without_one(house: House, talker: Talker) -> None:
    status, error = await refused(house, headers={"x-llmgw-template": "support"})

    assert (status, error["code"]) == (400, "template_unsupported")
    assert talker.sessions == []
