"""What a reader does on the cache's page: sees what it saved, looks into answers, makes it forget."""

from __future__ import annotations

import pytest
from playwright.async_api import Locator, expect

from tests.console import fake_cache
from tests.console.conftest import Reader

pytestmark = pytest.mark.asyncio(loop_scope="session")


def answers(reader: Reader) -> Locator:
    return reader.page.get_by_role("region", name="Kept answers").locator("tbody tr")


async def test_what_it_answered_and_saved_is_told_by_kind_route_and_time(reader: Reader) -> None:
    await reader.open("cache")
    main = reader.page.get_by_role("main")

    await expect(main).to_contain_text("Answered from the cache")
    await expect(main).to_contain_text("60 answers")
    await expect(reader.page.get_by_role("img", name="Calls that were looked up, by what was found")).to_be_visible()
    await expect(reader.page.get_by_role("img", name="Hits by route, in percent")).to_be_visible()
    routes = reader.page.get_by_role("region", name="Routes")
    await expect(routes.locator("tbody tr")).to_have_count(3)
    await expect(routes).to_contain_text("no rule ×")
    await expect(main).to_contain_text("these are the latest")


async def test_where_nothing_is_cached_it_says_how_to_begin(reader: Reader) -> None:
    reader.admin.cache.is_used = False

    await reader.open("cache")

    await expect(reader.page.get_by_label("A policy that switches the cache on")).to_contain_text("exact: {ttl: 1h}")
    await expect(reader.page.get_by_role("main")).to_contain_text("the store is away")
    await expect(reader.page.get_by_text("No answer is kept that has these marks.")).to_be_visible()


async def test_answers_are_found_by_their_marks_page_by_page(reader: Reader) -> None:
    await reader.open("cache")
    await expect(answers(reader)).to_have_count(fake_cache.PAGE)
    await reader.page.get_by_role("link", name="More").click()
    await expect(answers(reader).first).to_contain_text(f"ce_{fake_cache.PAGE:016x}")
    await reader.settled()
    assert any("after=25" in each for each in reader.asked("cache/entries"))

    await reader.page.get_by_label("Tag", exact=True).fill("docs")
    await reader.page.get_by_label("Organisation", exact=True).fill("acme")
    await reader.page.keyboard.press("Enter")

    await expect(answers(reader)).to_have_count(20)
    assert reader.asked("cache/entries")[-1].endswith("?org=acme&tag=docs")
    await expect(reader.page.get_by_text("20 answers, and no more")).to_be_visible()


async def test_an_answer_is_looked_into_and_forgotten_after_a_second_question(reader: Reader) -> None:
    await reader.open("cache")
    await answers(reader).first.get_by_role("link").click()
    one = reader.page.get_by_role("region", name="One kept answer")
    await expect(one).to_contain_text("Because.")
    await expect(one).to_contain_text("Why?")

    await one.get_by_role("button", name="Forget this answer").click()
    assert reader.admin.cache.ordered == []
    await one.get_by_role("button", name="Forget", exact=True).click()

    await expect(one).to_have_count(0)
    assert reader.admin.cache.ordered == [{"entry": f"ce_{0:016x}"}]
    await expect(answers(reader).first).to_contain_text(f"ce_{1:016x}")


async def test_what_fits_the_marks_is_forgotten_and_a_change_of_mind_is_heard(reader: Reader) -> None:
    await reader.open("cache?org=acme")
    forget = reader.page.get_by_role("button", name="Forget all that have these marks")
    await forget.click()
    await expect(reader.page.get_by_text("Forget all with org acme?")).to_be_visible()
    await expect(reader.page.get_by_role("button", name="Forget", exact=True)).to_be_focused()
    await reader.page.keyboard.press("Escape")
    await expect(forget).to_be_focused()
    assert reader.admin.cache.ordered == []

    await reader.page.keyboard.press("Enter")
    await expect(reader.page.get_by_role("button", name="Forget", exact=True)).to_be_focused()
    await reader.page.keyboard.press("Enter")

    await expect(reader.page.get_by_role("status").filter(has_text="20 answers are removed.")).to_be_visible()
    assert reader.admin.cache.ordered == [{"org": "acme"}]
    await expect(reader.page.get_by_text("No answer is kept that has these marks.")).to_be_visible()


async def test_everything_is_forgotten_only_when_it_is_said(reader: Reader) -> None:
    await reader.open("cache")

    await reader.page.get_by_role("button", name="Forget everything").click()
    await reader.page.get_by_role("button", name="Forget", exact=True).click()

    await expect(reader.page.get_by_role("status").filter(has_text="and more will be")).to_be_visible()
    assert reader.admin.cache.ordered == [{"all": True}]


async def test_an_order_that_is_refused_is_told(reader: Reader) -> None:
    await reader.open("cache?tag=docs")
    await reader.page.route("**/cache:purge", lambda route: route.fulfill(status=503, body="{}"))

    await reader.page.get_by_role("button", name="Forget all that have these marks").click()
    await reader.page.get_by_role("button", name="Forget", exact=True).click()

    await expect(reader.page.get_by_role("alert").filter(has_text="503")).to_be_visible()
    await expect(answers(reader)).to_have_count(20)


async def test_the_keyboard_goes_there(reader: Reader) -> None:
    await reader.open("overview")
    await reader.page.keyboard.press("g")
    await reader.page.keyboard.press("h")

    await expect(reader.page.get_by_role("heading", level=1)).to_have_text("Cache")
