"""The kinds of values that a policy's YAML is made of, each of them read from what an admin would write."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag, WithJsonSchema
from pydantic.functional_validators import PlainValidator

from gateway.budget.windows import Period, Window
from gateway.core.call import FEATURES
from gateway.policy.quantities import (
    bytes_count,
    count,
    dollars_per_day,
    instant,
    seconds,
    share,
    time_of_week,
    token_span,
    tokens,
    window,
)
from gateway.route.hours import Hours
from gateway.route.rules import Span


def shape(value: object) -> str:
    """The kind of a YAML value, which picks one arm of a union and keeps the errors of the others away."""
    shapes: dict[type, str] = {str: "<text>", list: "<list>", dict: "<mapping>"}
    return shapes.get(type(value), "<other>")


def number_or_text(example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": ["number", "string"], "examples": [example]})


Text = Annotated[str, Tag("<text>")]
Name = Annotated[str, StringConstraints(pattern=r"^[!-~]([ -~]*[!-~])?$", max_length=200)]
OneOrMany = Annotated[Text | Annotated[list[str], Tag("<list>")], Discriminator(shape)]
Duration = Annotated[float, PlainValidator(seconds), Field(gt=0, le=7 * 86400), number_or_text("5s")]
Size = Annotated[int, PlainValidator(bytes_count), Field(ge=1024, le=2**40), number_or_text("16MiB")]
Tokens = Annotated[int, PlainValidator(tokens), number_or_text("2k")]
Amount = Annotated[int, PlainValidator(tokens), Field(ge=1, le=10**15), number_or_text("2M")]
Count = Annotated[int, PlainValidator(count), Field(ge=1, le=10**12), number_or_text("2k")]
Percent = Annotated[float, PlainValidator(share), WithJsonSchema({"type": "string", "examples": ["80%"]})]
Per = Annotated[
    Window,
    PlainValidator(window),
    WithJsonSchema({"anyOf": [{"enum": [*(each.value for each in Period), "ever"]}, {"type": ["number", "string"]}]}),
]
TokenSpan = Annotated[Span, PlainValidator(token_span), WithJsonSchema({"type": "string", "examples": ["< 400"]})]
TimeOfWeek = Annotated[
    Hours, PlainValidator(time_of_week), WithJsonSchema({"type": "string", "examples": ["mon-fri 08:00-18:00"]})
]
Instant = Annotated[
    float, PlainValidator(instant), WithJsonSchema({"type": "string", "examples": ["2026-01-05T09:00Z"]})
]
DollarsPerDay = Annotated[
    int, PlainValidator(dollars_per_day), WithJsonSchema({"type": "string", "examples": ["20 USD/day"]})
]
Dollars = Annotated[float, Field(ge=0, le=1_000_000)]
Feature = Annotated[str, WithJsonSchema({"type": "string", "enum": sorted(FEATURES)})]
Features = Annotated[
    Annotated[Feature, Tag("<text>")] | Annotated[list[Feature], Tag("<list>")],
    Discriminator(shape),
]


class Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )


def listed(value: str | list[str] | None) -> tuple[str, ...]:
    """One or many as a tuple; none for None."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
