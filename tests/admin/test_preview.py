"""`POST /admin/v1/templates/NAME:preview`: what would be sent, without asking anybody."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from tests.admin.test_stored_templates import SUPPORT, TWO, previewed, put, source
from tests.conftest import House


async def test_a_preview_tells_what_would_be_sent_and_how_versions_differ(
    house: House, admin: aiohttp.ClientSession
) -> None:
    await put(admin, TWO, status=201)
    asked: dict[str, Any] = {"variables": {"product": "tea"}, "content": "hi"}

    _, told = await previewed(admin, **asked, version="staging", against=1)
    version = house.worker.policy.current.templates.named["support"].versions[2]

    assert told["messages"] == [
        {"role": "system", "content": "You give tea away."},
        {"role": "user", "content": "hi"},
    ]
    assert (told["version"], told["hash"], told["parameters"]) == (2, version.hash, {"temperature": 0.5})
    assert told["input_tokens"] == 10 + 3 * 3  # the words of both messages, and what is round each
    assert told["diff"].splitlines()[:3] == ["--- support@1", "+++ support@2", "@@ -1,4 +1,5 @@"]
    assert "+You give tea away." in told["diff"]
    assert (await previewed(admin, **asked, version=version.hash[:8]))[1]["version"] == 2
    assert "+You give {{ product }} away." in (await previewed(admin, version=2, against="production"))[1]["diff"]
    assert await house.records() == []


async def test_an_editor_previews_a_text_before_it_is_put(house: House, admin: aiohttp.ClientSession) -> None:
    status, told = await previewed(admin, name="new", source=SUPPORT, variables={"product": "tea"})
    assert (status, told["messages"][0]["content"]) == (200, "You sell tea.")
    await put(admin, status=201)
    edited = SUPPORT.replace("You sell", "You rent")

    status, told = await previewed(admin, source=edited, against=1, variables={"product": "tea"})

    assert "-You sell tea." in told["diff"]
    assert "+You rent tea." in told["diff"]
    assert (await source(admin))[1] == SUPPORT.encode()
    status, body = await previewed(admin, source=SUPPORT.replace("{{ product }}", "{{ produkt }}"))
    assert (status, body["error"]["code"]) == (400, "template_invalid")
    assert "stored/support.yaml:5:" in body["error"]["message"]


@pytest.mark.parametrize(
    ("asked", "outcome"),
    [
        ({"variables": {}}, (400, "template_variable", "variables.product")),
        ({"variables": {"product": 1}}, (400, "template_variable", "variables.product")),
        ({"variables": {"product": "x" * 21}}, (400, "template_variable", "variables.product")),
        ({"variables": {"product": "x", "tone": "y"}}, (400, "template_variable", "variables.tone")),
        ({"variables": [1]}, (400, "invalid_type", "variables")),
        ({"version": 7}, (404, "template_not_found", "template")),
        ({"version": True}, (400, "invalid_type", "version")),
        ({"against": "nobody"}, (404, "template_not_found", "template")),
        ({"messages": [{"content": "x"}]}, (400, "invalid_value", "messages[0].role")),
        ({"messages": [], "content": "x"}, (400, "invalid_value", "content")),
        ({"content": 1}, (400, "invalid_type", "content")),
        ({"source": ""}, (400, "invalid_type", "source")),
        ({"wrong": 1}, (400, "unknown_parameter", "wrong")),
    ],
)
async def test_a_preview_says_what_is_wrong(
    admin: aiohttp.ClientSession, asked: dict[str, Any], outcome: tuple[int, str, str]
) -> None:
    await put(admin, status=201)

    status, body = await previewed(admin, **asked)

    assert (status, body["error"]["code"], body["error"]["param"]) == outcome
    status, body = await previewed(admin, name="nobody")
    assert (status, body["error"]["code"]) == (404, "template_not_found")
