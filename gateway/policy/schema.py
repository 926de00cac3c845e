"""What the YAML of a policy may say: one strict model for each kind of section. An unknown key is a mistake.

Only the shape is checked here; what the names refer to is checked when a section is compiled.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, PlainValidator, StringConstraints, Tag, WithJsonSchema

from gateway.core.call import FEATURES
from gateway.policy.quantities import bytes_count, seconds, token_span, tokens
from gateway.route.rules import Span

LATER = frozenset(
    {
        *("budget", "budgets", "cache", "candidates", "evaluations", "export", "guarantee", "guardrails", "judge"),
        *("litellm", "pins", "propagate_trace", "rate", "region", "retention", "strategy", "template", "templates"),
        *("anthropic", "bedrock", "responses", "vertex"),
    }
)
"""Keys and dialects that are planned, so that people are told so rather than that they mistyped."""


def shape(value: object) -> str:
    """The kind of a YAML value, which picks one arm of a union and keeps the errors of the others away."""
    shapes: dict[type, str] = {str: "<text>", list: "<list>", dict: "<mapping>"}
    return shapes.get(type(value), "<other>")


def _number_or_text(example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": ["number", "string"], "examples": [example]})


_Text = Annotated[str, Tag("<text>")]
Name = Annotated[str, StringConstraints(pattern=r"^[!-~]([ -~]*[!-~])?$", max_length=200)]
OneOrMany = Annotated[_Text | Annotated[list[str], Tag("<list>")], Discriminator(shape)]
Duration = Annotated[float, PlainValidator(seconds), Field(gt=0, le=7 * 86400), _number_or_text("5s")]
Size = Annotated[int, PlainValidator(bytes_count), Field(ge=1024, le=2**40), _number_or_text("16MiB")]
Tokens = Annotated[int, PlainValidator(tokens), _number_or_text("2k")]
TokenSpan = Annotated[Span, PlainValidator(token_span), WithJsonSchema({"type": "string", "examples": ["< 400"]})]
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


class Timeouts(Section):
    """How long each phase of an attempt may take."""

    connect: Duration | None = None
    """Until the connection stands. Default 5s."""
    headers: Duration | None = None
    """Until the provider's response headers, when a stream was asked for. Default 60s."""
    whole: Duration | None = None
    """Until the provider's response headers, when no stream was asked for. Default 10m, or `headers` if that is given."""
    first_token: Duration | None = None
    """Until the first part of the answer. Default 120s."""
    idle: Duration | None = None
    """Between two parts of the answer. Default 60s."""
    total: Duration | None = None
    """For the whole answer. Default 30m."""


class Retry(Section):
    """How often a call may be tried."""

    attempts: Annotated[int, Field(ge=1, le=20)] | None = None
    """Tries in all, the first included. Default 3."""
    max_wait: Annotated[float, PlainValidator(seconds), Field(ge=0, le=3600), _number_or_text("5s")] | None = None
    """The longest wait between two tries. Default 5s."""
    replay: bool = False
    """Try again also after a failure in which the provider may already have worked (and billed)."""


class Provider(Section):
    """A company or server that answers calls. It is off while a `${NAME}` in it is not set in the environment."""

    dialect: Literal["openai", "demo"]
    """The wire format it speaks. `demo` is answered by the gateway itself, without a network."""
    base_url: str | None = None
    """Where its API begins, such as https://api.openai.com/v1."""
    key: str | None = None
    """Its credential, such as ${OPENAI_API_KEY}."""
    auth: Literal["bearer", "api-key"] = "bearer"
    """How the key is sent: `Authorization: Bearer <key>`, or `api-key: <key>` as Azure wants it."""
    headers: dict[str, str] = {}
    """Further headers to send with each call."""
    query: str = ""
    """A query string to send with each call, such as api-version=2024-10-21."""
    allow_private: bool = False
    """Whether it may be in a private network or on this machine."""
    timeouts: Timeouts = Timeouts()
    """How long each phase of an attempt may take."""
    retry: Retry = Retry()
    """How often a call may be tried."""
    stream_usage: bool = True
    """Whether it understands `stream_options.include_usage`."""
    max_output_bytes: Size | None = None
    """The largest answer to read. Default 16MiB."""


