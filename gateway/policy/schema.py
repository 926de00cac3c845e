"""What the YAML of a policy may say: one strict model for each kind of section. An unknown key is a mistake.

Only the shape is checked here; what the names refer to is checked when a section is compiled.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag
from pydantic.functional_validators import PlainValidator

from gateway.policy.quantities import bytes_count, seconds, tokens
from gateway.policy.schema_cache import Caches
from gateway.policy.schema_price import Price
from gateway.policy.schema_replay import Replay
from gateway.policy.schema_routes import Candidate, Guarantee, Route
from gateway.policy.schema_tests import Test
from gateway.policy.shapes import (
    Amount,
    Count,
    Duration,
    Features,
    Name,
    OneOrMany,
    Per,
    Percent,
    Section,
    Size,
    Text,
    Tokens,
    number_or_text,
    shape,
)

LATER = frozenset(
    {
        *("evaluations", "export", "guardrails", "pins"),
        *("retention", "vertex"),
    }
)
"""Keys and dialects that are planned, so that people are told so rather than that they mistyped."""


Redaction = Literal["secret", "email", "iban", "card", "phone"]


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
    max_wait: Annotated[float, PlainValidator(seconds), Field(ge=0, le=3600), number_or_text("5s")] | None = None
    """The longest wait between two tries. Default 5s."""
    replay: bool = False
    """Try again also after a failure in which the provider may already have worked (and billed)."""


class Aws(Section):
    """An access key of AWS, with which calls to Bedrock are signed."""

    access_key_id: str
    """Such as ${AWS_ACCESS_KEY_ID}."""
    secret_access_key: str
    """Such as ${AWS_SECRET_ACCESS_KEY}."""
    session_token: str | None = None
    """Such as ${AWS_SESSION_TOKEN}, for a temporary access key."""


class Provider(Section):
    """A company or server that answers calls. It is off while a `${NAME}` in it is not set in the environment."""

    dialect: Literal["openai", "demo", "anthropic", "responses", "gemini", "bedrock", "litellm"]
    """The wire format it speaks: `openai` is chat completions, `responses` OpenAI's responses, `anthropic` Anthropic's messages,
    `gemini` Google's generateContent, `bedrock` Amazon's Converse, `litellm` whatever the litellm SDK speaks to the
    provider that `litellm` names. `demo` is answered by the gateway itself, without network."""
    litellm: str | None = None
    """What the litellm SDK calls the provider, such as bedrock. For the dialect `litellm`."""
    options: dict[str, str] = {}
    """What the litellm SDK wants to know beside a key, such as aws_region_name. For the dialect `litellm`."""
    environment: bool = False
    """Whether the litellm SDK may look in the environment for what is not written here. For the dialect `litellm`."""
    files: bool = False
    """Whether it keeps clients' files and batches. One provider does, of the dialect `openai`."""
    unbudgeted_batches: bool = False
    """Whether tenants with a hard budget may make batches, too, whose cost is in no budget."""
    base_url: str | None = None
    """Where its API begins, such as https://api.openai.com/v1, or https://api.anthropic.com of the dialect `anthropic`. Default
    for gemini: Google's Gemini API; for bedrock: AWS in `region`."""
    key: str | None = None
    """Its credential, such as ${OPENAI_API_KEY}."""
    auth: Literal["bearer", "api-key", "x-api-key", "x-goog-api-key"] | None = None
    """How the key is sent: `Authorization: Bearer <key>`, or in a header of that name, as `api-key` for Azure. Default
    `x-api-key` in the dialect `anthropic`, `x-goog-api-key` in `gemini`, `bearer` in others."""
    region: str | None = None
    """The region of AWS, such as us-east-1. For bedrock alone."""
    aws: Aws | None = None
    """An access key of AWS, in the place of `key`. For bedrock alone."""
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
    propagate_trace: bool = False
    """Tell it which trace a call belongs to (`traceparent`). For servers of your own."""
    stream_usage: bool = True
    """Whether it understands `stream_options.include_usage`."""
    max_output_bytes: Size | None = None
    """The largest answer to read. Default 16MiB."""
    output_cap: Literal["max_tokens", "max_completion_tokens"] | None = None
    """The field that caps the output where the client wrote none. Default: max_completion_tokens at OpenAI and Azure OpenAI,
    whose reasoning models refuse the other; else max_tokens."""


