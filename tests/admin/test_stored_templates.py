"""Templates that admins put into the store: in force like a file, tried out before, and never against a file of the same name."""

from __future__ import annotations

import asyncio
import io
import os
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.admin.conftest import refused
from tests.conftest import House
from tests.flow.client import post

SUPPORT = """\
mode: prepend
variables:
  product: {max_length: 20}
versions:
  1: {messages: [{system: "You sell {{ product }}."}]}
tests:
  - {name: it sells, variables: {product: x}, content: hi, expect: {message: 0, equals: You sell x.}}
"""
TWO = """\
mode: prepend
variables: {product: {}}
versions:
  1: {messages: [{system: "You sell {{ product }}."}]}
  2: {messages: [{system: "You give {{ product }} away."}], parameters: {temperature: 0.5}}
labels: {production: 1, staging: 2}
"""
PATH = "/admin/v1/templates/support"
YAML = {"content-type": "application/yaml"}


async def put(
    admin: aiohttp.ClientSession,
    text: str | bytes | io.BytesIO = SUPPORT,
    *,
    name: str = "support",
    status: int | None = None,
    **headers: str,
) -> tuple[int, Any]:
    told = {**YAML, **{each.replace("_", "-"): value for each, value in headers.items()}}
    url = f"/admin/v1/templates/{name}"
    async with admin.put(url, data=text, headers=told, params={"reason": "the test"}) as reply:
        body = await reply.json()
        assert status in (None, reply.status), body
        return reply.status, body


async def delete(admin: aiohttp.ClientSession, etag: str = "*", name: str = "support") -> tuple[int, str]:
    headers = {"if-match": f'"{etag}"'} if etag else {}
    url = f"/admin/v1/templates/{name}"
    async with admin.delete(url, headers=headers, params={"reason": "the test"}) as reply:
        return (204, "") if reply.status == 204 else await refused(reply)


async def source(admin: aiohttp.ClientSession, name: str = "support") -> tuple[int, bytes, str]:
    async with admin.get(f"/admin/v1/templates/{name}/source") as reply:
        return reply.status, await reply.read(), reply.headers.get("etag", "").strip('"')


async def previewed(admin: aiohttp.ClientSession, name: str = "support", **asked: Any) -> tuple[int, Any]:
    async with admin.post(f"/admin/v1/templates/{name}:preview", json=asked) as reply:
        return reply.status, await reply.json()


async def sold(house: House, token: str | None = None) -> tuple[int, str]:
    """Status, and which version answered or why it was refused."""
    body = {
        "model": "demo",
        "messages": [{"role": "user", "content": "hi"}],
        "llmgw": {"variables": {"product": "tea"}},
    }
    reply = await post(house, body, token=token, x_llmgw_template="support")
    return reply.status_code, reply.headers["x-llmgw-template"] if reply.is_success else reply.json()["error"]["code"]


async def until(house: House, version: str) -> None:
    async with asyncio.timeout(10):
        while house.worker.policy.current.version != version:
            await asyncio.sleep(0.02)


async def test_a_template_that_was_put_serves_calls_and_comes_back_byte_for_byte(
    house: House, admin: aiohttp.ClientSession
) -> None:
    before = house.worker.policy.current.version
    written = "# comment, \r\n" + SUPPORT

    _, told = await put(admin, written, status=201)

    assert await sold(house) == (200, "support@1")
    assert await source(admin) == (200, written.encode(), told["etag"])
    assert told["policy"] == house.worker.policy.current.version != before
    async with admin.get("/admin/v1/templates") as reply:
        listed = await reply.json()
    (row,) = (each for each in listed["templates"] if each["template"] == "support")
    assert (row["source"], row["stored"]["who"], row["stored"]["why"]) == ("stored", "admin", "the test")
    assert listed["stored"] == [row["stored"]]


