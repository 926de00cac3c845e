"""No secret of anybody is ever shown: not to callers, not to admins, not in logs, records, files, metrics or telemetry.

A virtual key stands in the answer that creates it and nowhere else; the ready-made one is printed once for pasting.
"""

from __future__ import annotations

import asyncio
import base64
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from gateway.auth.virtual_key import mint
from gateway.auth.wanted import Wanted
from gateway.core.secret import Secret
from gateway.store.contract import OpenError
from gateway.store.redis.connect import SCHEMES, connect
from tests.faults.chaosprov import Chaosprov
from tests.faults.steps import CUT, HANG, Event, Finish, Json, Say, Status, Step, Usage
from tests.faults.toxi import Clean, Refuse, Toxi
from tests.redis_server import RedisServer, redis_server
from tests.secrets.canaries import Canaries
from tests.secrets.house import CREDENTIALS, House, ready_made, serving

STORES = ("embedded", "redis")


@asynccontextmanager
async def gateway(
    folder: Path, provider: Chaosprov, store: str
) -> AsyncIterator[tuple[House, tuple[RedisServer, Toxi] | None]]:
    """A gateway on this store, and the Redis, with what stands before it."""
    canaries = Canaries()
    if store == "embedded":
        async with serving(folder, canaries, provider, "embedded") as house:
            yield house, None
        return
    with redis_server(save=True) as redis:
        password = canaries.make("Redis password")
        assert redis.send("CONFIG", "SET", "requirepass", password) == b"+OK\r\n"
        async with Toxi(upstream=("127.0.0.1", redis.port)) as between:
            url = f"redis://:{quote(password, safe='')}@127.0.0.1:{between.port}/0"
            async with serving(folder, canaries, provider, url) as house:
                yield house, (redis, between)


