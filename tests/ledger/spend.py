"""R1: whatever many clients on several workers ask for at once, no account is ever over its limit, and none ends early."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from gateway.core.clock import Clock
from gateway.core.ledger.operations import Balance
from gateway.core.secret import Secret
from gateway.store.open import open_store
from tests.faults.chaosprov import Chaosprov
from tests.faults.oracle import Call
from tests.ledger import oracle
from tests.ledger.clients import Key, Replies, closed_loop, mixed, open_loop
from tests.ledger.finding import Finding, at_least, at_most, equal, figure, nothing
from tests.ledger.gateway import Account, Gateway, Row, Wanted, serving, sum_of
from tests.ledger.sampler import IN_FORCE, Watch, at_rest, held, watching

POLICY = """\
version: 1
providers:
  chaos: {{dialect: openai, base_url: "{base_url}", key: sk-chaos-canary, allow_private: true}}
models:
  random: {{use: chaos/ok-random, price: {price}, max_output: 48}}
tenants:
  acme:
    budget: [{{usd: {organisation}, per: {per}}}]
    keys: [{{name: small, budget: [{{usd: {small}, per: ever}}]}}]
    teams:
      search: {{budget: [{{usd: {team}, per: ever}}]}}
      ads: {{budget: [{{usd: {team}, per: ever}}]}}
"""
KEYS = (("searching", "acme/search"), ("small", "acme/search"), ("advertising", "acme/ads"))
AWAY = "503 budget_store_unavailable"  # on a machine that is too busy, Redis does not answer in time
ANSWERS = ("200", "429 budget_exceeded", "429 budget_insufficient_for_request")
USED = 0.95
BEFORE_MINUTE = 8.0


class Change(Enum):
    """What happens in the middle of the run."""

    NOTHING = "nothing"
    RAISED = "the organisation's budget is doubled"
    CUT = "the organisation's budget is halved"
    WINDOW = "a new minute begins"


@dataclass(frozen=True, slots=True)
class Size:
    """`budget` is the organisation's, in nano-USD."""

    clients: int
    calls: int
    budget: int


@dataclass(frozen=True, slots=True)
class Run:
    """What there is to be compared when everything has ended. `cut` is what was committed when a cut was in force."""

    replies: Replies
    watch: Watch
    rest: dict[str, Account]
    records: Sequence[Row]
    calls: Sequence[Call]
    balances: dict[str, Balance]
    cut: int = 0


async def spend(folder: Path, size: Size, wanted: Wanted, change: Change) -> list[Finding]:
    """The policy in `wanted` is replaced by the scenario's own."""
    async with Chaosprov() as provider:
        before = policy(provider, size, change, is_changed=False)
        async with serving(folder, replace(wanted, policy=before)) as gateway:
            keys = [Key(name, await gateway.create_key(name, tenant)) for name, tenant in KEYS]
            async with watching(gateway) as watch:
                if change is Change.WINDOW:
                    await _before_a_minute_ends()
                changing = asyncio.create_task(_change(gateway, provider, size, change))
                replies = await _load(gateway, keys, size, change, changing)
                cut = await changing
            rest = await at_rest(gateway)
            records = await gateway.settled_records(len(replies.all))
            balances = await _balances(folder, wanted)
            return judge(Run(replies, watch, rest, records, provider.calls, balances, cut), size, change)


