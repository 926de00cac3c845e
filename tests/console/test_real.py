"""The console on the admin API that it is made for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Browser, expect

from gateway.app import Running, running
from gateway.core.secret import Secret
from tests.conftest import POLICY, settings
from tests.console.conftest import Reader, listen, tab
from tests.console.fake_admin import KEY, FakeAdmin
from tests.console.traffic import HOSTILE

pytestmark = pytest.mark.asyncio(loop_scope="session")
PAGES = ["overview", "calls", "latency", "spend?by=tag", "budgets", "cache", "templates", "upstreams", "errors"]


async def test_every_page_shows_what_the_gateway_recorded(browser: Browser, tmp_path: Path) -> None:
    policies, data = tmp_path / "policies", tmp_path / "data"
    policies.mkdir()
    (policies / "policy.yaml").write_text(POLICY.format(provider="http://127.0.0.1:9/v1"))
    chosen = replace(settings(policies, data), admin_key=Secret(KEY))
    async with running(chosen, records_to=None) as worker, await browser.new_context() as context:
        assert [await called(worker, model=each) for each in ("demo", "ok", HOSTILE)] == [200, 502, 404]
        reader = Reader(await tab(context), f"{worker.admin_url}/console/", FakeAdmin())
        listen(reader)
        await reader.let_in()

        for address in PAGES:
            await reader.open(address)
            assert await reader.page.locator("main .failure").count() == 0
        await reader.open("calls")
        await expect(reader.page.locator("tbody tr")).to_have_count(3)
        await reader.page.get_by_role("row").filter(has_text="demo").get_by_role("link").first.click()

        await expect(reader.page.locator(".story li").first).to_contain_text("'demo'")
        await expect(reader.page.get_by_role("button", name="chat demo")).to_be_visible()
        assert reader.complaints == []


async def called(worker: Running, *, model: str) -> int:
    """The status of one call that has been recorded."""
    assert worker.key is not None
    body = {"model": model, "messages": [{"role": "user", "content": HOSTILE}]}
    headers = {"authorization": f"Bearer {worker.key.reveal()}", "x-llmgw-tags": "prod"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{worker.url}/v1/chat/completions", json=body, headers=headers) as reply,
    ):
        await reply.read()
        return reply.status
