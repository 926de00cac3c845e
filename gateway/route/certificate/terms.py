"""What a certificate promises, and what it stands for."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from hashlib import blake2b

_FIRST_TRIAL = 0.8
_INVERSE_SQUARES = 0.6449341
"""The sum of 1/n^2 for n from 2 on, rounded up."""
_VERSION = 1
"""Of how answers are scored and labels kept: another one makes every certificate begin anew."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The candidate loses at most `max_loss` of the reference's quality, with this confidence.

    `judge_error` is the largest chance, for good answers and for bad ones, that a score says the opposite of what is so.
    `graded`: references are scored too, and need not be as good as can be. Raises ValueError for what promises nothing.
    """

    max_loss: float = 0.05
    confidence: float = 0.95
    judge_error: float = 0.0
    graded: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.max_loss < 1:
            raise ValueError(f"max_loss is more than 0 and less than 1, and not {self.max_loss!r}.")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence is more than 0 and less than 1, and not {self.confidence!r}.")
        if not 0 <= self.judge_error < 0.5:
            raise ValueError(
                f"A judge that errs with a chance of {self.judge_error!r} shows nothing; it must be under 0.5."
            )
        if self.graded and self.judge_error:
            raise ValueError(
                "A judge compares answers with the reference's, whose quality is 1 by that: they are not graded."
            )

    @property
    def key(self) -> str:
        """Verdicts under other terms are other verdicts."""
        return f"{self.max_loss!r} {self.confidence!r} {self.judge_error!r} {'graded' if self.graded else ''}".rstrip()

    @property
    def certifies_below(self) -> float:
        """The loss in scores under which the candidate is certified.

        A judge that errs hides losses: of a true one, scores show a part of 1 - 2 x judge_error at least, both when good
        answers are taken for bad as often as bad for good, and when they never are. What it takes from good answers is not
        given back: it may err less than was said.
        """
        return self.max_loss * (1 - 2 * self.judge_error)

    @property
    def refuses_above(self) -> float:
        """The loss in scores over which the candidate is refused: no judge that errs so seldom shows it where the loss is
        kept."""
        return self.max_loss + self.judge_error * (1 - self.max_loss)

    def alpha(self, trial: int) -> float:
        """The chance of a false certificate that this trial (from 1) may take. Over all trials they sum to 1 - confidence: the
        first has four fifths, the later ones shares as 1/trial^2."""
        whole = 1 - self.confidence
        if trial <= 1:
            return _FIRST_TRIAL * whole
        return (1 - _FIRST_TRIAL) * whole / (_INVERSE_SQUARES * trial * trial)


@dataclass(frozen=True, slots=True)
class Subject:
    """All that labels depend on: what changes here makes another certificate, which begins with none.

    `reference` are the identifiers of the deployments that answer as the reference; `candidate` and `score` are written out, as
    the policy has them, with the deployments they stand for. `template` is its name and version. `prompt` is a hash of the
    system prompt where certificates are kept for each, else "". The terms are no part of it: under others the same labels are
    looked at again.
    """

    route: str
    reference: tuple[str, ...]
    candidate: str
    score: str
    template: str = ""
    prompt: str = ""

    def name(self, pepper: bytes) -> str:
        """Under which its certificate is kept in the store, beside what the semantic cache keeps there."""
        body = json.dumps([_VERSION, *astuple(self)]).encode()
        return "certificate:" + blake2b(body, digest_size=32, key=pepper[:64], person=b"certificate").hexdigest()
