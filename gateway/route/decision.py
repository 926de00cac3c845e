"""What is decided about a call before anybody is asked, and what that rests on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gateway.core.call import Call
from gateway.core.deployment import Model
from gateway.route.candidates import Candidate, Cascade, Guarantee, Hedge, Learned, Standing


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of a learned candidate on one call: `score` is the quality that the weak model is expected to lose, of which `parts`
    by name are its sum; the strong model answers above `threshold`."""

    score: float
    threshold: float
    parts: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_strong(self) -> bool:
        return self.score > self.threshold


@dataclass(frozen=True, slots=True)
class Considered:
    """A candidate of the call's route, how it stands, and why it could not be chosen, if so."""

    name: str
    standing: Standing
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """Somebody else who is asked the same call, in the background and served to nobody.

    `probability` is the share of such calls that are tried. With a guarantee the two answers are compared; `candidate` is
    whom the comparison is about, whether it is the one who serves (an audit) or not.
    """

    asks: Candidate
    probability: float
    candidate: str
    guarantee: Guarantee | None = None
    budget: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """`route` is None when the client named the model and no rule changed that. `reason` says why `model` answers:

    named, rule, candidate (a certified one), reference (as no candidate is certified), canary, sticky (as the conversation
    began with it), or score (of a learned candidate). `cascade` is how `model` answers, where that is more than one call.
    """

    route: str | None
    model: Model
    reason: str = "named"
    cascade: Cascade | None = None
    candidate: str | None = None
    considered: tuple[Considered, ...] = ()
    verdict: Verdict | None = None
    trials: tuple[Trial, ...] = ()
    hedge: Hedge | None = None
    conversation: str | None = None


class Scores(Protocol):
    """What has been learned of each route's calls."""

    def judge(self, route: str, learned: Learned, call: Call) -> Verdict: ...


def _nobody(_: str, __: str) -> Standing:
    return Standing.UNCERTIFIED


def _nothing(_: str) -> str | None:
    return None


def _zero() -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a decision rests on besides the call and the policy.

    `tokens_in` is asked only by routes that want it; `now` in UTC seconds; `standing` of a route's candidate, both by name;
    `pin` is the model or candidate that a conversation began with; without `scores` a learned candidate does not serve.
    """

    tokens_in: Callable[[], int] = _zero
    now: float = 0.0
    standing: Callable[[str, str], Standing] = _nobody
    pin: Callable[[str], str | None] = _nothing
    scores: Scores | None = None
