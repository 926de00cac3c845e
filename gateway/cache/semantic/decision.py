"""Whether a kept answer serves a question: the nearest that the guard lets pass, if it is near enough."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gateway.cache.semantic.guard import veto
from gateway.cache.semantic.index import Near
from gateway.cache.semantic.reading import Reading


@dataclass(frozen=True, slots=True)
class Decision:
    """`near` is the candidate, None if there is none; `veto` why the nearest one of all was passed over, if it was.

    `serves` says that it is near enough to be served; a candidate that is not is a near miss, whose score teaches.
    """

    near: Near | None
    serves: bool
    veto: str | None = None


NOTHING = Decision(None, serves=False)


def decide(
    asked: Reading, found: Iterable[Near], reading_of: Callable[[str], Reading | None], *, threshold: float | None
) -> Decision:
    """`found` comes nearest first; `reading_of` gives the question of an entry, None when it is gone. Without a threshold
    nothing serves."""
    first_veto: str | None = None
    for near in found:
        reading = reading_of(near.id)
        if reading is None:
            continue
        word = veto(asked, reading)
        if word is None:
            return Decision(near, serves=threshold is not None and near.score >= threshold, veto=first_veto)
        first_veto = first_veto or word
    return Decision(None, serves=False, veto=first_veto)
