"""The nearest of one partition are found, exactly, and nothing of another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cache.semantic.index import Index

A, B = b"a", b"b"


def unit(*numbers: float) -> Any:
    vector = np.array(numbers, dtype=np.float32)
    return vector / np.linalg.norm(vector)


def test_the_nearest_come_first_and_none_below_the_least() -> None:
    index = Index(2)
    for id, vector in {"up": unit(0, 1), "near": unit(1, 0.2), "same": unit(1, 0), "away": unit(-1, 0)}.items():
        index.add(A, id, vector)

    found = index.search(A, unit(1, 0), least=0.5)

    assert [near.id for near in found] == ["same", "near"]
    assert found[0].score == pytest.approx(1.0)
    assert len(index.search(A, unit(1, 0), least=-1, most=3)) == 3


def test_another_partition_is_never_seen() -> None:
    index = Index(2)
    index.add(A, "x", unit(1, 0))

    assert index.search(B, unit(1, 0)) == []
    assert not index.remove(B, "x")
    assert index.drop(B) == 0
    assert index.drop(A) == 1
    assert index.search(A, unit(1, 0)) == []


def test_the_one_added_longest_ago_makes_room() -> None:
    index = Index(2, most=2)

    assert [index.add(A, id, unit(1, 0)) for id in ("x", "y", "y", "z")] == [None, None, None, "x"]
    assert {near.id for near in index.search(A, unit(1, 0))} == {"y", "z"}


@pytest.mark.parametrize("vector", [unit(1, 0, 0), np.array([1, 1]), np.array([np.nan, 1]), np.array([0, 0])])
def test_what_is_no_vector_of_its_kind_is_refused(vector: Any) -> None:
    with pytest.raises(ValueError, match="dimensions"):
        Index(2).add(A, "x", vector.astype(np.float32))


@settings(max_examples=30)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 200), st.integers(0, 359)), max_size=300))
def test_it_finds_what_a_plain_comparison_finds(steps: list[tuple[bool, int, int]]) -> None:
    index = Index(2)
    model: dict[str, Any] = {}
    for adds, number, angle in steps:
        id = str(number)
        vector = unit(np.cos(np.radians(angle)), np.sin(np.radians(angle)))
        if adds:
            index.add(A, id, vector)
            model[id] = vector
        else:
            assert index.remove(A, id) == (model.pop(id, None) is not None)

    found = index.search(A, unit(1, 0), most=1000, least=-2)

    assert len(index) == len(model)
    assert {near.id: pytest.approx(near.score) for near in found} == {id: float(v[0]) for id, v in model.items()}
