"""A candidate serves only once labels have shown that it may, and no longer than they do."""

from __future__ import annotations

import random
from itertools import count

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import bet
from gateway.route.certificate import labels
from gateway.route.certificate.certificate import (
    FIRST_REST,
    PATIENCE,
    Shares,
    State,
    Status,
    decide,
    learn,
    merge,
    rest,
    retry,
    share,
    standing,
    verdict,
)
from gateway.route.certificate.terms import Subject, Terms

TERMS = Terms()
STRICT = Terms(max_loss=0.02)
GOOD, BAD = bet.cell(1, 1), bet.cell(1, 0)


def taught(state: State, *cells: int, terms: Terms = TERMS, writer: str = "a", at: float = 5.0) -> State:
    for cell in cells:
        state = decide(learn(state, terms, cell=cell, writer=writer, at=at), terms, at)
    return state


def status(state: State, terms: Terms = TERMS) -> Status:
    return verdict(state, terms).status


CERTIFIED = taught(State(), *[GOOD] * 90)
REFUSED = taught(State(), *[BAD] * 20)
REVOKED = taught(CERTIFIED, *[BAD] * 20, at=9.0)


def test_nothing_is_certified_without_evidence() -> None:
    assert status(State()) is Status.UNCERTIFIED
    assert decide(State(), TERMS, 1.0) == State()
    assert status(taught(State(), *[GOOD] * 30)) is Status.UNCERTIFIED


def test_good_labels_earn_a_certificate_that_says_why() -> None:
    held = verdict(CERTIFIED, TERMS)

    assert held.status is Status.CERTIFIED
    assert held.since == 5.0
    assert "with 95 % confidence, after" in held.why
    assert held.why.startswith("the loss is at most")


def test_bad_labels_have_it_refused() -> None:
    assert status(REFUSED) is Status.REFUSED
    assert verdict(REFUSED, TERMS).why.startswith("the loss is at least")


def test_a_candidate_that_becomes_worse_loses_its_certificate_however_long_it_was_good() -> None:
    long_good = taught(CERTIFIED, *[GOOD] * 400)
    assert status(long_good) is Status.CERTIFIED

    lost = taught(long_good, *[BAD] * 8, at=9.0)

    assert status(lost) is Status.REVOKED
    assert verdict(lost, TERMS).since == 9.0
    assert "labels show a loss of" in verdict(lost, TERMS).why


def test_a_verdict_against_it_is_final_for_the_trial() -> None:
    assert status(taught(REFUSED, *[GOOD] * 500)) is Status.REFUSED
    assert status(taught(REVOKED, *[GOOD] * 500)) is Status.REVOKED


def test_after_a_rest_it_is_tried_again_without_its_old_labels() -> None:
    assert retry(REFUSED, TERMS, 5.0 + FIRST_REST - 1) is REFUSED
    assert retry(CERTIFIED, TERMS, 1e9) is CERTIFIED

    again = retry(REFUSED, TERMS, 5.0 + FIRST_REST)

    assert again == State(trial=2, began=5.0 + FIRST_REST)
    assert status(taught(again, *[GOOD] * 90)) is Status.UNCERTIFIED
    assert status(taught(again, *[GOOD] * 150)) is Status.CERTIFIED


def test_rests_become_longer_up_to_a_month() -> None:
    rests = [rest(trial) for trial in range(1, 2000)]

    assert rests[:3] == [FIRST_REST, 2 * FIRST_REST, 4 * FIRST_REST]
    assert max(rests) == rests[-1] == 32 * FIRST_REST


def test_all_trials_together_may_err_as_often_as_was_said_and_no_more() -> None:
    whole = sum(TERMS.alpha(trial) for trial in range(1, 100_000))

    assert 0.0499 < whole <= 0.05


