"""What a reader is told of prompt templates, and what they can order."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.console.conftest import Reader
from tests.console.fake_templates import ETAG

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_list_says_who_gets_which_version_and_what_was_stepped_back(reader: Reader) -> None:
    await reader.open("overview")
    await reader.page.keyboard.press("g")
    await reader.page.keyboard.press("p")
    await expect(reader.page.get_by_role("heading", level=1)).to_have_text("Templates")
    rows = reader.page.get_by_role("region", name="Templates").locator("tbody tr")

    await expect(rows).to_have_count(6)  # version 4 is nobody's
    await expect(rows.nth(0)).to_contain_text("production")
    await expect(rows.nth(0)).to_contain_text("90 %")
    await expect(rows.nth(1)).to_contain_text("cost 1.5x: 3.14 of 160")
    await expect(rows.nth(2)).to_contain_text("stepped back")
    await rows.nth(0).get_by_role("link", name="support").click()
    await expect(reader.page.get_by_role("heading", level=1)).to_have_text("Template support")


async def test_the_table_of_versions_has_intervals(reader: Reader) -> None:
    await reader.open("templates/support?range=24h")

    rows = reader.page.get_by_role("region", name="Versions").locator("tbody tr")
    await expect(rows).to_have_count(4)
    await expect(rows.nth(0)).to_contain_text("1,900")
    await expect(rows.nth(0)).to_contain_text("2 % [1 %, 4 %]")
    await expect(rows.nth(1)).to_contain_text("$0.00125 [$0.001, $0.0015]")
    await expect(rows.nth(3)).to_contain_text("shadow")
    (asked,) = reader.asked("templates/support")
    assert float(asked.partition("since=")[2]) == pytest.approx(reader.admin.now - 86_400, abs=60)


async def test_a_version_is_promoted_with_a_reason_and_what_was_seen(reader: Reader) -> None:
    await reader.open("templates/support")

    await reader.page.get_by_label("Why").fill("it is shorter")
    await reader.page.get_by_role("button", name="Promote version 2 …").click()
    await reader.page.get_by_role("button", name="Promote", exact=True).click()

    await expect(reader.page.get_by_text("100 % get version 2")).to_be_visible()
    await expect(reader.page.get_by_text("Promoted to version 2 by")).to_contain_text("it is shorter")
    assert reader.admin.templates.orders == [
        ("templates/support:promote", f'"{ETAG}"', {"version": 2, "reason": "it is shorter"})
    ]


async def test_nothing_is_ordered_by_one_click(reader: Reader) -> None:
    await reader.open("templates/support")

    for label, verb in (("Roll back …", "Roll back"), ("Do as the file says …", "Reset")):
        await reader.page.get_by_role("button", name=label).click()
        await expect(reader.page.get_by_role("button", name=verb, exact=True)).to_be_focused()
        await reader.page.keyboard.press("Escape")
    assert reader.admin.templates.orders == []
    await reader.page.get_by_role("button", name="Roll back …").click()
    await reader.page.get_by_role("button", name="Roll back", exact=True).click()

    await expect(reader.page.get_by_text("Rolled back to version 2")).to_be_visible()
    assert [path for path, _, _ in reader.admin.templates.orders] == ["templates/support:rollback"]


async def test_where_there_are_no_templates_it_says_how_to_begin(reader: Reader) -> None:
    reader.admin.templates.are_any = False

    await reader.open("templates")

    await expect(reader.page.get_by_label("A template")).to_contain_text("policies/templates/support.yaml")
