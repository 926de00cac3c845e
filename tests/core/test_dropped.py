"""What a call lost is told by names that fit into headers, whatever its client wrote."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.dropped import LONGEST, MOST, named


def test_names_of_dialects_are_told_as_they_are() -> None:
    assert named(("logit_bias", "messages[2].name")) == ("logit_bias", "messages[2].name")


def test_what_a_client_chose_is_made_harmless_and_cut() -> None:
    assert named(("a\r\nset-cookie: x", "\x00é,b", "n" * 10_000)) == ("a??set-cookie: x", "???b", "n" * LONGEST)


def test_of_too_many_the_last_tells_how_many_more_there_are() -> None:
    names = tuple(f"f{number}" for number in range(40))

    assert named(names[:MOST]) == names[:MOST]
    assert named(names) == (*names[: MOST - 1], "+9")


@given(st.lists(st.text(max_size=200), max_size=100))
def test_nothing_is_left_untold_and_all_of_it_is_a_short_header(paths: list[str]) -> None:
    told = named(paths)

    header = ", ".join(told)
    assert len(told) <= MOST
    assert len(header) <= 1024
    assert header.isascii()
    assert header.isprintable() or not header
    further = len(paths) - len(told) + 1 if len(told) < len(paths) else 0
    assert len(told) == len(paths) or told[-1] == f"+{further}"