class Budget(Section):
    """So many dollars or tokens per window of time."""

    usd: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    """What may be spent, in USD. Either this or `tokens`."""
    tokens: Amount | None = None
    """The tokens that may be used, input and output together."""
    per: Per
    """minute … year, which begin anew with the calendar; a duration such as 24h, which rolls; or ever."""
    zone: str | None = None
    """The time zone of the calendar, such as Europe/Berlin. Default UTC."""
    mode: Literal["hard", "soft"] = "hard"
    """A hard budget refuses the calls that do not fit; a soft one only warns."""
    models: Annotated[list[str], Field(min_length=1)] | None = None
    """Only calls that these models answer count; names or patterns. Default: every call."""
    warn: Annotated[list[Percent], Field(max_length=10)] | None = None
    """Shares of the budget at which people are told. Default [80%, 100%]."""
    on_insufficient: Literal["reject", "clamp"] = "reject"
    """What becomes of a call that might not fit: refused, or given a lower cap on its output."""
    unpriced: Literal["refuse", "allow"] = "refuse"
    """What becomes of a call whose price is not known; one that is allowed counts as free."""
    on_orphan: Literal["observed", "reserved", "release"] = "observed"
    """What is charged for a call whose worker died: what was seen of it, all that was held, or nothing."""


class Rate(Section):
    """How fast calls may come. All of it is hard."""

    rpm: Count | None = None
    """Requests in 60 seconds."""
    rpd: Count | None = None
    """Requests in 24 hours."""
    tpm: Amount | None = None
    """Tokens in 60 seconds, input and output together."""
    tpd: Amount | None = None
    """Tokens in 24 hours."""
    concurrent: Count | None = None
    """Calls under way at the same time."""


class Limited(Section):
    """What is spent and how fast, wherever both can be limited."""

    budget: Annotated[list[Budget], Field(max_length=100)] = []
    """What may be spent; every one of these holds."""
    rate: Rate | None = None
    """How fast calls may come."""


class Able(Section):
    """What deployments can do, where the table of models does not know it, or is wrong."""

    context: Tokens | None = None
    """The most tokens of a prompt and its answer together, such as 128k."""
    can: Features | None = None
    """Features that they have, whatever the table says."""
    cannot: Features | None = None
    """Features that they lack: calls that use one go elsewhere."""


class Share(Able):
    """One deployment's part of a model."""

    weight: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    """Its share of the calls; 0 keeps it for when the others fail."""
    price: Price | None = None
    """Its price; default: the model's, else the one in the price table."""


Entry = Annotated[
    Text | Annotated[dict[str, Share], Field(min_length=1, max_length=1), Tag("<mapping>")],
    Discriminator(shape),
]


class Model(Limited, Able):
    """A name that clients may ask for."""

    use: Annotated[Text | Annotated[list[Entry], Field(min_length=1), Tag("<list>")], Discriminator(shape)]
    """The deployments that answer, each as provider/upstream-model."""
    price: Price | None = None
    """Default: what the price table says."""
    fallback: list[str] = []
    """What to try when all of `use` has failed, in order: provider/upstream-model, or the name of another model."""
    max_output: Annotated[int, PlainValidator(tokens), Field(ge=1, le=10**7), number_or_text("8k")] | None = None
    """The most output tokens of a call under a hard budget whose client named no cap. Default 4096."""
    strategy: Literal["weighted", "cheapest", "fastest", "least_busy"] = "weighted"
    """Which deployment of `use` is tried first; of equal ones, and with `weighted`, by weight."""
    sticky: Literal["conversation", "none"] = "none"
    """`conversation`: a conversation keeps the deployment it began with, and so its provider's prompt cache."""


