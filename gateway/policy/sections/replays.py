"""Replays: what the policy promises of recorded traffic, each with the place it is written at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.policy import schema
from gateway.policy.mistakes import Mistakes, Path, Place


@dataclass(frozen=True, slots=True)
class Promise:
    """About the calls of the last `seconds`. `cost` and `loss_upper_95` are shares that may not be passed; `labelled` is how many
    trials there must be at least, and whether of each route. None: nothing is promised."""

    place: Place
    seconds: float
    cost: float | None = None
    loss_upper_95: float | None = None
    labelled: tuple[int, bool] | None = None


def compile_replays(policy: schema.Policy, at: Sequence[int], mistakes: Mistakes) -> tuple[Promise, ...]:
    """`at` gives for each entry its position among those written."""
    promises = []
    for index, written in zip(at, policy.replay, strict=True):
        path: Path = ("replay", index)
        asserted = written.asserted
        if not asserted.model_fields_set:
            mistakes.add((*path, "assert"), "nothing is asserted: say cost, loss_upper_95 or labelled")
        promises.append(
            Promise(
                place=mistakes.place(path),
                seconds=written.traffic,
                cost=asserted.cost,
                loss_upper_95=asserted.loss_upper_95,
                labelled=asserted.labelled,
            )
        )
    return tuple(promises)