def policy(provider: Chaosprov, size: Size, change: Change, *, is_changed: bool) -> str:
    whole = size.budget
    if (change is Change.RAISED and not is_changed) or (change is Change.CUT and is_changed):
        whole //= 2
    return POLICY.format(
        base_url=provider.base_url,
        price=oracle.PRICE,
        organisation=_usd(whole),
        per="minute" if change is Change.WINDOW else "day",
        small=_usd(size.budget // 5),
        team=_usd(size.budget * 3 // 5 if change is not Change.WINDOW else size.budget * 10),
    )


def judge(run: Run, size: Size, change: Change) -> list[Finding]:
    organisation = sum(each.spent for name, each in run.balances.items() if name.startswith("org:acme:"))
    limit = max(size.budget // 2, run.cut) if change is Change.CUT else size.budget
    windows = [each for name, each in run.balances.items() if name.startswith("org:acme:")]
    truth = oracle.costs(run.calls)
    findings = [
        figure("calls, and what became of them", _words(run.replies)),
        figure("samples of the budget API", f"{run.watch.samples:,}"),
        nothing("samples with more committed than the limit", run.watch.over),
        nothing("answers that are neither 200 nor a refusal for the budget", run.replies.others_than(*ANSWERS, AWAY)),
        at_most(
            "share of calls for which the store had no time, %", 1.0, run.replies.share(AWAY) * 100, is_timing=True
        ),
        *(_overshoot(each, limit) for each in windows),
        *_teams(run, size, change),
        equal("overdraft, nano-USD", 0, sum(each.over for each in run.balances.values())),
        equal("the provider's own count, nano-USD", truth, organisation),
        equal("sum of the call records, nano-USD", truth, sum_of(run.records)),
        equal("call records", len(run.replies.all), len(run.records)),
        nothing("still held afterwards", held(run.rest.values())),
    ]
    if change is not Change.WINDOW:
        used_of = size.budget // 2 if change is Change.CUT else size.budget
        used = organisation / used_of
        findings.append(at_least("used of the organisation's budget", USED, used))
    else:
        findings.append(at_least("windows that were spent in", 2, len([each for each in windows if each.spent])))
    return findings


def _overshoot(balance: Balance, limit: int) -> Finding:
    return at_most(f"overshoot of {balance.account}, nano-USD", 0, max(0, balance.spent - limit))


def _teams(run: Run, size: Size, change: Change) -> list[Finding]:
    """The provider's count of each key beside what the ledger has of its team and of the small key."""
    by_key = {name: oracle.costs(call for call in run.calls if oracle.key_of(call) == name) for name, _ in KEYS}
    search, ads, small = (_spent(run, start) for start in ("team:acme/search:", "team:acme/ads:", "key:"))
    found = [
        equal("team search, nano-USD", by_key["searching"] + by_key["small"], search),
        equal("team ads, nano-USD", by_key["advertising"], ads),
        equal("the small key, nano-USD", by_key["small"], small),
        at_most("overshoot of the small key, nano-USD", 0, max(0, small - size.budget // 5)),
    ]
    if change is Change.NOTHING:
        found.append(at_least("used of the small key's budget", USED, small / (size.budget // 5)))
    return found


def _spent(run: Run, start: str) -> int:
    return sum(each.spent for name, each in run.balances.items() if name.startswith(start))


def _words(replies: Replies) -> str:
    return ", ".join(f"{count:,} × {word}" for word, count in replies.words().most_common())


async def _load(
    gateway: Gateway, keys: Sequence[Key], size: Size, change: Change, changing: asyncio.Task[int]
) -> Replies:
    """Once as many calls after a change is in force as before."""
    if change is Change.WINDOW:
        seconds = BEFORE_MINUTE * 2
        return await open_loop(gateway.url, keys, per_second=size.calls / seconds, seconds=seconds, draw=mixed)
    replies = await closed_loop(
        gateway.url, keys, clients=size.clients, calls=size.calls, draw=mixed, may_end=changing.done
    )
    if change is not Change.NOTHING:
        after = await closed_loop(gateway.url, keys, clients=size.clients, calls=size.calls, draw=mixed)
        replies.all += after.all
    return replies


async def _change(gateway: Gateway, provider: Chaosprov, size: Size, change: Change) -> int:
    """Changes the policy in the middle of the run. What the organisation had committed when a cut was in force."""
    if change not in (Change.RAISED, Change.CUT):
        return 0
    while oracle.costs(provider.calls) < size.budget // 4:
        await asyncio.sleep(0.02)
    gateway.write_policy(policy(provider, size, change, is_changed=True))
    await asyncio.sleep(IN_FORCE)
    accounts = await gateway.accounts()
    return sum(each.committed for name, each in accounts.items() if name.startswith("org:acme:"))


async def _before_a_minute_ends() -> None:
    left = 60 - time.time() % 60
    await asyncio.sleep((left - BEFORE_MINUTE) % 60)


async def _balances(folder: Path, wanted: Wanted) -> dict[str, Balance]:
    """The ledger's own rows, those of windows that have ended too, which the admin API no longer shows."""
    store = await open_store(wanted.store, folder / "data", pepper=Secret("of-nobody-in-this-test"), clock=Clock())
    try:
        return {each.account: each for each in await store.ledger.balances()}
    finally:
        await store.close()


def _usd(nano: int) -> str:
    return f"{nano / 1e9:.9f}"
