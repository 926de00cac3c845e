"""The ledger's promises at a small size; `make bench-ledger` has them at full size, and times them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledger import crash, leave, outage, spend
from tests.ledger.finding import broken
from tests.ledger.gateway import Wanted
from tests.redis_server import redis_server

SMALL = spend.Size(clients=64, calls=1500, budget=8_000_000)


@pytest.fixture
def redis_url() -> Iterator[str]:
    with redis_server() as server:
        yield server.url


@pytest.mark.parametrize("escrow", [True, False], ids=["slices", "no slices"])
@pytest.mark.parametrize("store", ["embedded", "redis"])
async def test_no_account_is_ever_over_its_limit_and_none_ends_early(
    tmp_path: Path, redis_url: str, store: str, escrow: bool
) -> None:
    wanted = Wanted("", redis_url if store == "redis" else store, escrow=escrow)

    found = await spend.spend(tmp_path, SMALL, wanted, spend.Change.NOTHING)

    assert not broken(found)


@pytest.mark.parametrize("change", [spend.Change.RAISED, spend.Change.CUT], ids=["raised", "cut"])
async def test_a_budget_that_changes_under_load_is_kept_before_and_after(
    tmp_path: Path, redis_url: str, change: spend.Change
) -> None:
    found = await spend.spend(tmp_path, SMALL, Wanted("", redis_url), change)

    assert not broken(found)


@pytest.mark.parametrize("phase", leave.PHASES)
async def test_a_client_that_leaves_pays_for_what_was_made_and_holds_nothing(
    tmp_path: Path, redis_url: str, phase: str
) -> None:
    found = await leave.leave(
        tmp_path, times=1, wanted=Wanted("", redis_url, workers=1), phases={phase: leave.PHASES[phase]}
    )

    assert not broken(found)


@pytest.mark.parametrize("fault", ["kill -9 and restart", "SIGSTOP", "FLUSHALL"])
async def test_calls_are_answered_as_promised_while_redis_is_away_and_nothing_is_lost(
    tmp_path: Path, fault: str
) -> None:
    found = await outage.outage(tmp_path, outage.FAULTS[fault], outage.Size(per_second=100, away=1.0), Wanted(""))

    assert not broken(found)


async def test_what_a_killed_worker_held_has_ended_within_forty_seconds(tmp_path: Path, redis_url: str) -> None:
    found = await crash.crash(tmp_path, crash.Size(streams=40, rounds=1), Wanted("", redis_url))

    assert not broken(found)
