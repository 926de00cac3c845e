"""`/admin/v1/budgets`: every budget and rate, used or not, with what is spent, held and left of it."""

from __future__ import annotations

from typing import Any

import aiohttp
import openai
import pytest

from gateway.core.ledger.operations import Balance
from gateway.ingress.admin.balances import rows
from tests.conftest import House

HELLO: Any = [{"role": "user", "content": "Say hello"}]
NOW = 1_800_000_000


async def budgets(admin: aiohttp.ClientSession) -> dict[str, dict[str, Any]]:
    """The rows, by the account's name without its window."""
    async with admin.get("/admin/v1/budgets") as reply:
        assert reply.status == 200
        found = (await reply.json())["budgets"]
    assert found == sorted(found, key=lambda row: str(row["account"]))
    return {row["account"].partition("|")[0]: row for row in found}


async def test_a_budget_that_nobody_has_used_is_listed_at_nothing(house: House, admin: aiohttp.ClientSession) -> None:
    await house.adopt(
        "tenants: {default: {}, acme: {teams: {search: {budget: [{usd: 50, per: day, zone: Europe/Berlin}]}}}}"
    )

    (row,) = (await budgets(admin)).values()

    assert {name: row[name] for name in ("level", "subject", "unit", "models", "window", "mode")} == {
        "level": "team",
        "subject": "acme/search",
        "unit": "usd",
        "models": [],
        "window": "day@Europe/Berlin",
        "mode": "hard",
    }
    nothing = dict.fromkeys(("settled", "overdraft", "held", "escrowed"), 0)
    assert {name: row[name] for name in (*nothing, "limit", "left")} == nothing | {
        "limit": 50 * 10**9,
        "left": 50 * 10**9,
    }
    assert (row["limit_usd"], row["settled_usd"], row["left_usd"]) == ("50", "0", "50")
    assert row["resets"] - row["begins"] in (82_800, 86_400, 90_000)
    assert row["window_id"] is not None
    assert row["rolling_seconds"] is None


async def test_what_was_spent_is_settled_at_every_level_and_adds_up(
    house: House, admin: aiohttp.ClientSession, sdk: openai.AsyncOpenAI
) -> None:
    await house.adopt(
        "tenants: {default: {budget: [{usd: 5, per: ever}, {tokens: 1M, per: 24h, models: [ok, 'gpt-*'], mode: soft}],"
        " rate: {rpm: 60}, users: {budget: [{usd: 1, per: month}]}, keys: [{name: 'ready*', budget: [{usd: 2, per: week}]}]}}"
    )
    await sdk.chat.completions.create(model="ok", messages=HELLO, user="ann")

    found = await budgets(admin)

    record = await house.only_record()
    cost, tokens = record["cost_nano_usd"], record["input_tokens"] + record["output_tokens"]
    key = f"key:default/{record['key_id']}:usd/week"
    assert set(found) == {
        "org:default:usd/ever",
        "org:default:tokens[gpt-*,ok]/86400s",
        "org:default:requests/60s",
        "user:default/ann:usd/month",
        key,
    }
    for name in ("org:default:usd/ever", "user:default/ann:usd/month", key):
        row = found[name]
        assert (row["settled"], row["overdraft"], row["held"]) == (cost, 0, 0)
        assert float(row["settled_usd"]) == pytest.approx(cost / 10**9)
        assert row["left"] == row["limit"] - row["settled"] - row["held"] - row["escrowed"]
    assert (found[key]["level"], found["user:default/ann:usd/month"]["level"]) == ("key", "user")
    assert found["user:default/ann:usd/month"]["subject"] == "default/ann"
    assert found["org:default:usd/ever"]["resets"] is None
    rate = found["org:default:requests/60s"]
    assert (rate["limit"], rate["settled"], rate["rolling_seconds"]) == (60, 1, 60)
    soft = found["org:default:tokens[gpt-*,ok]/86400s"]
    assert (soft["mode"], soft["models"], soft["settled"]) == ("soft", ["gpt-*", "ok"], tokens)
    assert not any(name.endswith("_usd") for name in soft)


async def test_the_limit_of_a_soft_budget_is_told(house: House, admin: aiohttp.ClientSession) -> None:
    await house.adopt("tenants: {default: {budget: [{tokens: 500, per: day, mode: soft}]}}")

    (row,) = (await budgets(admin)).values()

    assert (row["mode"], row["limit"], row["left"]) == ("soft", 500, 500)


def balance(account: str, **fields: Any) -> Balance:
    given: dict[str, Any] = {"limit": 100, "settled": 0, "over": 0, "held": 0, "escrowed": 0, "begin": 0, "bucket": 0}
    return Balance(account, end=2**52, **{**given, **fields})


def test_an_overdraft_and_what_a_lost_ledger_knew_are_told() -> None:
    (row,) = rows([balance("org:acme:usd/ever|", settled=60, base=30, over=20, held=7, escrowed=5)], {}, now=NOW)

    assert (row["settled"], row["overdraft"], row["held"], row["escrowed"], row["left"]) == (90, 20, 2, 5, 0)
    assert row["overdraft_usd"] == "0.00000002"


def test_a_window_that_has_ended_is_not_shown() -> None:
    ended = Balance("org:acme:usd/day|2027-01-14", 100, 60, 0, 0, 0, 0, NOW * 1000, 0)

    assert rows([ended], {}, now=NOW) == []
    assert len(rows([ended], {}, now=NOW - 1)) == 1


@pytest.mark.parametrize(
    ("name", "subject", "window"),
    [
        ("user:acme/a:b:usd/day:usd/day|2027-01-14", "acme/a:b:usd/day", "day"),
        ("user:acme/#3f2a:tokens/3600s|", "acme/#3f2a", "3600s"),
        ("model:lab/*:usd/day@Europe/Berlin|2027-01-14", "lab/*", "day@Europe/Berlin"),
    ],
)
def test_an_odd_subject_is_not_taken_for_something_else(name: str, subject: str, window: str) -> None:
    (row,) = rows([balance(name)], {}, now=NOW)

    assert (row["subject"], row["window"]) == (subject, window)


def test_an_account_of_an_older_version_is_shown_by_its_name() -> None:
    (row,) = rows([balance("nonsense")], {}, now=NOW)

    assert (row["account"], row["level"], row["left"]) == ("nonsense", None, 100)
