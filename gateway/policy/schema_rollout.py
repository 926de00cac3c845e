"""What the YAML of a template may say of when its rollout ends, and of a version that is asked beside calls."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema
from pydantic.functional_validators import PlainValidator

from gateway.policy.shapes import DollarsPerDay, Percent, Section
from gateway.template.rollout.bounds import Limit, StepBack

None_ = Literal["none"]
NONE: None_ = "none"
_MORE = re.compile(r"\+ ?([0-9]{1,2}(?:\.[0-9]{1,3})?) ?%")
_LESS = re.compile(r"- ?([0-9]{1,2}(?:\.[0-9]{1,3})?) ?%")
_TIMES = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?) ?x")

_DEFAULTS = StepBack()


def _limit(meaning: str, *, more: re.Pattern[str] | None, ratio: bool) -> Callable[[object], Limit | None_]:
    def read(written: object) -> Limit | None_:
        """Raises ValueError."""
        text = written.strip() if isinstance(written, str) else ""
        if text == NONE:
            return NONE
        if more is not None and (found := more.fullmatch(text)) is not None:
            return Limit(more=float(Decimal(found[1]) / 100))
        if ratio and (found := _TIMES.fullmatch(text)) is not None and 1 <= Decimal(found[1]) <= 100:
            return Limit(ratio=float(found[1]))
        shown = repr(text[:60]) if text else "this"
        raise ValueError(f"{shown} is not a bound such as {meaning}, nor {NONE}")

    return read


def _as(example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "examples": [example, NONE]})


Errors = Annotated[Limit | None_, PlainValidator(_limit('"+2%" or 1.5x', more=_MORE, ratio=True)), _as("+2%")]
Ratio = Annotated[Limit | None_, PlainValidator(_limit("1.5x", more=None, ratio=True)), _as("1.5x")]
Feedback = Annotated[Limit | None_, PlainValidator(_limit('"-10%"', more=_LESS, ratio=False)), _as("-10%")]


class Bounds(Section):
    """How much worse than the current version a new one may be. One that is shown to be worse gets no more calls."""

    errors: Errors | None = None
    """Calls that fail or are cut: `+2%` is two of a hundred calls more, `1.5x` half as many again. Default +1%."""
    latency: Ratio | None = None
    """How long the typical call takes until its end. Default 1.5x."""
    cost: Ratio | None = None
    """What the typical call costs. Default 1.5x."""
    feedback: Feedback | None = None
    """Answers that callers found good: `-10%` is ten of a hundred fewer. Default -10%."""
    confidence: Annotated[Percent, Field(ge=0.5, le=0.9999)] = _DEFAULTS.confidence
    """With which a version that keeps all bounds is left alone, over the whole life of the rollout. Default 95%."""

    def resolved(self) -> StepBack:
        return StepBack(
            errors=_or(self.errors, _DEFAULTS.errors),
            latency=_or(self.latency, _DEFAULTS.latency),
            cost=_or(self.cost, _DEFAULTS.cost),
            feedback=_or(self.feedback, _DEFAULTS.feedback),
            confidence=self.confidence,
        )


def _or(written: Limit | None_ | None, default: Limit | None) -> Limit | None:
    if written == NONE:
        return None
    return default if written is None else written


class Beside(Section):
    """A version that is asked beside a share of the calls, in the background; nobody is served its answers."""

    version: Annotated[int, Field(ge=1, le=99999)]
    share: Percent
    budget: DollarsPerDay | None = None
    """What that may cost, such as 1 USD/day. Default: as much as it takes."""
