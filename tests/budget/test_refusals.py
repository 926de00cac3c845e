"""A refusal tells which level is short and what would help, and nothing of what others have spent."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.budget import refusals
from gateway.budget.limits import Account, Kind, Limit, Unit, account
from gateway.budget.reserve import NotAffordable, Shortage
from gateway.budget.windows import Calendar, Forever, Period, Rolling, Window
from gateway.core.deployment import Deployment, Provider
from gateway.core.ledger.operations import NEVER

DOCS = Path(__file__).parents[2] / "docs"
NOW = 1_000_000


def limit(scope: str, unit: Unit, amount: int, window: Window, kind: Kind = Kind.BUDGET) -> Account:
    return account(scope, "acme", Limit(unit, amount, window, kind))


MONEY = limit("team", Unit.USD, 5_000_000_000, Calendar(Period.DAY))
TOKENS = limit("org", Unit.TOKENS, 100, Forever())
RPM = limit("key", Unit.REQUESTS, 600, Rolling(60), Kind.RATE)
TPD = limit("user", Unit.TOKENS, 9_000, Rolling(86_400), Kind.RATE)
HOURLY = limit("model", Unit.TOKENS, 9_000, Rolling(3_600), Kind.RATE)
AT_ONCE = limit("key", Unit.CALLS, 50, Forever(), Kind.RATE)


def short(*shortages: tuple[Account, int, int]) -> NotAffordable:
    return NotAffordable([Shortage(*each) for each in shortages], NOW)


@pytest.mark.parametrize(
    ("found", "affordable", "code", "message"),
    [
        (short((MONEY, 0, NEVER)), None, "budget_exceeded", "The team's budget per day is spent."),
        (short((TOKENS, 0, NEVER)), 5, "budget_exceeded", "The organisation's token budget is spent."),
        (
            short((MONEY, 7, NEVER)),
            40,
            "budget_insufficient_for_request",
            "What is left of the team's budget per day does not cover this call; it covers max_tokens up to 40.",
        ),
        (
            short((MONEY, 7, NEVER)),
            None,
            "budget_insufficient_for_request",
            "What is left of the team's budget per day does not cover this call, whatever its max_tokens.",
        ),
        (
            short((MONEY, 7, NEVER), (TOKENS, 0, NEVER)),
            None,
            "budget_exceeded",
            "The organisation's token budget is spent.",
        ),
        (short((RPM, 0, NOW), (MONEY, 0, NEVER)), None, "budget_exceeded", "The team's budget per day is spent."),
        (short((RPM, 0, NOW)), None, "rate_limit_exceeded", "The key's limit of 600 requests per minute is reached."),
        (short((TPD, 3, NOW)), None, "rate_limit_exceeded", "The end user's limit of 9000 tokens per day is reached."),
        (
            short((HOURLY, 3, NOW)),
            None,
            "rate_limit_exceeded",
            "The model's limit of 9000 tokens per 3600s is reached.",
        ),
        (
            short((AT_ONCE, 0, NEVER)),
            None,
            "concurrency_exceeded",
            "The key has 50 calls under way, which is its limit.",
        ),
    ],
)
def test_a_refusal_names_the_level_and_what_would_help(
    found: NotAffordable, affordable: int | None, code: str, message: str
) -> None:
    refusal = refusals.refusal(found, affordable=affordable)

    assert (refusal.status, refusal.code, refusal.message) == (429, code, message)


@pytest.mark.parametrize(
    ("found", "type", "should_retry", "param", "remaining"),
    [
        (short((MONEY, 0, NEVER)), "insufficient_quota", False, None, "0"),
        (short((MONEY, 7, NEVER)), "insufficient_quota", False, "max_tokens", None),
        (short((RPM, 0, NOW)), "rate_limit_error", True, None, None),
        (short((AT_ONCE, 0, NEVER)), "rate_limit_error", True, None, None),
    ],
)
def test_only_what_passes_by_itself_is_tried_again(
    found: NotAffordable, type: str, should_retry: bool, param: str | None, remaining: str | None
) -> None:
    refusal = refusals.refusal(found, affordable=None)

    assert (refusal.type, refusal.should_retry, refusal.param) == (type, should_retry, param)
    assert (refusal.retry_after is not None) == should_retry
    assert dict(refusal.headers).get("x-llmgw-budget-remaining") == remaining


@pytest.mark.parametrize(
    ("fits_at", "seconds"), [(NOW, 1), (NOW + 1, 1), (NOW + 1001, 2), (NOW + 60_000, 60), (NEVER, 1)]
)
def test_a_rate_says_in_whole_seconds_when_the_call_fits_and_not_before(fits_at: int, seconds: int) -> None:
    assert refusals.refusal(short((RPM, 0, fits_at)), affordable=None).retry_after == seconds


def test_of_several_rates_the_last_to_give_way_is_told() -> None:
    refusal = refusals.refusal(short((RPM, 0, NOW + 2_000), (TPD, 0, NOW + 50_000)), affordable=None)

    assert "end user" in refusal.message
    assert refusal.retry_after == 50


def test_a_model_without_a_price_is_named() -> None:
    deployment = Deployment("lab/llama", Provider("lab", "openai"), "llama", None)

    refusal = refusals.unpriced(MONEY, deployment)

    assert (refusal.status, refusal.code, refusal.param) == (400, "model_not_priced", "model")
    assert "lab/llama" in refusal.message
    assert "team" in refusal.message


def test_no_refusal_tells_what_was_spent_or_whose_account_it_is() -> None:
    for each in (MONEY, TOKENS):
        for left in (0, 4_999):
            message = refusals.refusal(short((each, left, NEVER)), affordable=None).message
            assert not any(told in message for told in ("acme", "4999", "5000000000", "100"))
