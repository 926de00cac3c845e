"""The solution solves its equation."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.route.score.ridge import Dense, Sparse, solve

NUMBER = st.floats(-3, 3)


@settings(deadline=None)
@given(st.data())
def test_what_is_left_after_the_blocks_is_noise_times_alpha(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    rows = [data.draw(st.sets(st.integers(0, 4))) for _ in range(count)]
    dense = [data.draw(st.tuples(NUMBER, NUMBER)) for _ in range(count)]
    targets = [data.draw(NUMBER) for _ in range(count)]
    blocks = (Sparse([sorted(row) for row in rows], [0.5] * count, 5, 0.3), Dense(dense, 0.2))

    alpha = solve(blocks, targets, 0.4)

    fitted = [sum(parts) for parts in zip(*(block.predict(block.weights(alpha)) for block in blocks), strict=True)]
    for target, value, each in zip(targets, fitted, alpha, strict=True):
        assert target - value == pytest.approx(0.4 * each, abs=1e-3)


def test_one_column_shrinks_as_by_hand() -> None:
    block = Sparse([(0,), (0,)], [1.0, 1.0], 1, 0.5)

    weights = block.weights(solve([block], [1.0, 3.0], 0.25))

    assert weights == pytest.approx([4 / (2 + 0.25 / 0.5)])


def test_nothing_to_explain_needs_no_weights() -> None:
    assert solve([Dense([(1.0,), (2.0,)], 1.0)], [0.0, 0.0], 0.1) == [0.0, 0.0]
