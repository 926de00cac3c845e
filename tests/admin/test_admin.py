"""The admin API of a running gateway, as an admin's script sees it."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest

from gateway.core.errors import Overloaded
from gateway.store.contract import Store
from tests.admin.conftest import call, created, refused
from tests.conftest import House

MISTAKE = "version: 1\nproviders:\n  demo: {dialekt: demo}\n"


async def raw(house: House, sent: bytes) -> bytes:
    """The first bytes of the reply to these bytes."""
    assert house.worker.admin_url is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", int(house.worker.admin_url.rpartition(":")[2]))
    writer.write(sent)
    reply = await reader.read(4096)
    writer.close()
    await writer.wait_closed()
    return reply


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_anyone_may_ask_whether_it_is_well(stranger: aiohttp.ClientSession, path: str) -> None:
    async with stranger.get(path) as reply:
        assert reply.status == 200
        assert "x-request-id" in reply.headers


@pytest.mark.parametrize("shown", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic abc", "Bearer é"])
async def test_without_the_admin_key_nobody_enters(stranger: aiohttp.ClientSession, shown: str) -> None:
    async with stranger.get("/admin/v1/keys", headers={"authorization": shown} if shown else {}) as reply:
        assert await refused(reply) == (401, "invalid_api_key")
        assert reply.headers["www-authenticate"] == "Bearer"


async def test_a_credential_that_is_no_text_is_as_wrong_as_any_other(house: House) -> None:
    reply = await raw(house, b"GET /admin/v1/keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n")

    assert reply.startswith(b"HTTP/1.1 401")


async def test_a_virtual_key_finds_nothing_here(house: House, stranger: aiohttp.ClientSession) -> None:
    for path in ("/admin/v1/keys", "/admin/v1/policies", "/admin/v1/calls"):
        async with stranger.get(path, headers={"authorization": f"Bearer {house.key}"}) as reply:
            assert await refused(reply) == (404, "not_found")


async def test_the_admin_key_makes_no_calls(house: House) -> None:
    assert house.worker.admin_key is not None

    reply = await call(house, house.worker.admin_key.reveal())

    assert await refused(reply) == (403, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200),
        ("GET", "/admin/v1/keys", 200),
        ("POST", "/admin/v1/keys", 201),
        ("GET", "/admin/v1/nothing", 404),
        ("PUT", "/admin/v1/keys", 405),
    ],
)
async def test_nothing_is_cached_or_taken_for_what_it_is_not(
    admin: aiohttp.ClientSession, method: str, path: str, status: int
) -> None:
    async with admin.request(method, path) as reply:
        assert reply.status == status
        assert (reply.headers["x-content-type-options"], reply.headers["cache-control"]) == ("nosniff", "no-store")


async def test_a_created_key_works_at_once_and_is_shown_only_then(house: House, admin: aiohttp.ClientSession) -> None:
    key = await created(admin, name="ci", tenant="acme/search", models=["demo"], expires="30d")

    assert (await call(house, key["key"])).status == 200
    async with admin.get("/admin/v1/keys") as reply:
        text = await reply.text()
        listed = (await reply.json())["keys"]
    assert key["key"] not in text
    assert listed == [{name: value for name, value in key.items() if name != "key"}]
    assert (key["name"], key["tenant"], key["models"], key["state"]) == ("ci", "acme/search", ["demo"], "active")


@pytest.mark.alone
async def test_a_revoked_key_is_refused_within_a_second(house: House, admin: aiohttp.ClientSession) -> None:
    key = await created(admin)
    assert (await call(house, key["key"])).status == 200

    async with admin.delete(f"/admin/v1/keys/{key['id']}") as reply:
        assert reply.status == 204
    async with asyncio.timeout(1.0):
        while (await call(house, key["key"])).status != 401:
            pass

    async with admin.get("/admin/v1/keys") as reply:
        assert (await reply.json())["keys"][0]["state"] == "revoked"


async def test_a_revocation_that_cannot_be_stored_is_not_promised(
    house: House, admin: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await created(admin)

    async def away(self: Store, id: str) -> bool:
        raise Overloaded("away", code="store_unavailable")

    monkeypatch.setattr("gateway.store.sqlite.keys.SqliteKeys.revoke", away)

    async with admin.delete(f"/admin/v1/keys/{key['id']}") as reply:
        assert await refused(reply) == (503, "store_unavailable")
        assert "retry-after" in reply.headers


@pytest.mark.parametrize(
    "wanted",
    [
        {"nmae": "x"},
        {"name": 1},
        {"tenant": "a/b/c"},
        {"models": "demo"},
        {"models": [1]},
        {"expires": 5},
        {"expires": "soon"},
        [],
        "key",
    ],
)
async def test_a_key_that_makes_no_sense_is_refused(admin: aiohttp.ClientSession, wanted: object) -> None:
    async with admin.post("/admin/v1/keys", json=wanted) as reply:
        assert (await refused(reply))[0] == 400


@pytest.mark.parametrize("body", [b"{", b'{"name": "\xff"}', b"[" * 5000, b'{"name":"a","name":"b"}'])
async def test_a_body_that_is_no_json_is_refused(admin: aiohttp.ClientSession, body: bytes) -> None:
    async with admin.post("/admin/v1/keys", data=body) as reply:
        assert (await refused(reply))[0] == 400


async def test_a_body_that_is_too_large_is_refused(admin: aiohttp.ClientSession) -> None:
    async with admin.post("/admin/v1/keys", data=io.BytesIO(bytes(2 * 1024 * 1024))) as reply:
        assert (await refused(reply))[0] == 413


async def test_what_is_not_there_is_told_in_the_same_form(admin: aiohttp.ClientSession) -> None:
    async with admin.get("/admin/v1/nothing") as reply:
        assert await refused(reply) == (404, "not_found")
    async with admin.delete("/admin/v1/keys/nothing") as reply:
        assert await refused(reply) == (404, "not_found")
    async with admin.get("/admin/v1/calls/nothing") as reply:
        assert await refused(reply) == (404, "not_found")
    async with admin.put("/admin/v1/keys") as reply:
        assert await refused(reply) == (405, "method_not_allowed")
        assert set(reply.headers["allow"].split(",")) >= {"GET", "POST"}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"NONSENSE\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", b"400"),
        (b"GET /\xff HTTP/9\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nLong: " + b"x" * 100_000 + b"\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: nonsense\r\n\r\n", b"417"),
        (b"GET /nothing HTTP/1.1\r\nHost: x\r\nExpect: nonsense\r\n\r\n", b"417"),
    ],
)
async def test_what_never_reaches_the_api_is_told_in_json_too(house: House, sent: bytes, status: bytes) -> None:
    reply = await raw(house, sent)

    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.split()[:2] in ([b"HTTP/1.0", status], [b"HTTP/1.1", status])
    for header in (b"x-request-id: req_", b"content-type: application/json", b"nosniff", b"no-store"):
        assert header in head.lower()
    assert body.startswith(b'{"error":{"message":')


@pytest.mark.parametrize(
    "target",
    [b"/%61dmin/v1/keys", b"/admin%2fv1%2fkeys", b"//admin/v1/keys", b"/x/../admin/v1/keys", b"/admin/v1/./keys"],
)
async def test_no_spelling_of_a_path_gets_round_the_key(house: House, target: bytes) -> None:
    reply = await raw(house, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")

    assert reply.split()[1] in (b"401", b"404")


@pytest.mark.alone
@pytest.mark.parametrize(
    ("headers", "sent", "status"),
    [
        (b"Content-Encoding: gzip\r\nContent-Length: 2", b"{}", b"415"),
        (b"Content-Length: 99999999", b"{", b"413"),
        (b"Content-Length: 2", b"{", b"408"),
        (b"Transfer-Encoding: chunked", b"2\r\n{}\r\nno chunk", b"400"),
    ],
)
async def test_a_body_that_cannot_be_taken_is_refused_in_time(
    house: House,
    admin: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
    headers: bytes,
    sent: bytes,
    status: bytes,
) -> None:
    monkeypatch.setattr("gateway.ingress.admin.fields.PATIENCE", 0.1)
    key = admin.headers["authorization"].encode()
    head = b"POST /admin/v1/keys HTTP/1.1\r\nHost: x\r\nAuthorization: " + key + b"\r\n" + headers + b"\r\n\r\n"

    reply = await raw(house, head + sent)

    assert reply.split()[1] == status
    assert b'{"error":{"message":' in reply


async def test_calls_are_found_with_all_that_is_known_of_them(house: House, admin: aiohttp.ClientSession) -> None:
    key = await created(admin, tenant="acme")
    served = await call(house, key["key"])
    await call(house, key["key"], model="nothing")
    await call(house, house.key)

    async def ids(**query: str) -> list[str]:
        async with admin.get("/admin/v1/calls", params=query) as reply:
            assert reply.status == 200
            return [each["id"] for each in (await reply.json())["calls"]]

    assert len(await ids()) == 3
    assert len(await ids(tenant="acme")) == 2
    assert await ids(tenant="acme", status="200") == [served.headers["x-request-id"]]
    assert len(await ids(status="404")) == 1
    assert len(await ids(limit="1")) == 1
    async with admin.get(f"/admin/v1/calls/{served.headers['x-request-id']}") as reply:
        record = await reply.json()
    assert (record["tenant"], record["model"], record["status"]) == ("acme", "demo", 200)


async def test_calls_are_read_page_by_page(house: House, admin: aiohttp.ClientSession) -> None:
    for _ in range(3):
        await call(house, house.key)

    async with admin.get("/admin/v1/calls", params={"limit": 2}) as reply:
        first = await reply.json()
    async with admin.get("/admin/v1/calls", params={"limit": 2, "before": first["before"]}) as reply:
        second = await reply.json()

    assert [len(first["calls"]), len(second["calls"]), second["before"]] == [2, 1, None]


@pytest.mark.parametrize(
    "query",
    [
        "limit=x",
        "limit=-1",
        "limit=0",
        "limit=1001",
        "outcome=foo",
        "since=-1y",
        "before=1.5",
        "record=x",
        "status=ok",
        "before=" + "9" * 40,
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(admin: aiohttp.ClientSession, query: str) -> None:
    async with admin.get(f"/admin/v1/calls?{query}") as reply:
        assert (await refused(reply))[0] == 400


async def test_the_policy_in_force_and_who_runs_it_are_told(house: House, admin: aiohttp.ClientSession) -> None:
    async with admin.get("/admin/v1/policies") as reply:
        told = await reply.json()

    assert told["version"] == house.worker.policy.current.version
    assert told["last_error"] is None
    assert set(told["instances"].values()) == {told["version"]}


async def test_a_policy_can_be_checked_before_it_is_put_into_force(house: House, admin: aiohttp.ClientSession) -> None:
    before = house.worker.policy.current
    async with admin.post("/admin/v1/policies:validate", json={"files": {"policy.yaml": MISTAKE}}) as reply:
        told = await reply.json()

    assert told["ok"] is False
    assert ("policy.yaml", 3) in [(each["file"], each["line"]) for each in told["mistakes"]]
    assert house.worker.policy.current is before


@pytest.mark.parametrize(
    "files",
    [
        *(
            {name: ""}
            for name in ("../policy.yaml", "a/b.yaml", "policy.txt", "a\0.yaml", "a" * 300 + ".yaml", ".a.yaml")
        ),
        {f"{number}.yaml": "" for number in range(501)},
        {"x.yaml": 1},
        {},
        [],
        None,
    ],
)
async def test_files_to_check_must_be_files_of_one_folder(admin: aiohttp.ClientSession, files: object) -> None:
    async with admin.post("/admin/v1/policies:validate", json={"files": files}) as reply:
        assert (await refused(reply))[0] == 400


async def test_a_good_policy_is_said_to_be_one_and_by_which_version(house: House, admin: aiohttp.ClientSession) -> None:
    files = {"policy.yaml": (house.policies / "policy.yaml").read_text()}
    async with admin.post("/admin/v1/policies:validate", json={"files": files}) as reply:
        told = await reply.json()

    assert (told["ok"], told["mistakes"]) == (True, [])
    assert told["version"] == house.worker.policy.current.version


async def test_mistakes_speak_of_the_files_as_they_were_given(admin: aiohttp.ClientSession) -> None:
    files = dict.fromkeys(("a.yaml", "b.yaml"), "version: 1\nmodels: {m: {use: demo/demo}}\n")
    async with admin.post("/admin/v1/policies:validate", json={"files": files}) as reply:
        mistakes = (await reply.json())["mistakes"]

    assert [(each["file"], each["path"]) for each in mistakes] == [("b.yaml", "models.m")]
    assert mistakes[0]["message"].endswith("a.yaml:2:10")
    assert "/" not in mistakes[0]["message"]


async def test_a_reload_puts_an_edit_into_force_or_tells_its_mistakes(
    house: House, admin: aiohttp.ClientSession
) -> None:
    before = house.worker.policy.current.version
    policy = house.policies / "policy.yaml"
    text = policy.read_text()

    async def reloaded(text: str) -> dict[str, Any]:
        policy.write_text(text)
        async with admin.post("/admin/v1/policies:reload") as reply:
            assert reply.status == 200
            told: dict[str, Any] = await reply.json()
            return told

    refused = await reloaded(MISTAKE)
    assert refused["version"] == before
    assert 3 in [each["line"] for each in refused["last_error"]]
    edited = await reloaded(text + "# edited\n")
    assert edited["version"] == house.worker.policy.current.version != before
    assert edited["last_error"] is None


async def test_the_policy_in_force_is_told_while_the_store_is_away(
    house: House, admin: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(self: object) -> Mapping[str, str]:
        raise Overloaded("away", code="store_unavailable")

    monkeypatch.setattr("gateway.store.sqlite.versions.SqliteVersions.versions", away)

    async with admin.post("/admin/v1/policies:reload") as reply:
        told = await reply.json()

    assert (reply.status, told["instances"]) == (200, None)
    assert told["version"] == house.worker.policy.current.version


async def test_a_bug_is_told_in_json_and_logged(
    admin: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def bug(self: object, *, since: int) -> None:
        raise ZeroDivisionError("canary")

    monkeypatch.setattr("gateway.store.sqlite.keys.SqliteKeys.load", bug)

    async with admin.get("/admin/v1/keys") as reply:
        assert await refused(reply) == (500, "internal_error")
        assert "canary" not in await reply.text()
    assert "a bug ended an admin call" in caplog.messages


async def test_readiness_says_no_while_the_gateway_drains(house: House, stranger: aiohttp.ClientSession) -> None:
    house.worker.is_draining = True

    async with stranger.get("/readyz") as reply:
        assert await refused(reply) == (503, "not_ready")
    async with stranger.get("/healthz") as reply:
        assert reply.status == 200


async def test_deployments_and_accounts_are_listed(house: House, admin: aiohttp.ClientSession) -> None:
    await call(house, house.key)

    async with admin.get("/admin/v1/deployments") as reply:
        deployments = (await reply.json())["deployments"]
    async with admin.get("/admin/v1/budgets") as reply:
        budgets = (await reply.json())["budgets"]

    assert {
        "deployment": "chaos/ok",
        "provider": "chaos",
        "models": ["ok"],
        "resting_until": None,
        "reason": None,
        "busy": 0,
        "first_token_ms": None,
        "figures": {"attempts": 0, "errors": 0, "error_codes": {}, "other_codes": {}, "p50_ms": None, "p95_ms": None},
    } in deployments
    assert budgets == []  # the policy has none


async def test_a_deployment_at_rest_says_until_when_and_why(house: House, admin: aiohttp.ClientSession) -> None:
    for _ in range(3):
        await call(house, house.key, model="fault/status-500")

    async with admin.get("/admin/v1/deployments") as reply:
        resting = [each for each in (await reply.json())["deployments"] if each["resting_until"]]

    assert [(each["provider"], each["reason"]) for each in resting] == [("chaos", "upstream_error")]
    assert time.time() < resting[0]["resting_until"] < time.time() + 60
