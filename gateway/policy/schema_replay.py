"""What the YAML of a policy may promise of recorded traffic; a part of schema.py, which says how it is read."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, WithJsonSchema
from pydantic.functional_validators import PlainValidator

from gateway.policy.quantities import at_least, at_most, last
from gateway.policy.shapes import Section

AtMost = Annotated[float, PlainValidator(at_most), WithJsonSchema({"type": "string", "examples": ["<= 70%"]})]
AtLeast = Annotated[
    tuple[int, bool], PlainValidator(at_least), WithJsonSchema({"type": "string", "examples": [">= 200 per route"]})
]
Traffic = Annotated[float, PlainValidator(last), WithJsonSchema({"type": "string", "examples": ["last 7d"]})]


class Asserted(Section):
    """What must come of it. What is not known does not count as kept."""

    cost: AtMost | None = None
    """What all calls would cost, as a share of what they would under the policy in force."""
    loss_upper_95: AtMost | None = None
    """The most quality that the calls of any route which somebody else would answer would lose, with 95 % confidence."""
    labelled: AtLeast | None = None
    """The trials that say so: in all, or of each route whose calls somebody else would answer."""


class Replay(Section):
    """Recorded calls, and what must come of them under this policy: checked by `llmgw replay`."""

    traffic: Traffic
    """Which calls, where the command names none."""
    asserted: Asserted = Field(alias="assert", description="What must come of it.")
