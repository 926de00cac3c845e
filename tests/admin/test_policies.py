"""Policies changed by admins: tried out, applied whole or not at all, kept with who and why, and put back."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import aiohttp
import pytest

from gateway.core.errors import Overloaded
from tests.admin.conftest import refused
from tests.conftest import House

PLAIN = "version: 1\nproviders: {demo: {dialect: demo}}\nmodels: {demo: {use: demo/demo}}\n"
MORE = "version: 1\nmodels: {another: {use: demo/another}}\n"
TESTED = PLAIN + "tests: [{name: it is there, request: {model: demo}, expect: {model: other}}]\n"


async def state(admin: aiohttp.ClientSession) -> dict[str, Any]:
    async with admin.get("/admin/v1/policies") as reply:
        found: dict[str, Any] = await reply.json()
        return found


async def kept(admin: aiohttp.ClientSession, *, at_least: int) -> list[dict[str, Any]]:
    """The versions that are kept, once there are so many."""
    async with asyncio.timeout(10):
        while len(found := (await state(admin))["versions"]) < at_least:
            await asyncio.sleep(0.05)
    versions: list[dict[str, Any]] = found
    return versions


async def apply(admin: aiohttp.ClientSession, files: dict[str, str], base: str = "*", **more: Any) -> dict[str, Any]:
    body = {"files": files, "reason": "because", **more}
    async with admin.post("/admin/v1/policies:apply", json=body, headers={"if-match": f'"{base}"'}) as reply:
        assert reply.status == 200, await reply.text()
        found: dict[str, Any] = await reply.json()
        return found


async def test_files_are_applied_whole_and_kept_with_who_and_why(house: House, admin: aiohttp.ClientSession) -> None:
    (first,) = await kept(admin, at_least=1)
    assert (first["version"], first["who"]) == (house.worker.policy.current.version, "files")

    told = await apply(admin, {"policy.yaml": PLAIN, "more.yaml": MORE}, first["version"])

    assert told["version"] == house.worker.policy.current.version != first["version"]
    assert sorted(each.name for each in house.policies.iterdir()) == ["more.yaml", "policy.yaml"]
    assert (house.policies / "more.yaml").read_text() == MORE
    assert [(each["version"], each["who"], each["why"], each["is_whole"]) for each in told["versions"]] == [
        (told["version"], "admin", "because", True),
        (first["version"], "files", "found when the gateway was started", False),
    ]
    async with admin.get(f"/admin/v1/policies/{told['version']}") as reply:
        assert (await reply.json())["files"] == {"policy.yaml": PLAIN, "more.yaml": MORE}


async def test_a_change_by_hand_is_a_version_too_and_how_versions_differ_is_told(
    house: House, admin: aiohttp.ClientSession
) -> None:
    before = (await apply(admin, {"policy.yaml": PLAIN}))["version"]
    (house.policies / "more.yaml").write_text(MORE)

    latest = (await kept(admin, at_least=3))[0]
    async with admin.get(f"/admin/v1/policies/{latest['version']}", params={"against": before}) as reply:
        told = await reply.json()

    assert (latest["who"], latest["why"]) == ("files", "the folder was changed")
    assert told["diff"].splitlines() == [
        f"--- more.yaml@{before}",
        f"+++ more.yaml@{latest['version']}",
        "@@ -0,0 +1,2 @@",
        "+version: 1",
        "+models: {another: {use: demo/another}}",
    ]
    async with admin.get(f"/admin/v1/policies/{before}", params={"against": "unknown"}) as reply:
        assert await refused(reply) == (404, "not_found")


async def test_a_version_from_before_is_put_back(house: House, admin: aiohttp.ClientSession) -> None:
    before = (await apply(admin, {"policy.yaml": PLAIN, "more.yaml": MORE}))["version"]
    await apply(admin, {"policy.yaml": PLAIN + "# mended\n"}, removes=True)
    assert not (house.policies / "more.yaml").exists()

    async with admin.post("/admin/v1/policies:rollback", json={"version": before, "reason": "worse"}) as reply:
        told = await reply.json()

    assert (reply.status, told["version"]) == (200, before)
    assert house.worker.policy.current.version == before
    assert told["versions"][0]["why"] == "back to this version: worse"
    assert (house.policies / "more.yaml").read_text() == MORE
    async with admin.post("/admin/v1/policies:rollback", json={"version": before, "reason": "worse"}) as reply:
        assert await refused(reply) == (409, "policy_in_force")


async def test_credentials_that_are_written_out_are_not_kept_and_such_a_version_is_not_put_back(
    house: House, admin: aiohttp.ClientSession
) -> None:
    (first,) = await kept(admin, at_least=1)
    await apply(admin, {"policy.yaml": PLAIN})

    async with admin.get(f"/admin/v1/policies/{first['version']}") as reply:
        told = await reply.json()
    async with admin.post("/admin/v1/policies:rollback", json={"version": first["version"], "reason": "x"}) as reply:
        assert await refused(reply) == (409, "policy_not_whole")

    assert "key: ***" in told["files"]["policy.yaml"]
    assert "sk-chaos-canary" not in str(told)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"policy.yaml": PLAIN + "rutes: []\n"}, "policy.yaml:4:1: "),
        ({"policy.yaml": TESTED}, "policy.yaml:4:10: test 'it is there'"),
        ({"policy.yaml": PLAIN, "more.yaml": PLAIN}, "more.yaml:"),
    ],
)
async def test_what_is_no_policy_or_fails_its_own_tests_is_not_applied(
    house: House, admin: aiohttp.ClientSession, files: dict[str, str], said: str
) -> None:
    before = {each.name: each.read_bytes() for each in house.policies.iterdir()}
    body = {"files": files, "reason": "because"}
    async with admin.post("/admin/v1/policies:apply", json=body, headers={"if-match": "*"}) as reply:
        error = (await reply.json())["error"]

    assert (reply.status, error["code"]) == (400, "policy_invalid")
    assert said in error["message"]
    assert {each.name: each.read_bytes() for each in house.policies.iterdir()} == before


async def test_the_policy_s_own_tests_are_run_when_it_is_tried_out(admin: aiohttp.ClientSession) -> None:
    async with admin.post("/admin/v1/policies:validate", json={"files": {"policy.yaml": TESTED}}) as reply:
        told = await reply.json()
    async with admin.post("/admin/v1/policies:validate") as reply:
        folder = await reply.json()

    (failed,) = told["tests"]["failed"]
    assert (told["ok"], told["mistakes"], told["tests"]["count"]) == (False, [], 1)
    assert (failed["file"], failed["line"], failed["name"]) == ("policy.yaml", 4, "it is there")
    assert (folder["ok"], folder["version"]) == (True, (await state(admin))["version"])


async def test_who_edited_another_version_than_there_is_changes_nothing(
    house: House, admin: aiohttp.ClientSession
) -> None:
    before = (await state(admin))["version"]
    (house.policies / "more.yaml").write_text("no: [policy\n")
    body = {"files": {"policy.yaml": PLAIN}, "reason": "because"}

    async with admin.post("/admin/v1/policies:apply", json=body, headers={"if-match": before}) as reply:
        assert await refused(reply) == (412, "policy_changed")
    async with admin.post("/admin/v1/policies:apply", json=body) as reply:
        assert await refused(reply) == (428, "missing_if_match")
    async with admin.post("/admin/v1/policies:apply", json=body, headers={"if-match": "*"}) as reply:
        assert await refused(reply) == (409, "files_left_out")

    assert (house.policies / "more.yaml").read_text() == "no: [policy\n"


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"files": {"policy.yaml": PLAIN}}, (400, "missing_parameter")),
        ({"files": {"policy.yaml": PLAIN}, "reason": "x" * 501}, (400, "invalid_value")),
        ({"files": {"../policy.yaml": PLAIN}, "reason": "x"}, (400, "invalid_request")),
        ({"files": {"policy.yaml": PLAIN}, "reason": "x", "removes": "yes"}, (400, "invalid_type")),
        ({"reason": "x"}, (400, "invalid_type")),
    ],
)
async def test_a_change_that_does_not_say_what_and_why_is_refused(
    admin: aiohttp.ClientSession, body: object, refusal: tuple[int, str]
) -> None:
    async with admin.post("/admin/v1/policies:apply", json=body, headers={"if-match": "*"}) as reply:
        assert await refused(reply) == refusal


async def test_a_folder_that_cannot_be_written_says_so(
    house: House, admin: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(source: object, target: object) -> None:
        raise OSError(30, "Read-only file system")

    before = (house.policies / "policy.yaml").read_bytes()
    monkeypatch.setattr(os, "replace", read_only)
    body = {"files": {"policy.yaml": PLAIN}, "reason": "because"}
    async with admin.post("/admin/v1/policies:apply", json=body, headers={"if-match": "*"}) as reply:
        error = (await reply.json())["error"]

    assert (reply.status, error["code"]) == (409, "policies_read_only")
    assert "Read-only file system" in error["message"]
    assert "ConfigMap" in error["message"]
    assert [each.name for each in house.policies.iterdir()] == ["policy.yaml"]
    assert (house.policies / "policy.yaml").read_bytes() == before


async def test_nothing_is_changed_while_it_cannot_be_kept(
    house: House, admin: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(self: object) -> None:
        raise Overloaded("away", code="store_unavailable")

    monkeypatch.setattr("gateway.store.sqlite.policies.SqlitePolicies.kept", away)
    before = house.worker.policy.current.version
    body = {"files": {"policy.yaml": PLAIN}, "reason": "because"}
    async with admin.post("/admin/v1/policies:apply", json=body, headers={"if-match": "*"}) as reply:
        assert await refused(reply) == (503, "store_unavailable")

    assert (await state(admin))["versions"] is None
    assert house.worker.policy.current.version == before
    assert (house.policies / "policy.yaml").read_text() != PLAIN


TEMPLATE = "versions: {1: {messages: [{user: '{% include \"tone\" %}'}]}}\n"
TEMPLATES = {"policy.yaml": PLAIN, "templates/hello.yaml": TEMPLATE, "templates/partials/tone.txt": "Be kind.\n"}


async def test_templates_are_applied_with_the_policy_and_over_nobodys_edit(
    house: House, admin: aiohttp.ClientSession
) -> None:
    (first,) = await kept(admin, at_least=1)
    told = await apply(admin, TEMPLATES, first["version"])
    assert list(house.worker.policy.current.templates.named) == ["hello"]
    assert (house.policies / "templates" / "partials" / "tone.txt").read_text() == "Be kind.\n"
    async with admin.get(f"/admin/v1/policies/{told['version']}") as reply:
        assert (await reply.json())["files"] == TEMPLATES

    edited = {**TEMPLATES, "templates/partials/tone.txt": "Be quick.\n"}
    body = {"files": edited, "reason": "late"}
    async with admin.post("/admin/v1/policies:apply", json=body, headers={"if-match": first["version"]}) as reply:
        assert await refused(reply) == (412, "policy_changed")
    second = await apply(admin, edited, told["version"])
    assert second["version"] != told["version"]
    await apply(admin, {"policy.yaml": PLAIN}, second["version"], removes=True)
    assert house.worker.policy.current.templates.named == {}

    rollback = {"version": told["version"], "reason": "it was good"}
    async with admin.post("/admin/v1/policies:rollback", json=rollback) as reply:
        assert reply.status == 200
    assert house.worker.policy.current.version == told["version"]
    hello = house.worker.policy.current.templates
    assert hello.engine.render(hello.named["hello"].versions[1].messages[0].compiled, {}) == "Be kind."


@pytest.mark.parametrize(
    ("name", "text", "status"),
    [
        ("templates/../x.yaml", TEMPLATE, 400),
        ("templates/partials/x.yaml", TEMPLATE, 400),
        ("templates/x/y/z.yaml", TEMPLATE, 400),
        ("templates/x.yaml", "versions: {1: {messages: [{user: '{{ 7*7 }}'}]}}", 400),
        ("/etc/x.yaml", TEMPLATE, 400),
    ],
)
async def test_a_template_that_is_none_is_saved_never(
    house: House, admin: aiohttp.ClientSession, name: str, text: str, status: int
) -> None:
    before = sorted(house.policies.rglob("*"))
    body = {"files": {"policy.yaml": PLAIN, name: text}, "reason": "because"}

    async with admin.post("/admin/v1/policies:apply", json=body, headers={"if-match": "*"}) as reply:
        assert reply.status == status
        message = (await reply.json())["error"]["message"]

    assert sorted(house.policies.rglob("*")) == before
    assert ("template_invalid" in message) == ("7*7" in text)