class Price(Section):
    """What a deployment charges, in USD per million tokens."""

    input: Dollars = Field(alias="in", description="Input tokens.")
    output: Dollars = Field(alias="out", description="Output tokens.")
    cached_in: Dollars | None = None
    """Input tokens that the provider found in its cache. Default: the same as other input."""


class Share(Section):
    """One deployment's part of a model."""

    weight: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    """Its share of the calls; 0 keeps it for when the others fail."""
    price: Price | None = None
    """Its price; default: the model's, else the one in the price table."""


Entry = Annotated[
    _Text | Annotated[dict[str, Share], Field(min_length=1, max_length=1), Tag("<mapping>")],
    Discriminator(shape),
]


class Model(Section):
    """A name that clients may ask for."""

    use: Annotated[_Text | Annotated[list[Entry], Field(min_length=1), Tag("<list>")], Discriminator(shape)]
    """The deployments that answer, each as provider/upstream-model."""
    price: Price | None = None
    """Default: what the price table says."""
    fallback: list[str] = []
    """What to try when all of `use` has failed, in order: provider/upstream-model, or the name of another model."""


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


class Route(Section):
    """A rule: the first whose match fits a call says which model answers it."""

    name: Name
    match: Match = Match()
    """Left out in the last route, which takes every call."""
    model: str


class Key(Section):
    """Narrows some of a tenant's virtual keys."""

    name: Name
    """The name of a virtual key, or a pattern such as ci-*."""
    models: list[str] | None = None
    """The models these keys may ask for."""


class Team(Section):
    """A part of an organisation."""

    models: list[str] | None = None
    """The models it may ask for, as names or patterns. Default: every model that the level above may."""
    keys: list[Key] = []
    blocked: bool = False
    """Refuses every call."""


class Tenant(Team):
    """An organisation: whom we isolate and bill."""

    teams: dict[Name, Team] = {}


class Request(Section):
    """A call to decide about. What is left out takes no part in the decision."""

    model: str = "auto"
    key: str = "test"
    """The name of the virtual key."""
    tenant: str | None = None
    """Organisation or organisation/team. Default: a caller who may ask for every model."""
    tags: OneOrMany | None = None
    headers: dict[str, str] = {}
    content: str = ""
    """The text of the one message."""
    has: Features | None = None
    stream: bool = False
    tokens_in: Tokens | None = None
    """Default: an estimate from the content."""


class Expectation(Section):
    """What must come of it. What is left out may be anything."""

    route: str | None = None
    model: str | None = None
    deployment: str | None = None
    """One of the deployments to be tried first."""
    error: Annotated[_Text | Annotated[int, Tag("<other>")], Discriminator(shape)] | None = None
    """The `code` or the HTTP status of the refusal."""


class Test(Section):
    """A requirement of this policy, run by `llmgw check`."""

    name: Name
    request: Request = Request()
    expect: Expectation


class Policy(Section):
    """All files of the policy folder together."""

    version: Annotated[int, Field(ge=1, le=1)] = 1
    """The version of this language."""
    strict: bool = False
    providers: dict[Name, Provider] = {}
    """Companies and servers that answer calls."""
    models: dict[Name, Model] = {}
    """The names that clients may ask for."""
    routes: list[Route] = []
    """Rules, of which the first that fits a call says which model answers it."""
    tenants: dict[Name, Tenant] = {}
    """Who may call. Without this section every virtual key may."""
    tests: list[Test] = []
    """Requirements of this policy, run by `llmgw check`."""


def listed(value: str | list[str] | None) -> tuple[str, ...]:
    """One or many as a tuple; none for None."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
