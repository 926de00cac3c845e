"""Only what another worker of this gateway has said is believed, and only of the call it was said of."""

from __future__ import annotations

import pytest

from gateway.cache.shared import letter as letters
from gateway.cache.shared.letter import Follow, Gone, Landed, Leave, Letter, Lost, Part, Settled
from gateway.cache.shared.mark import make_mark, read_mark
from gateway.core.errors import Broken, Overloaded, Rejected, Timeout, Unavailable, UpstreamError

PEPPER = b"p" * 32
LETTERS = (
    Follow("f", "w", 7),
    Follow("f", "w"),
    Leave("f", "w"),
    Part("f", 3, b"\xff\x00", True),
    Landed("f", 5, b"[DONE]", 50, 1.5),
    Settled("f"),
    Lost("f", None),
    Lost("f", letters.failure_from(Rejected("no", param="model"))),
    Gone("f"),
)


@pytest.mark.parametrize("letter", LETTERS)
def test_a_letter_is_read_as_it_was_written(letter: Letter) -> None:
    assert letters.read(letters.write(letter, pepper=PEPPER), pepper=PEPPER) == letter


def test_a_letter_that_was_changed_anywhere_or_written_by_a_stranger_is_not_read() -> None:
    written = letters.write(LETTERS[4], pepper=PEPPER)
    for place in range(len(written)):
        changed = bytearray(written)
        changed[place] ^= 1
        assert letters.read(bytes(changed), pepper=PEPPER) is None
        assert letters.read(written[:place], pepper=PEPPER) is None
    assert letters.read(written + b"\0", pepper=PEPPER) is None
    assert letters.read(written, pepper=b"q" * 32) is None


def test_a_mark_is_good_for_one_call_and_as_it_was_made() -> None:
    mark = make_mark("name", purges=12, form=(True, False), worker="0" * 16, pepper=PEPPER)

    assert read_mark(mark.text, "name", pepper=PEPPER) == mark
    assert read_mark(mark.text, "other", pepper=PEPPER) is None
    assert read_mark(mark.text, "name", pepper=b"q" * 32) is None
    assert read_mark(mark.text.replace(b"12 ", b"13 "), "name", pepper=PEPPER) is None
    assert read_mark(b"", "name", pepper=PEPPER) is None


@pytest.mark.parametrize(
    "error",
    [
        UpstreamError("x", headers=(("retry-after", "7"),)),
        Rejected("no", status=404, code="model_not_found", param="model"),
        Unavailable("gone", status=503, retry_after=3.0),
        Timeout("late"),
        Broken("cut", should_retry=True),
    ],
)
def test_a_failure_is_told_as_it_was(error: UpstreamError) -> None:
    error.detail = "for the record"
    told = letters.error_from(letters.failure_from(error))

    assert type(told) is type(error)
    names = "message status type code param retriable should_retry retry_after headers detail fault".split()
    assert {name: getattr(told, name) for name in names} == {name: getattr(error, name) for name in names}


def test_our_own_troubles_are_told_to_nobody() -> None:
    assert letters.failure_from(Overloaded("ours")) is None
    assert letters.error_from(None) is None