def test_other_terms_look_at_the_same_labels_again() -> None:
    assert status(CERTIFIED, STRICT) is Status.UNCERTIFIED

    stricter = taught(CERTIFIED, *[GOOD] * 150, terms=STRICT)

    assert status(stricter, STRICT) is Status.CERTIFIED
    assert standing(stricter, STRICT).labels == 240
    assert (
        status(decide(taught(State(), *[GOOD] * 60), Terms(max_loss=0.2), 1.0), Terms(max_loss=0.2)) is Status.CERTIFIED
    )


def test_what_an_admin_reads_agrees_with_the_verdict() -> None:
    mixed = taught(State(), *([GOOD] * 29 + [BAD]) * 3, *[GOOD] * 400)
    read = standing(mixed, TERMS)

    assert read.status is Status.CERTIFIED
    assert read.labels == 490
    assert read.audited < 490
    assert read.least <= read.mean == pytest.approx(3 / 490)
    assert read.mean <= read.most <= 0.05
    assert not read.suspicious


def test_calls_are_labelled_often_while_that_decides_something_and_seldom_else() -> None:
    shares = Shares(shadow=0.25, audit=0.02)

    assert share(State(), TERMS, shares) == 0.25
    assert share(CERTIFIED, TERMS, shares) == 0.02
    assert share(taught(CERTIFIED, BAD, BAD, BAD), TERMS, shares) == 0.25
    assert standing(taught(CERTIFIED, BAD, BAD, BAD), TERMS).suspicious
    assert share(REFUSED, TERMS, shares) == share(REVOKED, TERMS, shares) == 0.0
    undecided = State(writers={"a": labels.Writer(1.0, {0: {GOOD: PATIENCE - 100, BAD: 100}})})
    assert status(decide(undecided, TERMS, 1.0)) is Status.UNCERTIFIED
    assert share(undecided, TERMS, shares) == 0.02


def test_a_reference_that_is_not_as_good_as_can_be_has_to_be_agreed_on() -> None:
    with pytest.raises(ValueError, match="graded"):
        learn(State(), TERMS, cell=bet.cell(0, 1), writer="a", at=1.0)
    assert learn(State(), Terms(graded=True), cell=bet.cell(0, 1), writer="a", at=1.0).writers


def test_a_judge_that_errs_makes_the_promise_harder_to_keep() -> None:
    judged = Terms(judge_error=0.1)

    assert judged.certifies_below == pytest.approx(0.04)
    assert judged.refuses_above == pytest.approx(0.05 + 0.1 * 0.95)
    assert status(taught(State(), *[GOOD] * 90)) is Status.CERTIFIED
    assert status(taught(State(), *[GOOD] * 75, terms=judged), judged) is Status.UNCERTIFIED
    assert (
        standing(taught(State(), *[GOOD] * 300, terms=judged), judged).most
        > standing(taught(State(), *[GOOD] * 300), TERMS).most
    )