def echoes(secret: Mapping[str, str]) -> dict[str, tuple[Step, ...]]:
    """Answers of a provider that says back what it was sent."""
    key, extra, token, query = (secret[name] for name in CREDENTIALS)
    said = f"bad key {key}, {extra}, authorization: Bearer {key}, x-token: Token {token}, {token}, /v1?key={query}"
    said += f" {quote(query, safe='')} {quote(key, safe='')}"
    error = {"message": said, "param": said, "code": said, "type": said}
    headers = tuple((name, each) for each in (key, extra, token, query) for name in ("x-request-id", "openai-version"))
    return {
        "400": (Json({"error": error}, status=400, headers=headers),),
        "400 as text": (Status(400, said.encode(), headers),),
        "400 as a string": (Json({"error": said}, status=400),),
        "400 cut within a key": (Json({"error": {"message": "x" * 2040 + key}}, status=400),),
        "401": (Json({"error": error}, status=401, headers=(("www-authenticate", said),)),),
        "404": (Json({"error": {"message": f"no such route: {said}"}}, status=404),),
        "422": (Json({"detail": [{"loc": ["header"], "msg": said, "input": key}]}, status=422),),
        "429": (Json({"error": error}, status=429, headers=(("retry-after", "1"), ("x-key", key))),),
        "500": (Json({"error": error}, status=500),),
        "302": (Status(302, b"", (("location", f"https://example.com/?key={query}&k={key}"),)),),
        "no JSON": (Status(200, said.encode(), headers),),
        "an id": (
            Json({"choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}]}, headers=headers),
        ),
        "in mid-stream": (Say("Hel"), Event({"error": error})),
        "at a stream's beginning": (Event({"error": error}),),
        "a broken line": (Say("Hel"), Event(said)),
        "cut": (Say("Hel"), CUT),
        "silent": (HANG,),
    }


async def is_answered(house: House, provider: Chaosprov) -> None:
    secret = house.canaries.secret
    await house.gets(200, body={"max_tokens": 5})
    provider.will(Say("Hello"), Finish(), Usage(9, 800))
    await house.gets(200, body={"stream": True, "stream_options": {"include_usage": True}, "user": "u"})
    for _ in range(2):
        await house.gets(200, body={"model": "literal"}, headers={"idempotency-key": "1"})
    sent = {(call.header("authorization"), call.header("api-key"), call.path) for call in provider.calls}
    query = f"/v1/chat/completions?api-version=1&key={secret['provider query']}"
    assert sent == {
        (f"Bearer {secret['provider key']}", None, query),
        (None, secret["literal key"], "/v1/chat/completions"),
    }


async def is_failed(house: House, provider: Chaosprov) -> None:
    """By the provider, in every way, and each time by a deployment of its own, so that none rests."""
    for number, steps in enumerate(echoes(house.canaries.secret).values()):
        for stream in (False, True):
            provider.will(*steps)
            await house.ask(body={"model": f"fault/{number}-{stream}", "stream": stream})


async def is_refused(house: House) -> None:
    text = mint(Wanted(name="stranger"), Secret("another pepper altogether"), now=0)[1].reveal()
    house.remember("a stranger's virtual key", text)
    revoked = await house.create_key("a revoked key")
    while (await house.admin("DELETE", f"/admin/v1/keys/{revoked['id']}")).status_code not in (204, 404):
        await asyncio.sleep(0.05)
    for key in (revoked["key"], text, f"{house.key}x", house.canaries.secret["admin key"]):
        await house.gets(401, key=key)
    for key in (house.key, text):
        await house.ask(f"/v1/chat/completions?api_key={key}&key={key}")
        await house.ask(f"/v1/{key}")
        await house.ask(headers={"authorization": "", "x-api-key": key, "api-key": key})
        await house.ask(headers={"authorization": f"Basic {base64.b64encode(key.encode()).decode()}"})
        await house.ask(headers={"x_broken": key})
        await house.ask(json=None, content=b"{")
        await house.ask(body={"max_tokens": "many"})
        await raw(house, b"GET /v1/models?key=%b HTTP/1.1\r\nbroken %b\r\n\r\n" % (key.encode(), key.encode()))
    await house.gets(429, body={"max_tokens": 40_000, "n": 3})


async def is_left(house: House, provider: Chaosprov) -> None:
    """By a client in mid-answer."""
    provider.will(Say("Hel"), HANG)
    body = {"model": "ok", "stream": True, "messages": [{"role": "user", "content": "Say hello"}]}
    async with (
        httpx.AsyncClient(timeout=10, headers={"authorization": f"Bearer {house.key}"}) as client,
        client.stream("POST", f"{house.url}/v1/chat/completions", json=body) as answer,
    ):
        async for _ in answer.aiter_bytes():
            break


async def is_asked_by_admins(house: House) -> None:
    admin = house.canaries.secret["admin key"]
    for shown in ("wrong", f"{admin}x", admin[:-1], house.key):
        refused = await house.admin("GET", "/admin/v1/keys", headers={"authorization": f"Bearer {shown}"})
        assert refused.status_code in (401, 404)
    await house.admin("GET", f"/admin/v1/calls?key={admin}")
    await house.admin("GET", f"/admin/v1/calls/{house.key}")
    await house.admin("DELETE", f"/admin/v1/keys/{house.key}")
    await house.admin("POST", "/admin/v1/keys", json={"name": "x", "secret": admin})


async def is_given_bad_policies(house: House) -> None:
    """Mistakes beside secrets: `!` makes a tag of one, a missing quote a syntax error, a typo an unknown key."""
    good, secret = house.policy.read_text(), house.canaries.secret
    lines = {
        "unknown key": f'typo: {{dialect: openai, base_url: https://example.com/v1, keyy: "{secret["literal key"]}"}}',
        "query in URL": f'typo: {{dialect: openai, base_url: "https://example.com/v1?key={secret["literal key"]}"}}',
        "user in URL": f'typo: {{dialect: openai, base_url: "https://u:{secret["literal key"]}@example.com/v1"}}',
        "bad URL": f'typo: {{dialect: openai, base_url: "{secret["literal key"]}"}}',
        "space": f'typo: {{dialect: openai, base_url: https://example.com/v1, key: "{secret["literal key"]} x"}}',
        "tag": f"typo: {{dialect: openai, base_url: https://example.com/v1, key: !{secret['literal key'][:20]} }}",
        "alias": f"typo: {{dialect: openai, base_url: https://example.com/v1, key: *{secret['literal key'][:20]}}}",
        "kind": f"typo: {{dialect: openai, base_url: https://example.com/v1, headers: {secret['literal key']}}}",
        "choice": f"typo: {{dialect: openai, base_url: https://example.com/v1, auth: {secret['literal key']}}}",
        "truth": f"typo: {{dialect: openai, base_url: https://example.com/v1, allow_private: {secret['literal key']}}}",
        "syntax": f'typo: {{dialect: openai, key: "{secret["literal key"]}',
        "variable": "typo: {dialect: openai, base_url: https://example.com/v1, auth: '${CANARY_KEY}'}",
        "variable in URL": "typo: {dialect: openai, base_url: '${CANARY_KEY}'}",
        "variable elsewhere": "typo: {dialect: '${CANARY_KEY}', base_url: https://example.com/v1}",
    }
    for line in lines.values():
        broken = good.replace("providers:\n", f"providers:\n  {line}\n")
        house.policy.write_text(broken)
        told = await house.admin("POST", "/admin/v1/policies:reload")
        assert told.json()["last_error"], line
        await house.admin("POST", "/admin/v1/policies:validate", json={"files": {"a.yaml": broken}})
    elsewhere = good.replace("allow_private: true}\n", "allow_private: '${CANARY_HOOK_HEADER}'}\n")
    house.policy.write_text(elsewhere.replace("tokens: 50k", "tokens: '${CANARY_KEY}'"))
    house.end(signal.SIGHUP)
    await house.admin("POST", "/admin/v1/policies:reload")
    house.policy.write_text(good)
    assert (await house.admin("POST", "/admin/v1/policies:reload")).json()["last_error"] is None


async def is_without_its_store(house: House, between: Toxi) -> None:
    between.toxic = Refuse()
    await house.gets(503, headers={"idempotency-key": "2"})
    await house.gets(401, key=house.key[:-1])
    await house.told_of(b"the store is away")
    await house.admin("GET", "/admin/v1/keys")
    between.toxic = Clean()
    await between.settle()
    while (await house.admin("GET", "/admin/v1/keys")).status_code != 200:
        await asyncio.sleep(0.05)


async def is_looked_at(house: House) -> None:
    """Every GET there is, and each call's own page."""
    described = (await house.admin("GET", "/admin/v1/openapi.json")).json()
    for path, methods in described["paths"].items():
        if "get" in methods and "{" not in path and not path.endswith(":tail"):
            await house.admin("GET", path if path.startswith("/") else f"/admin/v1/{path}")
    calls = (await house.admin("GET", "/admin/v1/calls?limit=1000")).json()["calls"]
    assert len(calls) > 40
    for call in calls:
        assert (await house.admin("GET", f"/admin/v1/calls/{call['id']}")).status_code == 200
    for accepted in ("text/plain", "application/openmetrics-text;version=1.0.0"):
        while (await house.admin("GET", "/metrics", headers={"accept": accepted})).status_code != 200:
            await asyncio.sleep(0.05)


async def raw(house: House, data: bytes) -> None:
    """What HTTP libraries would not send."""
    host, port = house.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    house.seen[f"raw #{len(house.seen)}"] = await asyncio.wait_for(reader.read(), 5)
    writer.close()


@pytest.mark.parametrize("store", STORES)
async def test_no_secret_is_ever_shown(tmp_path: Path, provider: Chaosprov, store: str) -> None:
    async with asyncio.timeout(120), gateway(tmp_path, provider, store) as (house, shared):
        if store == "embedded":
            house.key = ready_made(house)
            house.remember("ready-made key", house.key)
        else:
            house.key = (await house.create_key("virtual key"))["key"]

        await is_answered(house, provider)
        await is_failed(house, provider)
        await is_left(house, provider)
        await is_refused(house)
        await is_asked_by_admins(house)
        await is_given_bad_policies(house)
        if shared is not None:
            await is_without_its_store(house, shared[1])
        await is_looked_at(house)
        await house.told_of(b"a webhook was not delivered")
        house.end(signal.SIGABRT)
        assert await house.process.wait() == -signal.SIGABRT

        assert house.canaries.secret["webhook header"] in "".join(house.hook.heads)
        assert b"Fatal Python error: Aborted" in house.told()["stderr"]
        printed = house.told()
        printed["stdout"] = printed["stdout"].replace(f"OPENAI_API_KEY={house.key}\n".encode(), b"")
        everywhere = {**house.seen, **printed, **house.left()}
        everywhere |= {f"webhook's body {n}": body for n, body in enumerate(house.hook.bodies)}
        everywhere |= {f"telemetry {n}": body for n, body in enumerate(house.collector.bodies)}
        everywhere["redis"] = shared[0].kept() if shared else b""
        assert shared is None or b"llmgw:" in everywhere["redis"]
        found = house.canaries.found_in(everywhere)
        assert not found, "\n".join(found)


@pytest.mark.parametrize("rest", ["@127.0.0.1:1/0?db=x", "/x@127.0.0.1:1/0", "#x@127.0.0.1:1/0", "[x@127.0.0.1:1/0"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_store_s_url_that_is_none_is_not_repeated(scheme: str, rest: str) -> None:
    canaries = Canaries()
    password = canaries.make("password")[:20]

    try:
        told = repr(connect(f"{scheme}://:{password}{rest}"))
    except OpenError as error:
        told = str(error)

    assert canaries.found_in({"what is told": told.encode()}) == []


async def test_a_canary_that_is_somewhere_is_found() -> None:
    canaries = Canaries()
    secret = canaries.make("key")

    for disguise in (
        secret.encode(),
        quote(secret, safe="").encode(),
        secret[::-1].encode(),
        secret[:12].encode(),
        base64.b64encode(secret.encode()),
        base64.b64encode(b"Bearer " + secret.encode()),
        base64.b64encode(b"user:" + secret.encode() + b"@host"),
    ):
        assert canaries.found_in({"here": b"before " + disguise + b" after"}) != [], disguise
    assert canaries.found_in({"here": secret[1:12].encode()}) == []
