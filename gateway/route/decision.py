"""What is decided about a call before anybody is asked, and what that rests on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Protocol

from gateway.core.call import Call
from gateway.core.deployment import Model
from gateway.route.candidates import Candidate, Cascade, Guarantee, Hedge, Learned, Standing
from gateway.route.rules import Route


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of a learned candidate on one call: `score` is the quality that the weak model is expected to lose, of which `parts`
    by name are its sum; the strong model answers above `threshold`. It rests on so many `labels`."""

    score: float
    threshold: float
    labels: int = 0
    parts: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_strong(self) -> bool:
        return self.score > self.threshold


@dataclass(frozen=True, slots=True)
class Held:
    """What is known of a candidate on a route: how it stands, the share of the route's calls that are tried to know more, and
    the name of its certificate."""

    standing: Standing = Standing.UNCERTIFIED
    share: float = 0.0
    certificate: str = ""


@dataclass(frozen=True, slots=True)
class Considered:
    """A candidate of the call's route, what is known of it, and why it could not be chosen, if so."""

    name: str
    held: Held
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Pin:
    """Who answered last in a conversation: the `name` of a candidate or model of its route, the `model` that was asked, which
    is another one for a learned candidate, and the deployment."""

    name: str
    model: str
    deployment: str


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of a conversation, under `key`. `pin` is who answered in it before, as far as that is known; with
    `is_bound` nobody else can go on. It `is_shared` with other workers where it decides about the model."""

    key: str
    pin: Pin | None = None
    is_bound: bool = False
    is_shared: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """Somebody else who is asked the same call, in the background and served to nobody.

    `probability` is the share of such calls that are tried. With a guarantee the two answers are compared, and what comes of
    it counts for the `certificate` of `candidate`, whether that is who serves (then this is an audit) or who is asked.
    `verdict` is that of a learned candidate.
    """

    asks: Candidate
    probability: float
    candidate: Candidate
    guarantee: Guarantee | None = None
    certificate: str = ""
    verdict: Verdict | None = None

    @property
    def is_audit(self) -> bool:
        return self.asks is not self.candidate

    def told(self) -> Mapping[str, object]:
        told: dict[str, object] = {
            "asks": self.asks.name,
            "of": self.candidate.name,
            "probability": self.probability,
        }
        if self.verdict is not None:
            told |= {"score": round(self.verdict.score, 6), "threshold": round(self.verdict.threshold, 6)}
        return told


@dataclass(frozen=True, slots=True)
class Decision:
    """`route` is None when the client named the model and no rule changed that. `reason` says why `model` answers:

    named, rule, candidate (a certified one), reference (as no candidate is certified), canary, sticky (as the conversation
    began with it), or score (of a learned candidate). `cascade` is how `model` answers, where that is more than one call.
    `trials` are those of the `offered` ones, each with its probability, that were drawn, and a mirror. `sent` are the call's
    input tokens, None where nobody needed to know; `memory` is kept where a conversation has to go on as it began.
    """

    route: str | None
    model: Model
    reason: str = "named"
    cascade: Cascade | None = None
    candidate: str | None = None
    considered: tuple[Considered, ...] = ()
    verdict: Verdict | None = None
    trials: tuple[Trial, ...] = ()
    offered: tuple[Trial, ...] = ()
    hedge: Hedge | None = None
    conversation: str | None = None
    sent: int | None = None
    memory: Memory | None = None

    def told(self) -> Mapping[str, object]:
        """What the record keeps of it, as plain values. Empty where there was nothing to choose from."""
        told: dict[str, object] = {}
        if self.considered:
            told["candidates"] = [
                {"name": each.name, "standing": each.held.standing.value, "skipped": each.reason}
                for each in self.considered
            ]
            told["candidate"] = self.candidate
        if self.verdict is not None:
            told["score"] = round(self.verdict.score, 6)
            told["threshold"] = round(self.verdict.threshold, 6)
            told["parts"] = {name: round(part, 6) for name, part in self.verdict.parts.items()}
        if self.offered:
            told["offered"] = {each.candidate.name: each.probability for each in self.offered}
        if self.trials:
            told["trials"] = [each.told() for each in self.trials]
        if self.memory is not None and self.memory.pin is not None:
            told["pin"] = asdict(self.memory.pin)
        return told


class Scores(Protocol):
    """What has been learned of each route's calls."""

    def judge(self, route: str, learned: Learned, call: Call) -> Verdict: ...


def _nobody(_: Route, __: Candidate, ___: str) -> Held:
    return Held()


def _nothing(_: str) -> Pin | None:
    return None


def _zero() -> int:
    return 0


def _never() -> float:
    return 1.0


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a decision rests on besides the call and the policy.

    `tokens_in` is asked only by routes that want it; `sent` is the same where the prompt is so long that it might not fit
    somewhere; `now` in UTC seconds, without which no route with a time holds; `chance` gives numbers from 0 to below 1 that
    nobody can know or choose beforehand (1: nothing is drawn); `held` is known of a route's candidate, for calls with a system
    prompt (see conversation.system_prompt; "" where it does not matter); `pin` is who answered before in the conversation that
    is remembered under a key; without `scores` a learned candidate does not serve.
    """

    tokens_in: Callable[[], int] = _zero
    now: float | None = None
    chance: Callable[[], float] = _never
    held: Callable[[Route, Candidate, str], Held] = _nobody
    pin: Callable[[str], Pin | None] = _nothing
    scores: Scores | None = None
    sent: int | None = None
