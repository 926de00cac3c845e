"""What the YAML of a policy may say of routes and of who answers them; a part of schema.py, which says how it is read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from gateway.policy.shapes import (
    DollarsPerDay,
    Duration,
    Features,
    Name,
    OneOrMany,
    Percent,
    Section,
    Text,
    TimeOfWeek,
    TokenSpan,
    shape,
)


class Match(Section):
    """What a call must be like. Names may be patterns such as billing-*; of a list, one must fit."""

    model: OneOrMany | None = None
    """The model that the client asked for."""
    key: OneOrMany | None = None
    """The name of the virtual key."""
    tenant: OneOrMany | None = None
    """The organisation, or organisation/team."""
    tags: OneOrMany | None = None
    """Tags that the call must have, all of them."""
    headers: dict[str, str] = {}
    """Request headers and the pattern that each must fit."""
    tokens_in: TokenSpan | None = None
    """The estimated number of input tokens, such as "< 400" or "100..500"."""
    has: Features | None = None
    """Features that the call must use, all of them."""
    has_not: Features | None = None
    """Features of which it must use none."""
    stream: bool | None = None
    """Whether a stream was asked for."""
    time: TimeOfWeek | None = None
    """The time of day, such as "22:00-06:00" or "mon-fri 08:00-18:00 Europe/Berlin". In UTC where it names no zone."""


class Disagreement(Section):
    """A second cheap model is asked beside the first."""

    disagrees_with: str
    """The model; best one of another vendor, which makes other mistakes."""
    on: Literal["json", "tool_call", "text_exact"] = "json"
    """What is compared: the JSON of the answers, their tool calls, or their text."""
    part: Annotated[str, Field(max_length=200)] = ""
    """Of JSON, the member that alone is compared, such as answer; of text, perhaps last_number. Default: all of it."""


Check = Annotated[
    Annotated[Literal["truncated", "refused", "schema_invalid", "empty"], Tag("<text>")]
    | Annotated[Disagreement, Tag("<mapping>")],
    Discriminator(shape),
]


class Candidate(Section):
    """A way to answer with cheaper models, to be named under a route's `candidates`. Either `try` or `choose`."""

    attempt: str | None = Field(None, alias="try", description="A cascade: the cheap model that is asked first.")
    escalate_to: str | None = None
    """The model that is asked where a check fires."""
    when: list[Check] = ["truncated", "refused", "schema_invalid"]
    """The checks of the cheap model's answer."""
    choose: Annotated[list[str], Field(min_length=2, max_length=2)] | None = None
    """A score learned from the route's own calls: the weak and the strong model that it chooses from."""
    strong_share: Percent | None = None
    """The share of the calls that the score sends to the strong model. Default 40%."""
    sticky: Literal["conversation", "none"] = "conversation"
    """Whether the first call of a conversation decides for all of it, or each call for itself."""


class Judged(Section):
    """A model compares the answers."""

    judge: str
    """The model that says whether one answer is as good as the other."""
    judge_error: Percent
    """The share of its verdicts that people find wrong: the guarantee is void without it."""


class Guarantee(Section):
    """What must have been shown of a candidate before it serves."""

    reference: str | None = None
    """The strong model whose quality is the measure. Default: the route's `model`."""
    max_loss: Percent | None = None
    """The share of the reference's quality that may be lost. Default 5%."""
    confidence: Percent | None = None
    """How sure that must be. Default 95%."""
    shadow: Percent | None = None
    """The share of the calls that candidates are tried on until they are certified or refused. Default 25%."""
    audit: Percent | None = None
    """The share of the calls of a certified candidate that the reference is asked too. Default 2%."""
    shadow_budget: DollarsPerDay | None = None
    """What the trials of a route may cost, such as 20 USD/day. Default: as much as they take."""
    score: (
        Annotated[
            Annotated[Literal["exact", "json_equal", "schema", "tool_call_equal", "unit"], Tag("<text>")]
            | Annotated[Judged, Tag("<mapping>")],
            Discriminator(shape),
        ]
        | None
    ) = None
    """How a candidate's answer is compared with the reference's. Default json_equal."""
    per: Literal["prompt", "route"] | None = None
    """Whether it is shown for each system prompt by itself, or for all calls of the route together. Default prompt."""


class Canary(Section):
    """A share of a route's calls that another model answers."""

    model: str
    share: Percent
    by: Literal["conversation", "call"] = "conversation"
    """Whether it is a share of the conversations or of the calls."""


class Mirror(Section):
    """A share of a route's calls that another model is asked too, in the background; nobody is served its answers."""

    model: str
    share: Percent
    budget: DollarsPerDay | None = None
    """What that may cost, such as 5 USD/day. Default: as much as it takes."""


class Hedge(Section):
    """A second deployment is asked when the first is slow to begin."""

    after: Duration
    """How long the first may take until its first token."""
    share: Percent | None = None
    """The most of the calls in which that is done. Default 3%."""


class Route(Section):
    """A rule: the first whose match fits a call says which model answers it."""

    name: Name
    match: Match = Match()
    """Left out in the last route, which takes every call."""
    model: str | None = None
    """The model that answers. Default, where there are candidates: the reference of their guarantee."""
    template: Annotated[str, Field(max_length=200)] | None = None
    """The template that is put round the calls it fits: its name, or name@version or name@label. They are matched as they come
    from the client, and keep to this route with the template."""
    candidates: Annotated[list[Text], Field(min_length=1, max_length=8)] | None = None
    """Models and entries of `policies`, of which the cheapest that is certified answers instead."""
    guarantee: Guarantee | None = None
    """What a candidate must have shown; what is left out is taken from `guarantee: {default: …}`."""
    canary: Canary | None = None
    shadow: Mirror | None = None
    hedge: Hedge | None = None
    sticky: Literal["conversation", "none"] = "conversation"
    """Whether a conversation keeps the model it began with."""
