"""Tools that providers run are bounded by what the request says of them, or known to have no bound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from gateway.core.call import Call, Operation
from gateway.core.clock import Clock
from gateway.core.deployment import Abilities, Deployment, Provider
from gateway.core.money import Price
from gateway.core.usage import Details, Usage
from gateway.meter.bound import Bounds
from gateway.meter.price import PriceTable, ceiling, cost
from gateway.meter.server_tools import reach
from gateway.meter.tokens import Tokens
from gateway.upstream.dialects.openai.usage import read_usage
from gateway.upstream.dialects.responses.usage import chat_usage

SEARCH = {"type": "web_search_20250305", "name": "web_search"}
FETCH = {"type": "web_fetch_20250910", "name": "web_fetch"}
FUNCTION = {"type": "function", "function": {"name": "f"}}
MESSAGES = [{"role": "user", "content": "hi"}]
PRICE = Price(input=3_000_000_000, output=15_000_000_000, web_search=10_000_000)


def at(dialect: str, model: str = "m", price: Price | None = PRICE) -> Deployment:
    return Deployment(f"p/{model}", Provider("p", dialect), model, price, abilities=Abilities(prompt=100_000))


def asking(tools: list[Any] | None = None, **fields: Any) -> Call:
    fields = {"model": "m", "messages": MESSAGES, **({} if tools is None else {"tools": tools}), **fields}
    has = frozenset({"tools"}) if tools else frozenset()
    return Call("r", Operation.CHAT, 0.0, "m", orjson.dumps(fields), fields, has=has)


def native(dialect: str, dropped: tuple[str, ...] = (), **fields: Any) -> Call:
    return replace(asking([FUNCTION]), dialect=dialect, native=orjson.dumps(fields), dropped=dropped)


@pytest.mark.parametrize(
    ("call", "dialect", "searches", "uses", "unbounded"),
    [
        (asking(), "anthropic", 0, 0, None),
        (asking([FUNCTION]), "anthropic", 0, 0, None),
        (asking([SEARCH]), "anthropic", 0, 0, "web_search_20250305"),
        (asking([{**SEARCH, "max_uses": 3}, FUNCTION]), "anthropic", 3, 3, None),
        (asking([{**SEARCH, "max_uses": 3}, {**FETCH, "max_uses": 2}]), "anthropic", 3, 5, None),
        (asking([{**SEARCH, "max_uses": True}]), "anthropic", 0, 0, "web_search_20250305"),
        (asking([{**SEARCH, "max_uses": -1}]), "anthropic", 0, 0, "web_search_20250305"),
        (asking([{"type": "bash_20250124", "name": "bash"}]), "anthropic", 0, 0, None),
        (
            asking([{"type": "code_execution_20250825", "name": "x", "max_uses": 1}]),
            "anthropic",
            0,
            0,
            "code_execution_20250825",
        ),
        (native("anthropic", tools=[SEARCH]), "anthropic", 0, 0, "web_search_20250305"),
        (native("anthropic", mcp_servers=[{"url": "https://x"}]), "anthropic", 0, 0, "mcp_servers"),
        (asking([SEARCH]), "gemini", 0, 0, None),
        (native("responses", tools=[{"type": "web_search"}]), "responses", 0, 0, "web_search"),
        (native("responses", tools=[{"type": "web_search"}], max_tool_calls=4), "responses", 4, 4, None),
        (
            native("responses", tools=[{"type": "image_generation"}], max_tool_calls=4),
            "responses",
            0,
            0,
            "image_generation",
        ),
        (native("responses", tools=[{"type": "shell"}, {"type": "custom", "name": "x"}]), "responses", 0, 0, None),
        (
            native("responses", tools=[{"type": "shell", "environment": {"type": "container_auto"}}]),
            "responses",
            0,
            0,
            "shell",
        ),
        (asking([{"type": "browser_search"}]), "openai", 0, 0, "browser_search"),
        (asking(web_search_options={}), "openai", 1, 1, None),
        (asking([FUNCTION]), "openai", 0, 0, None),
    ],
)
def test_how_far_a_call_may_go(call: Call, dialect: str, searches: int, uses: int, unbounded: str | None) -> None:
    found = reach(call, at(dialect))

    assert (found.searches, found.uses, found.unbounded) == (searches, uses, unbounded)


def test_a_model_that_always_searches_is_billed_for_it() -> None:
    assert reach(asking(), at("openai", "gpt-4o-search-preview")).searches == 1
    assert reach(asking(), at("openai", "gpt-4o")).searches == 0


def test_the_whole_context_is_held_once_more_for_each_use_and_the_fee_of_each_search() -> None:
    bounds, plain, searching = Bounds(Tokens()), asking([FUNCTION]), asking([{**SEARCH, "max_uses": 2}])
    there = at("anthropic")

    sent = bounds.sent(searching, there)

    assert bounds.sent(plain, there) < 5_000
    assert 200_000 < sent < 205_000
    held, without = (bounds.ceiling(call, there, sent=sent, made=0) for call in (searching, plain))
    assert held is not None
    assert without is not None
    assert held - without == 2 * 10_000_000


def test_a_search_whose_price_nobody_knows_has_no_bound() -> None:
    bounds, call = Bounds(Tokens()), asking([{**SEARCH, "max_uses": 2}])

    assert bounds.boundless(call, at("anthropic")) is None
    assert "search" in (bounds.boundless(call, at("anthropic", price=replace(PRICE, web_search=None))) or "")


def test_searches_and_tokens_that_are_kept_for_an_hour_are_priced_by_themselves() -> None:
    price = Price(input=1_000_000, output=0, cache_write=2_000_000, cache_write_1h=4_000_000, web_search=7)
    usage = Usage(1000, 0, details=Details(cache_write=300, cache_write_1h=100), searches=3)

    assert cost(usage, price) == 700 + 200 * 2 + 100 * 4 + 3 * 7
    assert cost(usage, replace(price, cache_write_1h=None)) == 700 + 300 * 2 + 3 * 7
    assert cost(usage, replace(price, cache_write=None)) == 700 + 200 + 100 * 4 + 3 * 7
    assert ceiling(1000, 0, price, searches=3) == 1000 * 4 + 3 * 7


def test_anthropic_s_own_prices_are_in_the_table() -> None:
    provider = Provider("anthropic", "anthropic", host="api.anthropic.com")

    price = PriceTable(Clock()).price(provider, "claude-sonnet-4-5")

    assert price is not None
    assert price.cache_write_1h == 2 * price.input
    assert price.web_search == 10_000_000


def test_usage_tells_searches_and_what_is_kept_for_an_hour() -> None:
    told = {
        "prompt_tokens": 100,
        "completion_tokens": 5,
        "prompt_tokens_details": {
            "cache_write_tokens": 60,
            "cache_creation_token_details": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 40},
        },
        "server_tool_use": {"web_search_requests": 2},
    }

    usage = read_usage(told, Operation.CHAT)

    assert usage is not None
    assert (usage.searches, usage.details.cache_write, usage.details.cache_write_1h) == (2, 60, 40)


def test_of_a_response_s_calls_only_searches_count() -> None:
    actions = [{"type": "search"}, {"type": "open_page"}, {"type": "find_in_page"}, None]
    output = [{"type": "web_search_call", "action": each} for each in actions]

    told = chat_usage({"usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}, "output": output})

    assert told is not None
    assert told["server_tool_use"] == {"web_search_requests": 2}