@pytest.mark.parametrize(
    "terms",
    [
        {"judge_error": 0.5},
        {"judge_error": -0.1},
        {"max_loss": 0.0},
        {"max_loss": 1.0},
        {"confidence": 1.0},
        {"graded": True, "judge_error": 0.1},
    ],
)
def test_terms_that_promise_nothing_are_refused(terms: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Terms(**terms)  # type: ignore[arg-type]


def test_all_that_labels_depend_on_makes_another_certificate() -> None:
    one = Subject(route="r", reference=("d1", "d2"), candidate="cheap", score="exact")
    others = [
        Subject(route="r2", reference=("d1", "d2"), candidate="cheap", score="exact"),
        Subject(route="r", reference=("d1",), candidate="cheap", score="exact"),
        Subject(route="r", reference=("d1", "d2"), candidate="cheap2", score="exact"),
        Subject(route="r", reference=("d1", "d2"), candidate="cheap", score="json_equal"),
        Subject(route="r", reference=("d1", "d2"), candidate="cheap", score="exact", template="t@2"),
        Subject(route="r", reference=("d1", "d2"), candidate="cheap", score="exact", prompt="77"),
    ]
    names = {each.name(b"pepper") for each in (one, *others)}

    assert len(names) == len(others) + 1
    assert one.name(b"pepper") == Subject("r", ("d1", "d2"), "cheap", "exact").name(b"pepper")
    assert one.name(b"other") not in names


# What several workers know


@st.composite
def histories(draw: st.DrawFn) -> State:
    """What one worker may hold: labels, in any trial, and the verdicts that followed."""
    state = State(trial=draw(st.integers(1, 2)), began=float(draw(st.integers(0, 2))))
    writer = draw(st.sampled_from("abc"))
    cells = draw(st.lists(st.tuples(st.sampled_from([GOOD, BAD]), st.integers(1, 130)), max_size=4))
    for cell, times in cells:
        state = taught(state, *[cell] * times, writer=writer, at=float(draw(st.integers(1, 3))))
    return state


@given(histories(), histories())
def test_it_does_not_matter_who_is_merged_into_whom(one: State, other: State) -> None:
    assert merge(one, other) == merge(other, one)


@given(histories(), histories(), histories())
def test_it_does_not_matter_who_is_merged_first(one: State, other: State, third: State) -> None:
    assert merge(merge(one, other), third) == merge(one, merge(other, third))


@given(histories(), histories())
def test_merging_again_changes_nothing(one: State, other: State) -> None:
    both = merge(one, other)

    assert merge(one, one) == one
    assert merge(both, one) == merge(both, other) == both


@given(st.lists(st.sampled_from([GOOD, BAD]), max_size=60), st.integers(0, 60), st.randoms(use_true_random=False))
def test_labels_of_several_workers_count_once_each(cells: list[int], cut: int, draw: random.Random) -> None:
    ours = State()
    copies = [ours, ours]
    for place, cell in enumerate(cells):
        which = 0 if place < cut else 1
        copies[which] = learn(copies[which], TERMS, cell=cell, writer=f"w{which}", at=1.0)
        if draw.random() < 0.3:
            ours = merge(ours, copies[draw.randrange(2)])
    for copy in copies:
        ours = merge(ours, copy)

    assert labels.total(labels.blocks(ours.writers)) == {cell: cells.count(cell) for cell in set(cells)}


def test_of_two_verdicts_the_stricter_one_holds_everywhere() -> None:
    for one, other in ((CERTIFIED, REVOKED), (CERTIFIED, REFUSED), (State(), CERTIFIED)):
        assert verdict(merge(one, other), TERMS) == verdict(other, TERMS)
        assert verdict(merge(other, one), TERMS) == verdict(other, TERMS)


def test_a_later_trial_makes_earlier_labels_void() -> None:
    again = State(trial=2)

    assert merge(REFUSED, again) == merge(again, REFUSED) == again


@given(histories())
def test_a_state_can_be_written_and_read_as_json(state: State) -> None:
    assert msgspec.json.decode(msgspec.json.encode(state), type=State) == state


def test_old_audits_are_dropped_and_the_evidence_is_not() -> None:
    long = taught(CERTIFIED, *[GOOD] * (labels.BLOCK * (labels.MOST_BLOCKS + 9)))
    evidence = labels.blocks(CERTIFIED.writers)[0]

    kept = labels.blocks(merge(long, State()).writers)

    assert len(kept) == labels.MOST_BLOCKS + 1
    assert kept[0] == evidence


def test_writers_that_are_gone_become_one_and_no_label_is_lost() -> None:
    clock = count()
    state = State()
    for number in range(labels.MOST_WRITERS + 5):
        state = learn(state, TERMS, cell=GOOD, writer=f"w{number}", at=float(next(clock)))
    now = labels.RESTS + 60.5

    folded = labels.fold(state.writers, now)

    assert labels.total(labels.blocks(folded)).total() == labels.MOST_WRITERS + 5
    assert set(folded) == {labels.GONE, *(f"w{number}" for number in range(61, labels.MOST_WRITERS + 5))}
    assert labels.fold(folded, now) == folded