class Users(Limited):
    """What each end user, the call's `user`, may spend and how fast."""


class Key(Limited):
    """Narrows some of a tenant's virtual keys, and limits each of them."""

    name: Name
    """The name of a virtual key, or a pattern such as ci-*."""
    models: list[str] | None = None
    """The models these keys may ask for."""


class Team(Limited):
    """A part of an organisation."""

    models: list[str] | None = None
    """The models it may ask for, as names or patterns. Default: every model that the level above may."""
    users: Users = Users()
    """The limits of each end user."""
    keys: list[Key] = []
    blocked: bool = False
    """Refuses every call."""


class Tenant(Team):
    """An organisation: whom we isolate and bill."""

    teams: dict[Name, Team] = {}


class Alerts(Section):
    """Who is told when a share of a budget has been spent. Off while a `${NAME}` in it is not set in the environment."""

    webhook: str | None = None
    """The URL that a JSON message is posted to."""
    headers: dict[str, str] = {}
    """Headers to send with it."""
    allow_private: bool = False
    """Whether it may be in a private network or on this machine."""


class Capture(Section):
    """Prompts and answers kept for admins to read. Without this section none are."""

    to: Literal["records", "spans"] = "records"
    """`records`: the admin API and the console show them; `spans`: they go to the trace backend, too."""
    tenants: OneOrMany | None = None
    """The organisations, or `organisation/team`, whose calls are kept. Default: everybody's."""
    redact: Annotated[
        Annotated[Redaction, Tag("<text>")] | Annotated[list[Redaction], Tag("<list>")], Discriminator(shape)
    ] = ["secret", "email", "iban", "card", "phone"]
    """What is taken out of them. Default: everything that can be."""
    limit: Annotated[int, PlainValidator(bytes_count), Field(ge=16, le=1024 * 1024), number_or_text("16KiB")] = 16_384
    """Characters kept of each text."""


class Trace(Section):
    """How calls are traced."""

    inbound: Literal["parent", "link", "ignore"] = "parent"
    """What becomes of a caller's `traceparent`: our spans join its trace, link to it from one of their own, or ignore it."""
    capture: Capture | None = None
    """Prompts and answers kept for admins to read."""


class TemplateFile(Section):
    """Where a template is written."""

    file: Annotated[str, Field(max_length=300)]
    """Below the policy folder, such as templates/support.yaml."""


class Realtime(Section):
    """How long sessions of the realtime API may last."""

    longest: Annotated[float, PlainValidator(seconds), Field(gt=0, le=86_400), number_or_text("60m")] = 3600.0
    """In all. Default: 60 minutes."""
    idle: Annotated[float, PlainValidator(seconds), Field(gt=0, le=86_400), number_or_text("10m")] = 600.0
    """Without a message from either side. Default: 10 minutes."""


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
    templates: dict[Name, TemplateFile] = {}
    """Prompt templates by the names that calls use. A file right in templates/ that is not named here has its own name."""
    policies: dict[Name, Candidate] = {}
    """Ways to answer with cheaper models, for routes to name as candidates."""
    guarantee: dict[Literal["default"], Guarantee] = {}
    """`default`: what candidates must have shown, unless their route says otherwise."""
    cache: dict[Name, Caches] = {}
    """Which answers are kept: by the name of a route, and `default` for every other call. Without this section none are."""
    tenants: dict[Name, Tenant] = {}
    """Who may call. Without this section every virtual key may."""
    alerts: Alerts | None = None
    """Who is told when a share of a budget has been spent."""
    trace: Trace = Trace()
    """Whom traces join, and whether prompts and answers are kept with them."""
    realtime: Realtime = Realtime()
    """How long sessions of the realtime API may last."""
    tests: list[Test] = []
    """Requirements of this policy, run by `llmgw check`."""
    replay: list[Replay] = []
    """Requirements of what this policy would have done to recorded calls, checked by `llmgw replay`."""
