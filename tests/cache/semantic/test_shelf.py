"""What a worker can find is bounded, and what is gone leaves nothing behind."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cache.semantic.kept.row import Row, pack, read, unpack, write
from gateway.cache.semantic.kept.shelf import Bounds, Shelf
from tests.cache.semantic.worker import ORG, OTHER_ORG, Words, name

A, B, C = b"a", b"b", b"c"
TEXTS = ["How do I install PostgreSQL?", "Which languages does Django use?", "What is the capital of France?"]


def row(text: str = TEXTS[0], partition: bytes = A, expires: float = 100.0) -> Row:
    return Row(partition, "support", text, pack(Words().embed(text)), expires)  # type: ignore[arg-type]


def shelf(**bounds: int) -> Shelf:
    return Shelf(Words().embed, Bounds(**bounds))


def found(one: Shelf, text: str = TEXTS[0], partition: bytes = A, now: float = 0.0) -> list[str]:
    vector = Words().embed(text)
    assert vector is not None
    return [hit.name for hit in one.search(partition, vector, least=0.5, now=now)]


def test_the_oldest_of_a_full_partition_makes_room_and_is_told() -> None:
    one = shelf(in_partition=2)

    dropped = [one.put(name(number), row(partition=A)) for number in range(3)]

    assert dropped == [None, None, (name(0), row())]
    assert set(found(one)) == {name(1), name(2)}
    assert one.is_full(A)
    assert not one.is_full(B)


def test_of_too_many_entries_or_partitions_the_oldest_are_gone() -> None:
    one = shelf(entries=3, partitions=2)
    for number, partition in enumerate((A, B, A, C, C)):
        one.put(name(number), row(partition=partition))

    assert len(one) == 3
    assert found(one, partition=B) == []  # it got an entry longest ago
    assert set(found(one, partition=C)) == {name(3), name(4)}
    assert found(one, partition=A) == [name(2)]


def test_what_has_expired_is_not_found_and_is_swept_away() -> None:
    one = shelf()
    one.put(name(1), row(expires=10.0))
    one.put(name(2), row(expires=20.0))

    assert found(one, now=10.0) == [name(2)]
    one.sweep(10.0)
    assert len(one) == 1


def test_the_quick_embedder_tells_what_is_far() -> None:
    one = shelf()
    one.put(name(1), row())

    assert not one.is_far(A, "How can I install PostgreSQL?")
    assert one.is_far(A, TEXTS[1])
    assert one.is_far(B, TEXTS[0])


def test_without_a_quick_embedder_everything_may_be_near() -> None:
    one = Shelf(None, Bounds())
    one.put(name(1), row())

    assert not one.is_far(A, TEXTS[1])
    assert one.is_far(B, TEXTS[1])


def test_vectors_of_another_length_are_not_compared() -> None:
    one = shelf()
    one.put(name(1), row())
    one.put(name(2), Row(A, "support", TEXTS[0], pack(np.array([0.6, 0.8])), 100.0))

    assert found(one) == [name(1)]
    assert [hit.name for hit in one.search(A, np.array([0.6, 0.8], dtype=np.float32), least=0.5, now=0)] == [name(2)]


steps = st.lists(
    st.tuples(st.sampled_from(["put", "take", "org", "clear"]), st.integers(0, 12), st.sampled_from([A, B, C])),
    max_size=120,
)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_it_holds_what_it_was_given_and_did_not_lose(steps: list[tuple[str, int, bytes]]) -> None:
    one = shelf(entries=9, in_partition=5, partitions=2)
    held: dict[str, Row] = {}
    for what, number, partition in steps:
        key = name(number, OTHER_ORG if number > 9 else ORG)
        if what == "put":
            one.put(key, row(TEXTS[number % 3], partition))
            held[key] = row(TEXTS[number % 3], partition)
        elif what == "take":
            one.take([key])
            held.pop(key, None)
        elif what == "org":
            one.take_org(OTHER_ORG)
            held = {key: kept for key, kept in held.items() if not key.startswith(OTHER_ORG)}
        elif number == 0:
            one.clear()
            held.clear()
        there = {key for key in held if one.get(key) is not None}
        assert len(one) == len(there) <= 9
        assert all(one.get(key) == held[key] for key in there)
        for place in (A, B, C):
            inside = {key for key in there if held[key].partition == place}
            assert len(inside) <= 5
            for text in TEXTS:
                same = {key for key in inside if held[key].question == text}
                assert set(found(one, text, place)) == same
        assert len({held[key].partition for key in there}) <= 2


def test_a_row_is_read_where_it_was_written_and_nowhere_else() -> None:
    kept = row()
    value = write(kept, name=name(1), pepper=b"p")

    assert read(value, name=name(1), pepper=b"p") == kept
    assert read(value, name=name(2), pepper=b"p") is None
    assert read(value, name=name(1), pepper=b"q") is None
    assert all(read(value[:size], name=name(1), pepper=b"p") is None for size in range(len(value)))


@given(st.binary(max_size=64))
def test_whatever_stands_in_a_row_is_a_vector_of_length_1_or_none(packed: bytes) -> None:
    vector = unpack(packed)

    assert vector is None or float(vector @ vector) == pytest.approx(1.0, abs=1e-3)
