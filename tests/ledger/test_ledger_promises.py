"""The ledger's promises at a small size; `make bench-ledger` has them at full size, and times them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from tests.ledger import crash, leave, outage, spend
from tests.ledger.finding import Finding, broken
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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def left(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Finding]:
    """What one gateway made of clients that left, in every phase."""
    with redis_server() as redis:
        return await leave.leave(tmp_path_factory.mktemp("leave"), times=1, wanted=Wanted("", redis.url, workers=1))


@pytest.mark.parametrize("phase", leave.PHASES)
def test_a_client_that_leaves_pays_for_what_was_made_and_holds_nothing(left: Sequence[Finding], phase: str) -> None:
    of_other_phases = tuple(f"{name} {manner}: " for name in leave.PHASES if name != phase for manner in leave.MANNERS)

    found = [each for each in left if not each.promise.startswith(of_other_phases)]

    assert any(each.promise.startswith(f"{phase} {leave.MANNERS[0]}: ") for each in found)
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
