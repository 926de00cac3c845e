"""A collector that fails is left alone for longer and longer, and the log says it once."""

from __future__ import annotations

import pytest

from gateway.trace.collector.answer import Answer
from gateway.trace.collector.destination import Signal
from gateway.trace.collector.standing import LONGEST_ASKED, LONGEST_PAUSE, PAUSE, Standing

FAILED, REFUSED, TAKEN = Answer("it answered 503"), Answer("it answered 400", is_final=True), Answer()


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("answer", [FAILED, REFUSED])
def test_pauses_grow_to_a_bound_and_vary(answer: Answer) -> None:
    standing = Standing(Signal.TRACES)

    pauses = [standing.heard(answer, dropped=0) for _ in range(20)]

    for number, pause in enumerate(pauses):
        usual = min(PAUSE * 2**number, LONGEST_PAUSE)
        assert 0.8 * usual <= pause <= 1.2 * usual
    assert len(set(pauses)) == len(pauses)


def test_after_a_success_they_begin_anew() -> None:
    standing = Standing(Signal.TRACES)
    for _ in range(5):
        standing.heard(FAILED, dropped=0)

    assert standing.heard(TAKEN, dropped=0) == 0
    assert standing.heard(FAILED, dropped=0) <= 1.2 * PAUSE


@pytest.mark.parametrize(("asked", "pause"), [(17.0, 17.0), (0.0, PAUSE), (1e9, LONGEST_ASKED)])
def test_the_pause_that_a_collector_asks_for_is_made_within_bounds(asked: float, pause: float) -> None:
    assert Standing(Signal.TRACES).heard(Answer("it answered 429", retry_after=asked), dropped=0) == pause


def test_each_change_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    standing = Standing(Signal.METRICS, clock=Time())

    for answer in (TAKEN, FAILED, REFUSED, FAILED, TAKEN, TAKEN):
        standing.heard(answer, dropped=7)

    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("ERROR", "metrics cannot be exported"),
        ("WARNING", "metrics are exported again"),
    ]
    assert caplog.records[0].__dict__["reason"] == "it answered 503"
    assert caplog.records[1].__dict__["dropped"] == 7


def test_a_collector_that_comes_and_goes_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    time = Time()
    standing = Standing(Signal.TRACES, clock=time)

    for _ in range(600):  # ten minutes
        time.now += 1
        standing.heard(FAILED, dropped=0)
        standing.heard(Answer(rejected=1, message="no"), dropped=0)

    assert 10 <= len(caplog.records) <= 3 * 11


def test_one_that_stays_away_is_said_even_if_it_was_there_just_before(caplog: pytest.LogCaptureFixture) -> None:
    time = Time()
    standing = Standing(Signal.TRACES, clock=time)

    for answer in (FAILED, TAKEN, FAILED, FAILED):
        standing.heard(answer, dropped=0)
    assert len(caplog.records) == 2
    time.now += 100
    for answer in (FAILED, FAILED, TAKEN):
        standing.heard(answer, dropped=0)

    assert [each.levelname for each in caplog.records] == ["ERROR", "WARNING"] * 2
