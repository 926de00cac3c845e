"""What the YAML of a template may say of when its rollout ends, and of a version that is asked beside calls."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated

from pydantic import Field, WithJsonSchema
from pydantic.functional_validators import PlainValidator

from gateway.policy.shapes import DollarsPerDay, Percent, Section
from gateway.template.rollout.bounds import Limit, StepBack

NONE = "none"
_MORE = re.compile(r"\+ ?([0-9]{1,2}(?:\.[0-9]{1,3})?) ?%")
_LESS = re.compile(r"- ?([0-9]{1,2}(?:\.[0-9]{1,3})?) ?%")
_TIMES = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?) ?x")

_DEFAULTS = StepBack()


def _limit(meaning: str, *, more: re.Pattern[str] | None, ratio: bool) -> Callable[[object], Limit | None]:
    def read(written: object) -> Limit | None:
        """None for no bound. Raises ValueError."""
        text = written.strip() if isinstance(written, str) else ""
        if text == NONE:
            return None
        if more is not None and (found := more.fullmatch(text)) is not None:
            return Limit(more=float(Decimal(found[1]) / 100))
        if ratio and (found := _TIMES.fullmatch(text)) is not None and 1 <= Decimal(found[1]) <= 100:
            return Limit(ratio=float(found[1]))
        shown = repr(text[:60]) if text else "this"
        raise ValueError(f"{shown} is not a bound such as {meaning}, nor {NONE}")

    return read


def _as(example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "examples": [example, NONE]})


Errors = Annotated[Limit | None, PlainValidator(_limit('"+2%" or 1.5x', more=_MORE, ratio=True)), _as("+2%")]
Ratio = Annotated[Limit | None, PlainValidator(_limit("1.5x", more=None, ratio=True)), _as("1.5x")]
Feedback = Annotated[Limit | None, PlainValidator(_limit('"-10%"', more=_LESS, ratio=False)), _as("-10%")]


class Bounds(Section):
    """How much worse than the current version a new one may be. One that is shown to be worse gets no more calls."""

    errors: Errors = _DEFAULTS.errors
    """Calls that fail or are cut: `+2%` is two of a hundred calls more, `1.5x` half as many again. Default +1%."""
    latency: Ratio = _DEFAULTS.latency
    """How long the typical call takes until its end. Default 1.5x."""
    cost: Ratio = _DEFAULTS.cost
    """What the typical call costs. Default 1.5x."""
    feedback: Feedback = _DEFAULTS.feedback
    """Answers that callers found good: `-10%` is ten of a hundred fewer. Default -10%."""
    confidence: Annotated[Percent, Field(ge=0.5, le=0.9999)] = _DEFAULTS.confidence
    """With which a version that keeps all bounds is left alone, over the whole life of the rollout. Default 95%."""

    def resolved(self) -> StepBack:
        return StepBack(
            errors=self.errors,
            latency=self.latency,
            cost=self.cost,
            feedback=self.feedback,
            confidence=self.confidence,
        )


class Beside(Section):
    """A version that is asked beside a share of the calls, in the background; nobody is served its answers."""

    version: Annotated[int, Field(ge=1, le=99999)]
    share: Percent
    budget: DollarsPerDay | None = None
    """What that may cost, such as 1 USD/day. Default: as much as it takes."""