async def test_a_template_is_known_to_the_history_and_goes_with_the_policy_that_is_put_back(
    house: House, admin: aiohttp.ClientSession
) -> None:
    before = house.worker.policy.current.version
    (house.policies / "policy.yaml").write_text(
        "version: 1\nproviders: {demo: {dialect: demo}}\nmodels: {demo: {use: demo/demo}}\n"
    )
    async with admin.post("/admin/v1/policies:reload") as reply:
        plain = (await reply.json())["version"]
    await house_noted(admin, plain)
    _, first = await put(admin, status=201)
    _, second = await put(admin, TWO, status=200, If_Match=first["etag"])

    async with admin.get("/admin/v1/policies") as reply:
        versions = (await reply.json())["versions"]
    assert [(each["version"], each["who"], each["why"]) for each in versions[:2]] == [
        (second["policy"], "admin", "template support put: the test"),
        (first["policy"], "admin", "template support put: the test"),
    ]
    async with admin.get(f"/admin/v1/policies/{second['policy']}", params={"against": first["policy"]}) as reply:
        told = await reply.json()
    assert told["files"]["stored/support.yaml"] == TWO
    assert "-  product: {max_length: 20}" in told["diff"]

    for version, there in ((first["policy"], SUPPORT.encode()), (plain, None), (second["policy"], TWO.encode())):
        body = {"version": version, "reason": "back"}
        async with admin.post("/admin/v1/policies:rollback", json=body) as reply:
            assert (reply.status, (await reply.json()).get("version")) == (200, version)
        status, text, _ = await source(admin)
        assert (text if status == 200 else None) == there
        assert (await sold(house))[0] == (404 if there is None else 200)
    assert before != plain


async def house_noted(admin: aiohttp.ClientSession, version: str) -> None:
    async with asyncio.timeout(10):
        while True:
            async with admin.get("/admin/v1/policies") as reply:
                if [each["version"] for each in (await reply.json())["versions"]][:1] == [version]:
                    return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SUPPORT.replace("mode: prepend", "mode: sideways"), "stored/support.yaml:1:7: "),
        (SUPPORT.replace("{{ product }}", "{{ produkt }}"), "stored/support.yaml:5:27: "),
        (SUPPORT.replace("equals: You sell x.", "equals: You buy x."), "stored/support.yaml:7:6: test 'it sells'"),
        (SUPPORT + "model: nobody\n", "stored/support.yaml:8:8: "),
        ("a: &a [1]\nb: [*a, *a]\n", "anchors and aliases"),
        (b"mode: \xff\xfe\n", "stored/support.yaml:1:7: the file is not valid UTF-8 here"),
        ("just words\n", "stored/support.yaml:1:1: "),
        (SUPPORT.replace("{{ product }}", '{% include \\"nothing\\" %}'), "nothing"),
    ],
)
async def test_what_check_would_not_pass_is_refused_with_its_mistakes(
    house: House, admin: aiohttp.ClientSession, text: str | bytes, said: str
) -> None:
    before = house.worker.policy.current

    status, body = await put(admin, text)

    assert (status, body["error"]["code"]) == (400, "template_invalid")
    assert said in body["error"]["message"]
    assert house.worker.policy.current is before
    assert (await source(admin))[0] == 404


async def test_two_who_write_at_once_do_not_overwrite_each_other(house: House, admin: aiohttp.ClientSession) -> None:
    _, first = await put(admin, status=201, If_None_Match="*")

    status, body = await put(admin, TWO)
    assert (status, body["error"]["code"]) == (428, "missing_if_match")
    status, body = await put(admin, TWO, If_None_Match="*")
    assert (status, body["error"]["code"]) == (409, "version_conflict")
    outcomes = await asyncio.gather(
        *(put(admin, f"{TWO}# {each}\n", If_Match=f'"{first["etag"]}"') for each in range(4))
    )
    assert sorted(status for status, _ in outcomes) == [200, 409, 409, 409]
    _, _, etag = await source(admin)
    refusals = [body["error"] for status, body in outcomes if status == 409]
    assert {each["code"] for each in refusals} == {"version_conflict"}
    assert all(f"it is at {etag}" in each["message"] for each in refusals)
    assert await delete(admin, "") == (428, "missing_if_match")
    assert await delete(admin, first["etag"]) == (409, "version_conflict")
    assert await delete(admin, etag) == (204, "")
    assert await delete(admin) == (404, "template_not_found")
    status, body = await put(admin, TWO, If_Match=etag)
    assert (status, body["error"]["code"]) == (409, "version_conflict")
    assert await sold(house) == (404, "template_not_found")


async def test_several_templates_put_at_once_are_all_there(house: House, admin: aiohttp.ClientSession) -> None:
    outcomes = await asyncio.gather(*(put(admin, name=f"t{each}") for each in range(3)))

    assert [status for status, _ in outcomes] == [201, 201, 201]
    assert sorted(house.worker.policy.current.templates.named) == ["t0", "t1", "t2"]


