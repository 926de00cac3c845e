"""Whether a kept answer serves a question: the nearest that the guard lets pass, if it is near enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.cache.semantic.guard import veto
from gateway.cache.semantic.near import Near
from gateway.cache.semantic.reading import Reading

CONTESTED = "contested"
"""The word for a candidate beside which stands another, almost as near, that is known to have another answer."""

_MARGIN = 0.06


@dataclass(frozen=True, slots=True)
class Kept:
    """The question of an entry, and a fingerprint of its answer where answers repeat, as labels, menus and JSON do; None where
    they are prose, of which no two are alike."""

    reading: Reading
    answer: bytes | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """`near` is the candidate, None if there is none; `veto` why the nearest one of all was passed over, if it was.

    `serves` says that it is near enough to be served; a candidate that is not is a near miss, whose score teaches.
    """

    near: Near | None
    serves: bool
    veto: str | None = None


NOTHING = Decision(None, serves=False)


def search_floor(floor: float) -> float:
    """How low a search must look for `decide` to see what contests a candidate that scores `floor`."""
    return floor - _MARGIN


def decide(
    asked: Reading, found: Sequence[Near], kept: Callable[[str], Kept | None], *, floor: float, threshold: float | None
) -> Decision:
    """`found` comes nearest first; `kept` gives what an entry holds, None when it is gone. Below `floor` there are no
    candidates; without a threshold nothing serves."""
    first_veto: str | None = None
    for near in found:
        one = kept(near.id) if near.score >= floor else None
        if one is None:
            continue
        word = veto(asked, one.reading)
        if word is None:
            if _is_contested(near, one.answer, found, kept):
                return Decision(None, serves=False, veto=CONTESTED)
            return Decision(near, serves=threshold is not None and near.score >= threshold, veto=first_veto)
        first_veto = first_veto or word
    return Decision(None, serves=False, veto=first_veto)


def _is_contested(near: Near, answer: bytes | None, found: Sequence[Near], kept: Callable[[str], Kept | None]) -> bool:
    if answer is None:
        return False
    rivals = (kept(one.id) for one in found if one.score > near.score - _MARGIN)
    return any(rival is not None and rival.answer not in (None, answer) for rival in rivals)
