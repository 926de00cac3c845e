"""Every page can be read by anybody, in light and dark, and what is shown is text."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.console import fake_cache
from tests.console.conftest import Open, Reader, violations
from tests.console.traffic import HOSTILE

pytestmark = pytest.mark.asyncio(loop_scope="session")
PAGES = {
    "overview": "Overview",
    "calls": "Calls",
    "calls?live=1": "Calls",
    "call/req_00000000000000006": "Call",
    "latency": "Latency by model",
    "spend": "Spend by model",
    "budgets": "Budgets and rates",
    "cache": "Cache",
    f"cache?entry={fake_cache.name(0)}": "Cache",
    "routing": "Routing",
    "templates": "Templates",
    "templates/support": "Template support",
    "upstreams": "Upstreams",
    "errors": "Errors",
}


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_every_page_is_accessible_and_complains_of_nothing(open_tab: Open, theme: str) -> None:
    reader = await open_tab(color_scheme=theme, reduced_motion="reduce")
    await reader.let_in()
    found: list[str] = []
    for address, title in PAGES.items():
        await reader.open(address)
        await expect(reader.page.get_by_role("heading", level=1)).to_contain_text(title)
        found += await violations(reader.page)
        await expect(reader.page.locator(".failure:not(:empty)")).to_have_count(0)

    assert "\n".join(found) == ""


async def test_what_is_stored_is_never_taken_for_markup(reader: Reader) -> None:
    for address in PAGES:
        await reader.open(address)

        assert await reader.page.locator("main img").count() == 0
        assert (HOSTILE in await reader.page.inner_text("main")) or address == "calls?live=1"


async def test_no_page_is_wider_than_800_pixels(open_tab: Open) -> None:
    reader = await open_tab(viewport={"width": 800, "height": 900})
    await reader.let_in()
    for address in PAGES:
        await reader.open(address)

        assert await reader.page.evaluate("() => document.documentElement.scrollWidth") <= 800, address


async def test_the_switch_goes_before_the_system_and_is_kept(open_tab: Open) -> None:
    reader = await open_tab(color_scheme="light")
    await reader.let_in()
    await reader.open("overview")
    background = "() => getComputedStyle(document.documentElement).backgroundColor"
    light = await reader.page.evaluate(background)

    await reader.page.get_by_label("Theme").select_option("dark")
    dark = await reader.page.evaluate(background)
    await reader.page.reload()

    assert light != dark
    assert await reader.page.evaluate(background) == dark


async def test_an_unknown_page_says_so(reader: Reader) -> None:
    await reader.page.goto(f"{reader.url}#/nowhere")

    await expect(reader.page.get_by_role("heading", level=1)).to_have_text("No such page")


async def test_a_call_that_nobody_knows_is_told_as_such(reader: Reader) -> None:
    await reader.page.goto(f"{reader.url}#/call/req_unknown")

    await expect(reader.page.get_by_role("alert").filter(has_text="no record")).to_be_visible()
