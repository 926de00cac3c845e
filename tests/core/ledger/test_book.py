"""The rules of the ledger, by example and against random histories."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.core.ledger import account as accounts
from gateway.core.ledger import book
from gateway.core.ledger.account import Account
from gateway.core.ledger.operations import (
    BUCKETS,
    NEVER,
    Balance,
    Draw,
    Ended,
    Granted,
    Line,
    Once,
    Operation,
    Outcome,
    Refused,
    Renew,
    Reserve,
    Settle,
    Settled,
    Stale,
    Sweep,
    Swept,
)
from tests.core.ledger.tables import DictTables

NOW = 1_000_000
A = Line("a", 40, 100, begin=0, end=2_000_000)
B = Line("b", 40, 50, begin=0, end=2_000_000)
ROLLING = Line("rolling", 40, 100, bucket=1000)


class Ledger:
    """A book with a clock."""

    def __init__(self) -> None:
        self.tables = DictTables()
        self.now = NOW

    def do(self, operation: Operation) -> Outcome:
        return book.apply(self.tables, operation, now=self.now, lease_now=self.now)

    def reserve(self, id: str, *lines: Line, lease: int = 1000) -> Outcome:
        return self.do(Reserve(id, "worker", lease, lines))

    def settle(self, id: str, *lines: Line) -> Outcome:
        return self.do(Settle(id, lines))

    def draw(self, id: str, line: Line, *, lease: int = 1000) -> Outcome:
        return self.do(Draw(id, "worker", lease, line))

    def account(self, name: str) -> tuple[int, int, int]:
        """Settled, over, held."""
        found = self.tables.accounts.get(name) or Account()
        return found.settled, found.over, found.held


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def of(line: Line, amount: int, *, observed: int = 0, used: int = 0) -> Line:
    return replace(line, amount=amount, observed=observed, used=used)


def test_what_is_reserved_is_held_until_it_is_settled_at_what_it_cost(ledger: Ledger) -> None:
    assert ledger.reserve("r", A, B) == Granted((0, 0), (40, 40))

    assert ledger.settle("r", of(A, 30), of(B, 0)) == Settled(0)

    assert ledger.account("a") == (30, 0, 0)
    assert ledger.account("b") == (0, 0, 0)


def test_all_lines_are_held_or_none(ledger: Ledger) -> None:
    ledger.reserve("r1", B)

    assert ledger.reserve("r2", A, B) == Refused((100, 10), (NOW, NEVER))

    assert ledger.account("a") == (0, 0, 0)


def test_an_account_without_a_limit_refuses_nothing(ledger: Ledger) -> None:
    unlimited = Line("count", 2**50)

    assert ledger.reserve("r1", unlimited) == Granted((0,), (2**50,))
    assert ledger.reserve("r2", unlimited) == Granted((0,), (2**51,))


def test_an_operation_that_is_repeated_is_applied_once(ledger: Ledger) -> None:
    ledger.reserve("r", A)
    assert ledger.reserve("r", A) == Granted((0,), (40,))
    ledger.settle("r", of(A, 30))
    assert ledger.settle("r", of(A, 30)) == Ended()
    assert ledger.reserve("r", A) == Ended()
    assert ledger.do(Renew("r", 1000, (A,))) == Ended()
    assert ledger.draw("r", A) == Ended()

    assert ledger.account("a") == (30, 0, 0)


def test_outside_its_window_nothing_is_reserved(ledger: Ledger) -> None:
    for begin, end in ((NOW + 1, NEVER), (0, NOW)):
        assert ledger.reserve("r", replace(A, begin=begin, end=end)) == Stale()

    assert ledger.reserve("r", replace(A, begin=NOW, end=NOW + 1)) == Granted((0,), (40,))


def test_what_cost_more_than_was_held_is_kept_apart_and_refuses_the_next_call(ledger: Ledger) -> None:
    ledger.reserve("r", A)

    assert ledger.settle("r", of(A, 130)) == Settled(90)

    assert ledger.account("a") == (100, 30, 0)
    assert ledger.reserve("r2", of(A, 1)) == Refused((0,), (2_000_000,))


def test_what_nobody_reserved_is_charged_as_it_is(ledger: Ledger) -> None:
    assert ledger.settle("unknown", of(A, 130)) == Settled(0)

    assert ledger.account("a") == (100, 30, 0)
    assert ledger.settle("unknown", of(A, 130)) == Ended()


def test_a_settlement_gives_back_what_it_does_not_name(ledger: Ledger) -> None:
    ledger.reserve("r", A, B)

    ledger.settle("r", of(A, 10))

    assert ledger.account("b") == (0, 0, 0)


def test_a_reservation_can_be_raised_by_all_lines_or_none_and_its_lease_is_renewed_in_any_case(ledger: Ledger) -> None:
    ledger.reserve("r", A, B, lease=10)

    assert ledger.do(Renew("r", 5000, (of(A, 60), of(B, 50)))) == Granted((0, 0), (60, 50))
    assert ledger.do(Renew("r", 9000, (of(A, 80), of(B, 51)))) == Refused((40, 0), (NOW, NEVER))
    assert ledger.do(Renew("r", 9000, (of(A, 10), of(B, 10)))) == Granted((0, 0), (60, 50))

    assert ledger.tables.open["r"].until == NOW + 9000


@pytest.mark.parametrize(("observed", "settled"), [(25, 25), (60, 40)])
def test_the_reservation_of_a_dead_worker_is_settled_when_its_lease_has_run_out(
    ledger: Ledger, observed: int, settled: int
) -> None:
    ledger.reserve("r", of(A, 40, observed=5), lease=1000)
    ledger.do(Renew("r", 1000, (of(A, 40, observed=observed),)))
    ledger.do(Renew("r", 1000, (of(A, 40, observed=1),)))
    ledger.now += 999
    assert ledger.do(Sweep()) == Swept({})

    ledger.now += 1

    assert ledger.do(Sweep()) == Swept({"r": "worker"})
    assert ledger.account("a") == (settled, 0, 0)
    assert ledger.do(Sweep()) == Swept({})


@pytest.mark.parametrize("cost", [0, 10, 25, 40, 130])
@pytest.mark.parametrize("line", [A, ROLLING])
def test_who_settles_after_a_sweep_corrects_it(ledger: Ledger, line: Line, cost: int) -> None:
    ledger.reserve("r", of(line, 40, observed=25), lease=0)
    ledger.do(Sweep())
    ledger.now += 2500

    assert ledger.settle("r", of(line, cost)) == Settled(0)

    assert ledger.account(line.account) == (min(cost, 100), max(0, cost - 100), 0)
    assert ledger.settle("r", of(line, cost)) == Ended()


def test_no_more_is_swept_than_was_asked_and_the_oldest_first(ledger: Ledger) -> None:
    for number in range(3):
        ledger.reserve(f"r{number}", of(A, 1), lease=10 - number)
    ledger.now += 100

    assert ledger.do(Sweep(most=2)) == Swept({"r2": "worker", "r1": "worker"})


def test_a_slice_gets_what_there_is_and_is_spent_from_and_grows_and_shrinks(ledger: Ledger) -> None:
    ledger.reserve("other", A)
    assert ledger.draw("s", of(A, 80)) == Granted((0,), (60, 100))

    assert ledger.draw("s", of(A, 50, used=20)) == Granted((20,), (40, 80))
    assert ledger.draw("s", of(A, 10, used=30)) == Granted((30,), (10, 50))

    assert ledger.account("a") == (30, 0, 50)
    assert ledger.tables.accounts["a"].escrowed == 10
    assert ledger.settle("s", of(A, 45)) == Settled(5)
    assert ledger.account("a") == (45, 0, 40)
    assert ledger.tables.accounts["a"].escrowed == 0


def test_what_a_slice_has_used_counts_once_however_often_it_is_told(ledger: Ledger) -> None:
    for used in (20, 20, 10, 20):
        ledger.draw("s", of(A, 50, used=used))

    assert ledger.account("a") == (20, 0, 50)


def test_a_slice_of_a_window_that_has_passed_settles_and_gets_nothing_new(ledger: Ledger) -> None:
    ledger.draw("s", of(A, 50), lease=9_999_999)
    ledger.now = 2_000_000

    assert ledger.draw("s", of(A, 90, used=20)) == Stale()

    assert ledger.account("a") == (20, 0, 30)


@pytest.mark.parametrize("line", [A, ROLLING])
def test_a_slice_that_is_swept_is_settled_at_what_was_observed_and_corrected_later(ledger: Ledger, line: Line) -> None:
    ledger.draw("s", of(line, 50, used=20, observed=7), lease=0)

    assert ledger.do(Sweep()) == Swept({"s": "worker"})
    assert ledger.account(line.account) == (27, 0, 0)

    ledger.settle("s", of(line, 24))
    assert ledger.account(line.account) == (24, 0, 0)


def test_the_id_of_a_slice_is_of_one_account_and_no_other_reservation(ledger: Ledger) -> None:
    ledger.draw("s", A)
    ledger.reserve("r", A)

    assert ledger.draw("s", B) == Ended()
    assert ledger.draw("r", A) == Ended()
    assert ledger.do(Renew("s", 1, (A,))) == Ended()


def test_a_rolling_window_forgets_what_was_spent_bucket_by_bucket(ledger: Ledger) -> None:
    ledger.settle("r1", of(ROLLING, 40))
    ledger.now += 2000
    ledger.settle("r2", of(ROLLING, 50))
    assert ledger.reserve("r3", of(ROLLING, 11)) == Refused((10,), (NOW + (BUCKETS + 1) * 1000,))
    assert ledger.reserve("r3", of(ROLLING, 51)) == Refused((10,), (NOW + (BUCKETS + 3) * 1000,))
    assert ledger.reserve("r3", of(ROLLING, 101)) == Refused((10,), (NEVER,))

    ledger.now = NOW + (BUCKETS + 1) * 1000 - 1
    assert isinstance(ledger.reserve("r3", of(ROLLING, 11)), Refused)
    ledger.now += 1

    assert ledger.reserve("r3", of(ROLLING, 11)) == Granted((50,), (11,))


def test_a_call_is_charged_to_the_part_of_the_rolling_window_in_which_it_was_reserved(ledger: Ledger) -> None:
    ledger.reserve("r", ROLLING, lease=9_999_999)
    ledger.now += 30_000

    ledger.settle("r", of(ROLLING, 30))

    assert ledger.tables.accounts["rolling"].buckets == {1000: 30}


def test_an_overdraft_leaves_a_rolling_window_though_it_is_in_use_all_the_time(ledger: Ledger) -> None:
    ledger.settle("r", of(ROLLING, 150))
    for number in range(1, BUCKETS + 1):
        ledger.now = NOW + number * 1000
        ledger.settle(f"r{number}", of(ROLLING, 1))

    ledger.now = NOW + (BUCKETS + 1) * 1000

    assert ledger.reserve("last", of(ROLLING, 40)) == Granted((BUCKETS,), (40,))


def test_a_limit_that_is_lowered_refuses_the_next_call_and_keeps_what_is_held(ledger: Ledger) -> None:
    ledger.reserve("r1", of(A, 80))
    lower = replace(A, limit=50)

    assert ledger.reserve("r2", of(lower, 1)) == Refused((0,), (NEVER,))
    assert ledger.do(Renew("r1", 1000, (of(lower, 80),))) == Granted((0,), (80,))
    ledger.settle("r1", of(lower, 80))

    assert ledger.account("a") == (80, 0, 0)
    assert ledger.reserve("r3", of(replace(A, limit=200), 120)) == Granted((80,), (120,))


def test_one_alone_is_first(ledger: Ledger) -> None:
    assert [ledger.do(Once("told")) for _ in range(3)] == [Settled(), Ended(), Ended()]
    assert ledger.do(Once("other")) == Settled()


def test_an_account_is_forgotten_a_day_after_its_window_and_never_while_something_is_held(ledger: Ledger) -> None:
    ledger.reserve("r", A, lease=NEVER)
    ledger.settle("b", B)
    ledger.now = A.end + accounts.KEPT
    ledger.do(Sweep())
    assert set(ledger.tables.accounts) == {"a"}

    ledger.settle("r", A)
    ledger.do(Sweep())

    assert set(ledger.tables.accounts) == set()


def test_an_account_without_an_end_is_kept_while_something_is_spent_and_a_rolling_one_until_it_is_empty(
    ledger: Ledger,
) -> None:
    ledger.settle("r1", Line("life", 1))
    ledger.settle("r2", Line("nothing", 0))
    ledger.settle("r3", ROLLING)
    ledger.do(Sweep())
    assert set(ledger.tables.accounts) == {"life", "rolling"}

    ledger.now += 100 * accounts.KEPT
    ledger.do(Sweep())

    assert set(ledger.tables.accounts) == {"life"}


def test_the_most_that_anyone_saw_spent_counts_after_everything_was_lost(ledger: Ledger) -> None:
    def seen(line: Line, spent: int) -> Balance:
        return Balance(line.account, line.limit, spent, 0, 0, 0, line.begin, line.end, line.bucket)

    for line in (A, ROLLING):
        book.raise_base(ledger.tables, seen(line, 50), NOW)
        ledger.settle(f"replayed {line.account}", of(line, 20))
        book.raise_base(ledger.tables, seen(line, 60), NOW)
        book.raise_base(ledger.tables, seen(line, 30), NOW)
        assert ledger.reserve(f"r {line.account}", of(line, 20)) == Granted((80,), (20,))
        assert isinstance(ledger.reserve("more", of(line, 1)), Refused)
        ledger.settle(f"r {line.account}", of(line, 0))

    ledger.now += (BUCKETS + 1) * 1000
    assert ledger.reserve("later", ROLLING) == Granted((0,), (40,))


def test_a_row_that_was_removed_begins_anew_and_holds_never_less_than_nothing(ledger: Ledger) -> None:
    ledger.reserve("r", A)
    ledger.reserve("s", A, lease=0)
    ledger.draw("d", of(A, 20))
    del ledger.tables.accounts["a"]

    assert ledger.reserve("r", A) == Granted((0,), (0,))
    ledger.do(Sweep())
    ledger.settle("d", of(A, 10))
    ledger.settle("r", of(A, 30))

    assert ledger.account("a") == (40, 0, 0)


AMOUNTS = st.integers(0, 120)
ORG, KEYS, BURST = 300, {"key1": 200, "key2": 250}, 150


class Machine(RuleBasedStateMachine):
    """Two keys of one organisation, each call a reservation in the key, in the organisation and in a rolling rate."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.charged: dict[str, dict[str, int]] = {}
        self.ends: Counter[str] = Counter()
        self.calls: dict[str, Reserve] = {}
        self.slices: dict[str, Draw] = {}
        self.count = 0

    def lines(self, key: str, amount: int) -> tuple[Line, ...]:
        end = NOW * 10
        return (
            Line(key, amount, KEYS[key], end=end),
            Line("org", amount, ORG, end=end),
            Line("burst", amount, BURST, bucket=1000),
        )

    @rule(key=st.sampled_from(tuple(KEYS)), amount=AMOUNTS, lease=st.integers(0, 20_000))
    def reserve(self, key: str, amount: int, lease: int) -> None:
        self.count += 1
        asked = Reserve(f"r{self.count}", key, lease, self.lines(key, amount))
        outcome = self.ledger.do(asked)
        if isinstance(outcome, Granted):
            self.calls[asked.id] = asked
            assert self.ledger.do(asked) == outcome
        else:
            assert isinstance(outcome, Refused)
            assert any(left < amount for left in outcome.left)

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), more=AMOUNTS, observed=AMOUNTS, lease=st.integers(0, 20_000))
    def renew(self, data: st.DataObject, more: int, observed: int, lease: int) -> None:
        asked = data.draw(st.sampled_from(sorted(self.calls.values(), key=lambda call: call.id)))
        lines = tuple(of(line, line.amount + more, observed=observed) for line in asked.lines)
        outcome = self.ledger.do(Renew(asked.id, lease, lines))
        assert isinstance(outcome, Ended) == (asked.id not in self.ledger.tables.open)

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), cost=AMOUNTS)
    def settle(self, data: st.DataObject, cost: int) -> None:
        asked = self.calls.pop(data.draw(st.sampled_from(sorted(self.calls))))
        lines = tuple(of(line, cost) for line in asked.lines)
        assert isinstance(self.ledger.settle(asked.id, *lines), Settled)
        self.charged[asked.id] = {line.account: cost for line in lines}
        self.ends[asked.id] += 1
        assert self.ledger.settle(asked.id, *lines) == Ended()

    @rule(key=st.sampled_from((*KEYS, "org")), amount=AMOUNTS, lease=st.integers(0, 20_000))
    def open_slice(self, key: str, amount: int, lease: int) -> None:
        self.count += 1
        limit = {**KEYS, "org": ORG}[key]
        asked = Draw(f"s{self.count}", key, lease, Line(key, amount, limit, end=NOW * 10))
        assert isinstance(self.ledger.do(asked), Granted)
        self.slices[asked.id] = asked

    @precondition(lambda self: self.slices)
    @rule(data=st.data(), amount=AMOUNTS, newly=AMOUNTS, observed=AMOUNTS, lease=st.integers(0, 20_000))
    def draw(self, data: st.DataObject, amount: int, newly: int, observed: int, lease: int) -> None:
        before = self.slices[data.draw(st.sampled_from(sorted(self.slices)))]
        line = of(before.line, amount, observed=observed, used=before.line.used + newly)
        asked = Draw(before.id, before.owner, lease, line)
        outcome = self.ledger.do(asked)
        if isinstance(outcome, Granted):
            assert outcome.held[0] <= max(amount, self.ledger.tables.accounts[line.account].held)
            self.slices[asked.id] = asked
            self.charged[asked.id] = {line.account: line.used}
            assert self.ledger.do(asked) == outcome

    @precondition(lambda self: self.slices)
    @rule(data=st.data(), newly=AMOUNTS)
    def settle_slice(self, data: st.DataObject, newly: int) -> None:
        asked = self.slices.pop(data.draw(st.sampled_from(sorted(self.slices))))
        used = asked.line.used + newly
        assert isinstance(self.ledger.settle(asked.id, of(asked.line, used)), Settled)
        self.charged[asked.id] = {asked.line.account: used}
        self.ends[asked.id] += 1

    @rule(most=st.integers(1, 5))
    def sweep(self, most: int) -> None:
        before = self.ledger.tables.open.copy()
        outcome = self.ledger.do(Sweep(most))
        assert isinstance(outcome, Swept)
        for id in outcome.owners:
            assert before[id].until <= self.ledger.now
            swept = self.ledger.tables.gone[id].swept or {}
            self.charged[id] = {name: amount for name, (amount, _) in swept.items()}

    @rule(milliseconds=st.integers(1, 30_000))
    def wait(self, milliseconds: int) -> None:
        self.ledger.now += milliseconds

    @invariant()
    def limits_hold(self) -> None:
        for account in self.ledger.tables.accounts.values():
            assert account.limit is not None
            assert account.settled + account.held <= account.limit
            assert min(account.settled, account.over, account.held, account.escrowed) >= 0

    @invariant()
    def held_is_the_sum_of_what_is_open(self) -> None:
        held: Counter[str] = Counter()
        escrowed: Counter[str] = Counter()
        for opened in self.ledger.tables.open.values():
            for part in opened.parts:
                held[part.account] += part.held
                escrowed[part.account] += part.held * opened.is_slice
        for name, account in self.ledger.tables.accounts.items():
            assert (account.held, account.escrowed) == (held[name], escrowed[name])

    @invariant()
    def what_was_charged_is_what_is_spent(self) -> None:
        for name in (*KEYS, "org"):
            settled, over, _ = self.ledger.account(name)
            assert settled + over == sum(each.get(name, 0) for each in self.charged.values())

    @invariant()
    def a_rolling_window_is_the_sum_of_its_buckets(self) -> None:
        settled, over, _ = self.ledger.account("burst")
        found = self.ledger.tables.accounts.get("burst") or Account()
        assert settled + over == sum(found.buckets.values())
        assert min(found.buckets.values(), default=0) >= 0

    @invariant()
    def each_id_ends_once(self) -> None:
        assert set(self.ends.values()) <= {1}
        assert not set(self.ledger.tables.open) & set(self.ledger.tables.gone)


class Parents(Machine):
    """The same without slices: what the keys have spent is what the organisation has."""

    open_slice = None  # type: ignore[assignment]

    @invariant()
    def children_make_up_their_parent(self) -> None:
        assert sum(sum(self.ledger.account(key)[:2]) for key in KEYS) == sum(self.ledger.account("org")[:2])


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestParents = Parents.TestCase
TestParents.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
