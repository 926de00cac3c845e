"""Who may answer a route's calls in the place of its strong model, and what must have been shown before they do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gateway.core.deployment import Model

MOST_HEDGED = 0.03
"""The share of calls that may be hedged, unless the policy says otherwise."""


class Check(Enum):
    """Why the answer of a cheap model is not served, as far as the answer itself shows it."""

    TRUNCATED = "truncated"
    REFUSED = "refused"
    SCHEMA_INVALID = "schema_invalid"
    EMPTY = "empty"


class Comparison(Enum):
    """What must be the same in two answers for them to agree."""

    JSON = "json"
    TOOL_CALL = "tool_call"
    TEXT_EXACT = "text_exact"


class Scorer(Enum):
    """How a candidate's answer is compared with the reference's."""

    EXACT = "exact"
    JSON_EQUAL = "json_equal"
    SCHEMA = "schema"
    TOOL_CALL_EQUAL = "tool_call_equal"
    UNIT = "unit"
    JUDGE = "judge"


@dataclass(frozen=True, slots=True, eq=False)
class Cascade:
    """A cheap model is asked first, and the strong one where one of the checks fires. `second` is asked beside the first, and
    where the two disagree in what `on` compares (of which `part` alone, unless it is ""), that is a check that fires too.
    `model` stands for the whole: its name is the policy's own and its deployments are the cheap model's."""

    model: Model
    cheap: Model
    strong: Model
    when: frozenset[Check]
    second: Model | None = None
    on: Comparison = Comparison.JSON
    part: str = ""

    @property
    def name(self) -> str:
        return self.model.name


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """Each call goes to the weak or the strong model by its score, learned from the route's labels; `strong_share` of the
    calls, from 0 to 1, go to the strong one. With `sticky` the first call of a conversation decides for all of it."""

    name: str
    weak: Model
    strong: Model
    strong_share: float
    sticky: bool = True


Candidate = Model | Cascade | Learned


def models_of(candidate: Candidate) -> tuple[Model, ...]:
    """Whom it may ask, each of which it needs."""
    if isinstance(candidate, Model):
        return (candidate,)
    if isinstance(candidate, Learned):
        return candidate.weak, candidate.strong
    return (candidate.cheap, candidate.strong, *(() if candidate.second is None else (candidate.second,)))


@dataclass(frozen=True, slots=True)
class Guarantee:
    """What a candidate must have shown before it serves: a loss of at most `max_loss` of the reference's quality, with
    `confidence`. Until then a share `shadow` of the calls is tried on it, and afterwards a share `audit`, for at most
    `budget` nano-USD per UTC day (None: as much as it takes). `judge` compares answers where `scorer` says so, and is wrong
    in a share `judge_error` of its verdicts. With `per_prompt` it is shown for each system prompt by itself."""

    reference: Model
    max_loss: float = 0.05
    confidence: float = 0.95
    shadow: float = 0.25
    audit: float = 0.02
    budget: int | None = None
    scorer: Scorer = Scorer.JSON_EQUAL
    judge: Model | None = None
    judge_error: float = 0.0
    per_prompt: bool = True


@dataclass(frozen=True, slots=True)
class Canary:
    """A share of the calls, or of the conversations, that another model answers."""

    model: Model
    share: float
    by_conversation: bool = True


@dataclass(frozen=True, slots=True)
class Mirror:
    """A share of the calls that another model is asked too, whose answers nobody is served; at most `budget` nano-USD per
    UTC day."""

    model: Model
    share: float
    budget: int | None = None


@dataclass(frozen=True, slots=True)
class Hedge:
    """A second deployment is asked when the first has said nothing for `after` seconds, in at most `share` of the calls."""

    after: float
    share: float = MOST_HEDGED


class Standing(Enum):
    """What has been shown of a candidate on a route."""

    UNCERTIFIED = "uncertified"
    CERTIFIED = "certified"
    REFUSED = "refused"
    REVOKED = "revoked"
