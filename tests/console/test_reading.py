"""What a reader does with the console: logs in, looks for calls, follows them, shares what they see."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Locator, expect

from gateway.ingress.admin.server import PREFIX
from tests.console import traffic
from tests.console.conftest import ELSEWHERE, Open, Reader
from tests.console.fake_admin import KEY

pytestmark = pytest.mark.asyncio(loop_scope="session")


def rows(reader: Reader, table: str = "Calls") -> Locator:
    return reader.page.get_by_role("region", name=table, exact=True).locator("tbody tr")


def last_query(reader: Reader, path: str = "calls") -> dict[str, str]:
    return {name: each[0] for name, each in parse_qs(urlsplit(reader.asked(path)[-1]).query).items()}


async def test_a_wrong_key_is_told_and_opens_nothing(open_tab: Open) -> None:
    reader = await open_tab()

    await reader.log_in("sk-llmgw-admin-wrong")

    await expect(reader.page.get_by_role("alert")).to_contain_text("not the admin key of this gateway")
    assert await reader.page.evaluate("() => sessionStorage.length") == 0
    await expect(reader.page.get_by_label("Admin key")).to_be_focused()


async def test_a_virtual_key_is_told_from_the_admin_key(open_tab: Open) -> None:
    reader = await open_tab()

    await reader.log_in("sk-llmgw-of-an-application")

    await expect(reader.page.get_by_role("alert")).to_contain_text("a virtual key, for applications")


async def test_a_key_of_any_letters_can_be_shown(open_tab: Open) -> None:
    reader = await open_tab()

    await reader.log_in("ключ 🗝")

    await expect(reader.page.get_by_role("alert")).to_contain_text("not the admin key")


async def test_the_key_is_in_no_address_and_gone_after_logging_out(open_tab: Open) -> None:
    reader = await open_tab()
    await reader.log_in()
    await expect(reader.page.get_by_role("heading", name="Overview")).to_be_visible()
    assert KEY not in reader.page.url
    assert not any(KEY in each for each in reader.admin.asked)

    await reader.page.get_by_role("button", name="Log out").click()

    await expect(reader.page.get_by_label("Admin key")).to_be_visible()
    assert await reader.page.evaluate("() => sessionStorage.length + localStorage.length") == 0


async def test_a_key_that_is_accepted_no_more_is_asked_for_again_in_place(open_tab: Open) -> None:
    reader = await open_tab()
    await reader.page.goto(f"{reader.url}#/errors?range=24h")
    await reader.page.evaluate("() => sessionStorage.setItem('llmgw.admin-key', 'sk-llmgw-admin-old')")
    await reader.page.reload()

    await expect(reader.page.get_by_role("alert")).to_contain_text("not accepted any more")
    await reader.page.get_by_label("Admin key").fill(KEY)
    await reader.page.keyboard.press("Enter")

    await expect(reader.page.get_by_role("heading", name="Errors")).to_be_visible()


async def test_plain_http_from_another_machine_is_warned_of(open_tab: Open) -> None:
    reader = await open_tab()
    reader.url = reader.url.replace("127.0.0.1", ELSEWHERE)

    await reader.log_in()
    await expect(reader.page.get_by_role("heading", name="Overview")).to_be_visible()

    await expect(reader.page.get_by_role("alert").filter(has_text="plain HTTP")).to_be_visible()


async def test_on_this_machine_there_is_no_such_warning(reader: Reader) -> None:
    await reader.open("overview")
    assert await reader.page.get_by_text("plain HTTP").count() == 0


@pytest.mark.parametrize(
    ("section", "answer"),
    [
        ("Latest errors", "What happened"),
        ("Latest calls", "Why this model"),
        ("Expensive calls", "Why this cost"),
        ("Slow calls", "Why this long"),
    ],
)
async def test_each_question_at_three_in_the_morning_is_answered_one_click_from_the_first_page(
    reader: Reader, section: str, answer: str
) -> None:
    await reader.open("overview")
    await rows(reader, section).first.get_by_role("link").first.click()

    await expect(reader.page.get_by_role("heading", name=answer)).to_be_in_viewport()


async def test_what_was_dropped_is_said_on_the_first_page(reader: Reader) -> None:
    await reader.open("overview")
    warnings = reader.page.get_by_role("list", name="Needs attention")

    await expect(warnings).to_contain_text("What is shown is not whole: 1,234 records dropped (queue).")


async def test_every_tile_leads_on(reader: Reader) -> None:
    await reader.open("overview")
    tiles = await reader.page.locator(".tile").evaluate_all("tiles => tiles.map(tile => tile.getAttribute('href'))")

    assert len(tiles) == 8
    assert all(tile.startswith(("#/calls", "#/errors", "#/latency", "#/spend")) for tile in tiles)


async def test_filters_are_in_the_address_and_come_back_from_it(reader: Reader) -> None:
    await reader.open("calls?range=24h")
    await reader.page.get_by_role("textbox", name="Status").fill("5xx")
    await reader.page.get_by_label("Model", exact=True).fill("gpt-4o")
    await reader.page.get_by_role("button", name="Filter", exact=True).click()
    await expect(reader.page).to_have_url(re.compile(r"#/calls\?range=24h&.*model=gpt-4o"))
    await reader.settled()
    shown = await rows(reader).count()

    await reader.page.reload()
    await reader.settled()

    assert last_query(reader) | {"status": "5xx", "model": "gpt-4o"} == last_query(reader)
    await expect(reader.page.get_by_role("textbox", name="Status")).to_have_value("5xx")
    assert await rows(reader).count() == shown > 0
    await reader.page.get_by_role("link", name="Clear all").click()
    await expect(rows(reader)).to_have_count(100)


async def test_every_filter_of_the_contract_can_be_chosen(reader: Reader) -> None:
    contract = """org team tenant key_id user model route deployment provider status outcome cache error_code tag conversation
    trace_id min_cost_usd max_cost_usd min_ms max_ms stream text"""
    await reader.open("calls")

    offered = await reader.page.locator(".filters [name]").evaluate_all("fields => fields.map(field => field.name)")

    assert sorted(offered) == sorted(contract.split())


async def test_a_filter_that_was_chosen_takes_effect_at_once(reader: Reader) -> None:
    await reader.open("calls?range=24h")

    await reader.page.get_by_label("Outcome").select_option("cache_exact")
    await expect(reader.page).to_have_url(re.compile("outcome=cache_exact"))
    await reader.settled()

    assert set(await rows(reader).locator("td:nth-child(3)").all_inner_texts()) == {"cache exact"}


async def test_all_calls_can_be_paged_through(reader: Reader) -> None:
    await reader.open("calls?range=7d&limit=500")
    await expect(rows(reader)).to_have_count(500)
    first = await rows(reader).first.inner_text()

    await reader.page.get_by_role("link", name="Older").click()
    await expect(reader.page).to_have_url(re.compile("before=500"))
    await reader.settled()
    assert await rows(reader).first.inner_text() != first
    await reader.page.get_by_role("button", name="Newer").click()
    await expect(reader.page).not_to_have_url(re.compile("before="))
    await reader.settled()

    assert await rows(reader).first.inner_text() == first


async def test_the_last_page_says_that_it_is_the_last(reader: Reader) -> None:
    await reader.open(f"calls?since=0&before={traffic.CALLS - 10}")

    await expect(reader.page.get_by_role("status")).to_have_text("10 calls, and no older ones")
    assert await reader.page.get_by_role("link", name="Older").count() == 0


async def test_calls_appear_as_they_end(reader: Reader) -> None:
    await reader.open("calls?live=1&tenant=acme%2Fsearch")
    await expect(reader.page.get_by_role("status")).to_contain_text("Live")
    new = traffic.call(3, reader.admin.now) | {"model": "brand-new", "id": "req_new"}

    await reader.admin.say(new)

    await expect(rows(reader, "Live calls").first).to_contain_text("brand-new")
    assert reader.admin.tails[0].query == {"tenant": "acme/search"}


async def test_a_flood_of_calls_is_cut_short_and_said_to_be(reader: Reader) -> None:
    await reader.open("calls?live=1")
    record = traffic.call(3, reader.admin.now)
    for number in range(600):
        await reader.admin.say(record | {"id": f"req_{number}"})
    await reader.admin.send(b'event: dropped\ndata: {"count": 41}\n\n')

    await expect(reader.page.get_by_role("status")).to_contain_text("too fast")

    assert await rows(reader, "Live calls").count() <= 200


async def test_a_tail_that_breaks_off_is_taken_up_again(reader: Reader) -> None:
    await reader.open("calls?live=1")
    await expect(reader.page.get_by_role("status")).to_contain_text("Live")
    reader.admin.tails[0].over.set()

    await expect(reader.page.get_by_role("status")).to_contain_text("connecting again")
    await expect(reader.page.get_by_role("status")).to_contain_text("Live")


async def test_leaving_the_tail_ends_it(reader: Reader) -> None:
    await reader.open("calls?live=1")
    await expect(reader.page.get_by_role("status")).to_contain_text("Live")

    await reader.page.get_by_role("switch", name="Live").click()
    async with asyncio.timeout(10):
        await reader.admin.left.wait()


async def test_the_time_range_goes_with_the_reader(reader: Reader) -> None:
    await reader.open("overview")
    await reader.page.get_by_role("link", name="24 h").click()
    await reader.page.get_by_role("navigation", name="Pages", exact=True).get_by_role("link", name="Latency").click()
    await expect(reader.page).to_have_url(re.compile(r"#/latency\?range=24h"))
    await reader.settled()

    asked = last_query(reader, "stats")
    assert abs(reader.admin.now - 86_400 - float(asked["since"])) < 60
    await expect(reader.page.get_by_role("link", name="24 h")).to_have_attribute("aria-current", "true")


async def test_a_range_of_ones_own_is_kept_in_the_address(reader: Reader) -> None:
    await reader.open("errors")
    await reader.page.get_by_role("button", name="Custom").click()
    await reader.page.get_by_label("from").fill("2026-11-01T10:00")
    await reader.page.get_by_label("to", exact=True).fill("2026-11-01T12:00")

    await reader.page.get_by_role("button", name="Apply").click()
    await expect(reader.page).to_have_url(re.compile(r"since=\d+&until=\d+"))
    await reader.settled()

    asked = last_query(reader, "errors")
    assert float(asked["until"]) - float(asked["since"]) == 7200


async def test_dragging_over_a_chart_chooses_its_time(reader: Reader) -> None:
    await reader.open("latency")
    box = await reader.page.locator(".plot").bounding_box()
    assert box is not None

    await reader.page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 80)
    await reader.page.mouse.down()
    await reader.page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 80)
    await reader.page.mouse.up()

    await expect(reader.page).to_have_url(re.compile(r"#/latency\?since=\d+&until=\d+"))


@pytest.mark.parametrize("shown", [f"req_{7:017x}", f"{8:032x}", f"00-{8:032x}-{8:016x}-01"])
async def test_a_call_is_found_by_what_somebody_was_given(reader: Reader, shown: str) -> None:
    await reader.open("overview")
    await reader.page.keyboard.press("/")
    await reader.page.keyboard.type(shown)
    await reader.page.keyboard.press("Enter")

    await expect(reader.page.get_by_role("heading", level=1)).to_contain_text(f"{7:017x}")


async def test_an_id_that_nobody_knows_is_told_as_such(reader: Reader) -> None:
    await reader.open("overview")
    await reader.page.get_by_role("searchbox").fill("req_nobody")
    await reader.page.keyboard.press("Enter")

    await expect(reader.page.locator("#find-failure")).to_have_text("There is no record of such a call.")


async def test_a_span_that_is_chosen_shows_its_attributes(reader: Reader) -> None:
    await reader.open(f"call/req_{1:017x}")

    await reader.page.get_by_role("button", name=re.compile("^chat azure")).click()

    await expect(reader.page.get_by_role("region", name="The chosen span")).to_contain_text("gen_ai.request.model")


async def test_ids_and_commands_can_be_copied(open_tab: Open) -> None:
    reader = await open_tab(permissions=["clipboard-read", "clipboard-write"])
    await reader.let_in()
    await reader.open(f"call/req_{1:017x}")
    buttons = reader.page.locator(".heading .copy")
    copied = []
    for number in range(await buttons.count()):
        await buttons.nth(number).click()
        await expect(buttons.nth(number)).to_have_text("copied")
        copied.append(await reader.page.evaluate("() => navigator.clipboard.readText()"))

    url = f"{reader.url.removesuffix('/console/')}{PREFIX}calls/req_{1:017x}"
    assert copied == [
        f"req_{1:017x}",
        f"{2:032x}",
        f"curl -sS '{url}' -H \"Authorization: Bearer $LLMGW_ADMIN_KEY\"",
        f"llmgw explain --call 'req_{1:017x}'",
    ]


async def test_the_keyboard_is_enough(reader: Reader) -> None:
    await reader.open("overview")
    page = reader.page
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()

    await page.keyboard.press("g")
    await page.keyboard.press("c")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Calls")
    await reader.settled()
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("heading", level=1)).to_contain_text("req_00000000000000001")
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()


async def test_single_keys_can_be_switched_off(reader: Reader) -> None:
    await reader.open("overview")
    await reader.page.keyboard.press("?")
    await reader.page.get_by_label("single keys do this").uncheck()
    await reader.page.keyboard.press("Escape")

    await reader.page.keyboard.press("g")
    await reader.page.keyboard.press("e")

    await expect(reader.page.get_by_role("heading", level=1)).to_have_text("Overview")


async def test_an_api_that_is_away_is_told(reader: Reader) -> None:
    await reader.page.route("**/admin/v1/errors*", lambda route: route.abort())

    await reader.open("errors")

    await expect(reader.page.get_by_role("alert").filter(has_text="cannot be reached")).to_be_visible()


async def test_money_is_shown_to_the_last_digit(reader: Reader) -> None:
    await reader.open("overview")
    shown = await reader.page.evaluate(
        """async () => {
          const from = document.querySelector("script[type=module]").src;
          const { usd, duration, roughCount } = await import(new URL("format.js", from));
          const { parse } = await import(new URL("api.js", from));
          const exact = parse('{"cost_nano_usd": 9007199254740993001}').cost_nano_usd;
          const money = [7500, 0, 1234567890123, exact, null].map((each) => usd(each));
          return [...money, ...[0.25, 7.25, 812.4, 61000].map((each) => duration(each)), roughCount(1234567)];
        }"""
    )

    assert shown == [
        "$0.0000075",
        "$0.00",
        "$1,234.567890123",
        "$9,007,199,254.740993001",
        "–",
        "250 µs",
        "7.3 ms",
        "812 ms",
        "61 s",
        "1.23M",
    ]