async def test_no_more_templates_are_stored_than_there_is_room_for(
    house: House, admin: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ingress.admin.stored.MOST", 1)
    await put(admin, status=201)

    _, body = await put(admin, name="other", status=409)

    assert body["error"]["code"] == "too_many_templates"
    assert (await source(admin, "other"))[0] == 404
    assert await sold(house) == (200, "support@1")


async def test_a_template_that_a_route_needs_cannot_go_and_an_edit_that_needs_another_is_refused(
    house: House, admin: aiohttp.ClientSession
) -> None:
    await put(admin, status=201)
    written = (house.policies / "policy.yaml").read_text()
    (house.policies / "policy.yaml").write_text(
        written + "routes: [{name: shop, match: {model: demo}, template: support, model: demo}]\n"
    )
    async with admin.post("/admin/v1/policies:reload") as reply:
        in_force = (await reply.json())["version"]

    assert await delete(admin) == (409, "template_in_use")
    status, body = await put(admin, SUPPORT.replace("prepend", "whole"), If_Match="*")

    assert (status, body["error"]["code"]) == (400, "template_invalid")
    assert "policy.yaml:" in body["error"]["message"]
    assert house.worker.policy.current.version == in_force
    assert (await sold(house))[0] == 200

    (house.policies / "templates").mkdir()
    (house.policies / "templates" / "partials").mkdir()
    (house.policies / "policy.yaml").write_text(written)
    (house.policies / "templates" / "partials" / "tone.txt").write_text("Be kind.")
    async with admin.post("/admin/v1/policies:reload") as reply:
        assert (await reply.json())["last_error"] is None
    await put(admin, SUPPORT.replace("{{ product }}.", "{{ product }}. {% include 'tone' %}").partition("tests")[0],
              If_Match="*", status=200)  # fmt: skip
    (house.policies / "templates" / "partials" / "tone.txt").unlink()
    async with admin.post("/admin/v1/policies:reload") as reply:
        (mistake,) = (await reply.json())["last_error"]
    assert (mistake["file"], mistake["line"]) == ("stored/support.yaml", 5)
    status, told = await previewed(admin, variables={"product": "tea"}, content="hi")
    assert told["messages"][0]["content"] == "You sell tea. Be kind."


async def test_a_file_of_the_same_name_counts_and_the_way_from_store_to_file_loses_nothing(
    house: House, admin: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    await put(admin, status=201)
    (house.policies / "templates").mkdir()
    (house.policies / "templates" / "support.yaml").write_bytes((await source(admin))[1])

    async with admin.post("/admin/v1/policies:reload") as reply:
        state = await reply.json()

    assert "the template 'support' is in the file templates/support.yaml now" in caplog.text
    assert any("the stored one of that name does not count" in note for note in state["notes"])
    async with admin.get(PATH) as reply:
        row = await reply.json()
    assert (row["source"], row["file"]) == ("file", "templates/support.yaml")
    assert row["stored"] is not None
    status, body = await put(admin, TWO, If_Match="*")
    assert (status, body["error"]["code"]) == (409, "template_in_files")
    assert "templates/support.yaml" in body["error"]["message"]
    assert await delete(admin) == (204, "")
    assert await sold(house) == (200, "support@1")
    assert await delete(admin) == (409, "template_in_files")
    async with admin.get(PATH + "/source") as reply:
        assert await refused(reply) == (409, "template_in_files")


@pytest.mark.parametrize("name", ["..", "a%2Fb", "..%2Fetc", "-x", "caf%C3%A9", "x" * 65, "a%0A"])
async def test_odd_names_are_refused(house: House, admin: aiohttp.ClientSession, name: str) -> None:
    url = URL(f"{house.worker.admin_url}/admin/v1/templates/{name}", encoded=True)
    headers = {**YAML, "authorization": admin.headers["authorization"]}
    async with aiohttp.ClientSession() as session, session.put(url, data=SUPPORT, headers=headers) as reply:
        status, code = await refused(reply)

    assert (status, code) in ((400, "invalid_value"), (404, "not_found"), (405, "method_not_allowed"))
    async with admin.get("/admin/v1/templates") as reply:
        assert (await reply.json())["stored"] == []


async def test_bad_bodies_are_refused(admin: aiohttp.ClientSession) -> None:
    status, body = await put(admin, io.BytesIO(b"#" * (1024 * 1024 + 1)))
    assert (status, body["error"]["code"]) == (413, "request_too_large")
    status, body = await put(admin, "")
    assert (status, body["error"]["code"]) == (400, "missing_parameter")
    async with admin.put(PATH, data=SUPPORT, headers=YAML) as reply:
        assert await refused(reply) == (400, "missing_parameter")
    async with admin.put(PATH, data={"source": SUPPORT}, params={"reason": "x"}) as reply:
        assert await refused(reply) == (415, "unsupported_media_type")
    async with admin.put(PATH, json={"source": [1], "reason": "x"}) as reply:
        assert await refused(reply) == (400, "invalid_type")
    async with admin.put(PATH, json={"source": SUPPORT}) as reply:
        assert await refused(reply) == (400, "missing_parameter")
    async with admin.put(PATH, json={"source": SUPPORT, "reason": "x", "who": "me"}) as reply:
        assert await refused(reply) == (400, "unknown_parameter")
    assert (await source(admin))[0] == 404


async def test_json_is_kept_as_yaml_that_says_the_same(house: House, admin: aiohttp.ClientSession) -> None:
    wanted = {
        "mode": "whole",
        "model": "demo",
        "variables": {"product": {"default": "1e3"}, "tone": {"type": "enum", "values": ["no", "12:30", "x: y"]}},
        "versions": {"1": {"messages": [{"system": "Two\nlines, {{ product }}.\n"}, {"user": 'ünï "q" {{ tone }}'}]}},
    }
    async with admin.put(PATH, json={"source": wanted, "reason": "x"}) as reply:
        assert reply.status == 201, await reply.text()

    _, text, _ = await source(admin)
    _, told = await previewed(admin, variables={"tone": "no"})

    assert b"mode: whole\n" in text
    assert [each["content"] for each in told["messages"]] == ["Two\nlines, 1e3.", 'ünï "q" no']
    async with admin.put(PATH, json={"source": SUPPORT, "reason": "x"}, headers={"if-match": "*"}) as reply:
        assert reply.status == 200
    assert (await source(admin))[1] == SUPPORT.encode()


async def test_a_template_of_another_organisation_is_not_there(house: House, admin: aiohttp.ClientSession) -> None:
    await put(admin, SUPPORT + "tenants: [elsewhere]\n", status=201)

    assert await sold(house) == (404, "template_not_found")
    assert (await previewed(admin, variables={"product": "x"}))[0] == 200


async def test_where_the_folder_cannot_be_put_back_the_templates_stay_too(
    house: House, admin: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = "version: 1\nproviders: {demo: {dialect: demo}}\nmodels: {demo: {use: demo/demo}}\n"
    (house.policies / "policy.yaml").write_text(plain)
    _, first = await put(admin, status=201)
    _, second = await put(admin, TWO, status=200, If_Match="*")
    body = {"version": first["policy"], "reason": "back"}
    (house.policies / "policy.yaml").write_text(plain + "# changed\n")
    async with admin.post("/admin/v1/policies:reload") as reply:
        version = (await reply.json())["version"]

    def read_only(source: object, target: object) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(os, "replace", read_only)
    async with admin.post("/admin/v1/policies:rollback", json=body) as reply:
        assert await refused(reply) == (409, "policies_read_only")
    assert (await source(admin))[1:] == (TWO.encode(), second["etag"])
    await until(house, version)

    monkeypatch.undo()
    async with admin.post("/admin/v1/policies:rollback", json=body) as reply:
        assert (reply.status, (await reply.json())["version"]) == (200, first["policy"])
    assert (await source(admin))[1] == SUPPORT.encode()


async def test_who_edited_the_policy_before_a_template_was_put_is_told(
    house: House, admin: aiohttp.ClientSession
) -> None:
    before = house.worker.policy.current.version
    text = (house.policies / "policy.yaml").read_text()
    _, told = await put(admin, status=201)
    body = {"files": {"policy.yaml": text + "# more\n"}, "reason": "x"}

    async with admin.post("/admin/v1/policies:apply", json=body, headers={"if-match": before}) as reply:
        assert await refused(reply) == (412, "policy_changed")
    async with admin.post("/admin/v1/policies:apply", json=body, headers={"if-match": told["policy"]}) as reply:
        assert reply.status == 200
    assert await sold(house) == (200, "support@1")
