"""What a reader is told of routing: how candidates stand, and why a call was answered by whom it was."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.console.conftest import Reader

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_how_each_candidate_stands_is_told_with_its_loss_and_what_trials_cost(reader: Reader) -> None:
    await reader.open("overview")
    await reader.page.keyboard.press("g")
    await reader.page.keyboard.press("t")
    await expect(reader.page.get_by_role("heading", level=1)).to_have_text("Routing")
    rows = reader.page.get_by_role("region", name="Certificates").locator("tbody tr")

    await expect(rows).to_have_count(4)
    await expect(rows.nth(0)).to_contain_text("certified, suspicious")
    await expect(rows.nth(0).get_by_role("img")).to_have_attribute(
        "aria-label", "Loss: 0.4 %, from 0 % to 1.43 %; allowed: 5 %"
    )
    await expect(rows.nth(0)).to_contain_text("$1.25 of $20.00")
    await expect(rows.nth(1).get_by_role("img")).to_have_attribute("aria-label", "Loss: unknown; allowed: 5 %")
    await expect(rows.nth(2)).to_contain_text("revoked")
    await expect(rows.nth(3)).to_contain_text("no limit")
    await rows.nth(0).get_by_role("link", name="2 %").click()
    await reader.settled()
    assert any("outcome=trial" in each and "route=chat" in each for each in reader.asked("calls"))


async def test_where_no_route_has_candidates_it_says_how_to_begin(reader: Reader) -> None:
    reader.admin.certificates.are_any = False

    await reader.open("routing")

    await expect(reader.page.get_by_label("A route with a candidate")).to_contain_text("candidates: [cheap]")


async def test_a_call_tells_its_candidates_its_score_and_what_was_asked_beside_it(reader: Reader) -> None:
    await reader.open("call/req_00000000000000006")

    candidates = reader.page.get_by_role("region", name="Candidates").locator("tbody tr")
    await expect(candidates.nth(0)).to_contain_text("yes")
    await expect(candidates.nth(1)).to_contain_text("no: a stream")
    await expect(reader.page.get_by_role("main")).to_contain_text("0.0213, where the strong model answers above 0.05")
    beside = reader.page.get_by_role("region", name="Asked beside it").locator("tbody tr")
    await expect(beside.nth(0)).to_contain_text("quality 0, the reference's 1 (failed")
    await expect(beside.nth(1)).to_contain_text("not recorded (yet)")
    await reader.page.get_by_role("link", name="what has been shown of them").click()
    await expect(reader.page.get_by_role("heading", level=1)).to_have_text("Routing")
