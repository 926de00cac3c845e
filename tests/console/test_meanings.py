"""What a reader sees of answers that are found by their meaning, and how one that was wrong is reported."""

from __future__ import annotations

import re
from pathlib import Path

import orjson
import pytest
from playwright.async_api import Locator, expect

from gateway.cache import admission, keep
from gateway.cache.semantic import asked
from tests.console import traffic
from tests.console.conftest import Reader
from tests.console.traffic import ENTRY, HOSTILE

pytestmark = pytest.mark.asyncio(loop_scope="session")
WORDS = Path(__file__).parents[2] / "gateway" / "console" / "reasons.js"


def route(reader: Reader, name: str) -> Locator:
    return reader.page.get_by_role("region", name=f"By meaning: {name} → gpt-4o-mini", exact=True)


def number_of(outcome: str) -> int:
    """A call that came to this."""
    return next(each for each in range(10_000) if traffic.call(each, 0.0)["outcome"] == outcome)


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("faq", "earned: served from 0.9 on; at most 1.9 % wrong, 95 % sure"),
        ("chat", "learning: 120 of about 330 comparisons"),
        (HOSTILE, "off: its hits were wrong too often"),
        ("(no route)", "unproven: the threshold was set by hand, served from 0.95 on"),
    ],
)
async def test_where_a_route_stands_is_said_in_words(reader: Reader, name: str, state: str) -> None:
    await reader.open("cache")

    await expect(route(reader, name).get_by_text(state, exact=True)).to_be_visible()


async def test_similarities_are_drawn_with_the_threshold(reader: Reader) -> None:
    await reader.open("cache")

    earned = route(reader, "faq").get_by_role("img", name=re.compile("threshold at 0.9$"))
    await expect(earned.get_by_text("served from 0.9 on")).to_be_visible()
    assert await earned.locator("rect.served").count() > 0
    learning = route(reader, "chat").get_by_role("img", name=re.compile("no threshold yet$"))
    await expect(learning).to_be_visible()
    assert await learning.locator("line.threshold, rect.served").count() == 0


async def test_near_misses_tell_what_kept_them_apart_and_lead_to_the_kept_answer(reader: Reader) -> None:
    await reader.open("cache")
    misses = reader.page.get_by_role("region", name="Near misses: faq → gpt-4o-mini").locator("tbody tr")

    await expect(misses).to_have_count(3)
    await expect(misses.first).to_contain_text(f"What does {HOSTILE} mean?")  # the newest first
    await expect(misses.last).to_contain_text("the nearest question differs in its number")
    assert await misses.get_by_role("button").count() == 0
    await misses.last.get_by_role("link").click()

    await expect(reader.page.get_by_role("region", name="One kept answer")).to_contain_text(ENTRY)


async def test_an_example_is_reported_as_wrong_after_a_second_question(reader: Reader) -> None:
    await reader.open("cache")
    wrong = reader.page.get_by_role("region", name="Wrong answers: faq → gpt-4o-mini")
    await wrong.get_by_role("button", name="Report as wrong").click()
    await expect(wrong.get_by_role("button", name="Report", exact=True)).to_be_focused()
    await reader.page.keyboard.press("Escape")
    await expect(wrong.get_by_role("button", name="Report as wrong")).to_be_focused()
    assert reader.admin.cache.meanings.reported == []

    await reader.page.keyboard.press("Enter")
    await wrong.get_by_role("button", name="Report", exact=True).click()

    await expect(wrong).to_have_count(0)
    await expect(reader.page.get_by_role("status").filter(has_text="The answer is removed")).to_be_visible()
    assert reader.admin.cache.meanings.reported == [(ENTRY, {"bad": True})]


async def test_a_report_that_is_refused_is_told(reader: Reader) -> None:
    await reader.open("cache")
    await reader.page.route("**/*:report", lambda route: route.fulfill(status=503, body="{}"))
    wrong = reader.page.get_by_role("region", name="Wrong answers: faq → gpt-4o-mini")

    await wrong.get_by_role("button", name="Report as wrong").click()
    await wrong.get_by_role("button", name="Report", exact=True).click()

    await expect(wrong.get_by_role("alert")).to_contain_text("503")


async def test_what_is_missing_for_it_is_said(reader: Reader) -> None:
    reader.admin.cache.meanings.is_installed = False
    await reader.open("cache")
    section = reader.page.get_by_role("region", name="By meaning", exact=True)
    await expect(section).to_contain_text("make semantic run")
    await expect(section).to_contain_text("No call has come to this worker yet for legal")

    reader.admin.cache.meanings.is_asked = False
    await reader.open("cache")

    await expect(section).to_contain_text("No rule of the policy asks for it")
    await expect(section).not_to_contain_text("make semantic")


async def test_a_call_that_was_answered_by_meaning_leads_to_the_answer_and_can_be_reported(reader: Reader) -> None:
    id = f"req_{number_of('cache_semantic'):017x}"
    await reader.open(f"call/{id}")
    cache = reader.page.get_by_role("region", name="Cache", exact=True)

    await expect(cache).to_contain_text("the answer to a question in other words")
    await expect(cache).to_contain_text("0.97")
    await expect(cache).to_contain_text("813 ms")
    await cache.get_by_role("button", name="Report as wrong").click()
    await cache.get_by_role("button", name="Report", exact=True).click()
    await expect(cache.get_by_role("status")).to_contain_text("The answer is removed")
    assert reader.admin.cache.meanings.reported == [(ENTRY, {"bad": True, "request_id": id})]
    await cache.get_by_role("link").click()

    await expect(reader.page.get_by_role("region", name="One kept answer")).to_contain_text("Because.")


async def test_a_call_that_missed_says_why_in_words(reader: Reader) -> None:
    missed = next(each for each in range(100) if traffic.call(each, 0.0)["cache_reason"] == "expired")
    await reader.open(f"call/req_{missed:017x}")
    cache = reader.page.get_by_role("region", name="Cache", exact=True)

    await expect(cache).to_contain_text("what was kept has expired")
    await expect(cache.get_by_role("button")).to_have_count(0)


async def test_a_call_that_was_refused_first_says_so(reader: Reader) -> None:
    await reader.open(f"call/req_{number_of('rejected_auth'):017x}")

    await expect(reader.page.get_by_role("region", name="Cache", exact=True)).to_contain_text("did not get that far")


async def test_the_words_are_those_of_the_gateway() -> None:
    shown = {
        name: orjson.loads(text) for name, text in re.findall(r"^  (\w+): (\".*\"),$", WORDS.read_text(), re.MULTILINE)
    }

    assert shown == {**admission.REFUSALS, **asked.REASONS, **keep.MISSES}
