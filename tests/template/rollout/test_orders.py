"""What an admin may say beside the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from gateway.core.errors import Conflict, NotFound
from gateway.template.choose import choose
from gateway.template.rollout import orders
from gateway.template.rollout.rollouts import in_force, serving
from gateway.template.rollout.standing import Standing, Stepped, basis_of
from gateway.template.rules import Template
from tests.template.rollout.cast import template, version

WORD = orders.Word("admin", "because", 1.0)
STEPPED = Standing(stepped={version(2).hash: Stepped(1.0, "errors", "+1%", 50.0, 50.0, 9, version(1).hash)})


def served(of: Template, standing: Standing) -> set[int]:
    """The versions that many conversations get."""
    current = in_force(of, standing)
    choices = [choose(current, None, f"u{number}") for number in range(200)]
    return {choice.version.number for choice in choices if choice is not None}


@pytest.mark.parametrize("weights", [None, {1: 90, 2: 10}, {1: 50, 3: 50}])
def test_a_promoted_version_gets_all_calls(weights: Mapping[int, int] | None) -> None:
    of = template(weights)

    assert served(of, orders.promoted(of, Standing(), 2, WORD)) == {2}


def test_one_that_was_stepped_back_may_be_promoted_all_the_same() -> None:
    of = template({1: 90, 2: 10})

    assert served(of, orders.promoted(of, STEPPED, 2, WORD)) == {2}


def test_a_rollback_of_a_promotion_goes_back_to_what_served_before() -> None:
    of = template({3: 90, 1: 10}, baseline=3)
    promoted = orders.promoted(of, Standing(), 1, WORD)

    assert served(of, orders.rolled_back(of, promoted, WORD)) == {3}


def test_a_rollback_of_a_rollout_goes_back_to_its_current_version() -> None:
    of = template({1: 90, 2: 10})

    assert served(of, orders.rolled_back(of, Standing(), WORD)) == {1}


def test_a_rollback_without_a_rollout_goes_back_to_the_number_before() -> None:
    of = replace(template(), standing=3)

    assert served(of, orders.rolled_back(of, Standing(), WORD)) == {2}


def test_there_may_be_no_version_before() -> None:
    with pytest.raises(Conflict, match="no version before"):
        orders.rolled_back(template(), Standing(), WORD)


def test_what_was_rolled_back_is_not_rolled_back_again() -> None:
    of = template({1: 90, 2: 10})
    once = orders.rolled_back(of, Standing(), WORD)

    with pytest.raises(Conflict, match="no version before"):
        orders.rolled_back(of, once, WORD)


def test_what_gets_all_calls_already_is_not_promoted() -> None:
    with pytest.raises(Conflict, match="already"):
        orders.promoted(template(), Standing(), 1, WORD)
    of = template({1: 90, 2: 10})
    assert orders.promoted(of, Standing(), 1, WORD).override is not None, "it gets nine tenths"


def test_a_version_that_is_not_there_is_named() -> None:
    with pytest.raises(NotFound, match="no version 9; there are 1, 2, 3"):
        orders.promoted(template(), Standing(), 9, WORD)


def test_a_reset_forgets_everything_and_begins_anew() -> None:
    of = template({1: 90, 2: 10})
    standing = orders.reset(orders.promoted(of, STEPPED, 2, WORD))

    assert standing == Standing(trial=1)
    assert serving(of, standing).number == 1


def test_an_override_of_a_version_that_is_gone_says_nothing() -> None:
    of = template({1: 90, 2: 10})
    promoted = orders.promoted(of, Standing(), 3, WORD)
    gone = replace(of, versions={number: each for number, each in of.versions.items() if number != 3})

    assert served(gone, promoted) == {1, 2}


def test_each_change_has_another_etag() -> None:
    of = template({1: 90, 2: 10})
    standings = [Standing(), STEPPED, orders.promoted(of, Standing(), 2, WORD), orders.reset(Standing())]

    assert len({each.etag(basis_of(of)) for each in standings}) == 4
    assert Standing(at=7).etag("b") == Standing().etag("b"), "when it was last written does not matter"


def test_versions_that_nothing_names_may_come_and_go() -> None:
    of = template({1: 90, 2: 10})
    more = replace(of, versions={**of.versions, 4: version(4)})
    less = replace(of, labels={})

    assert basis_of(more) == basis_of(of)
    assert basis_of(less) != basis_of(of)
    assert basis_of(replace(of, versions={**of.versions, 2: replace(version(2), hash="other")})) != basis_of(of)
