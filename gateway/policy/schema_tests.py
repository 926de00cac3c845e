"""What the YAML of a policy may say in its own tests; a part of schema.py, which says how it is read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag

from gateway.policy.shapes import Features, Instant, Name, OneOrMany, Section, Text, Tokens, shape

Standing = Literal["uncertified", "certified", "refused", "revoked"]


class Request(Section):
    """A call to decide about. What is left out takes no part in the decision."""

    model: str | None = None
    """Default: auto, or the first model of the policy where there is no auto."""
    key: str = "test"
    """The name of the virtual key."""
    tenant: str | None = None
    """Organisation or organisation/team. Default: a caller who may ask for every model."""
    tags: OneOrMany | None = None
    headers: dict[str, str] = {}
    template: str | None = None
    """The template that the caller names, such as support or support@2; its name as a model is `model: "template:support"`."""
    variables: dict[str, Any] = {}
    """What the caller gives for the variables of the template, its own or its route's."""
    content: str = ""
    """The text of the one message. A call that asks for a template has none without it."""
    has: Features | None = None
    json_schema: dict[str, Any] | None = None
    """The schema of the answer; a call with one has `json_schema`."""
    stream: bool = False
    tokens_in: Tokens | None = None
    """Default: an estimate from the content."""
    conversation: str | None = None
    """The client's name for the conversation that the call begins, of which a canary's draw depends."""
    time: Instant | None = None
    """When the call comes, such as 2026-01-05T09:00Z. Default: at no time that a route could name."""


class Expectation(Section):
    """What must come of it. What is left out may be anything."""

    route: str | None = None
    model: str | None = None
    template: str | None = None
    """The template that is put round the call, and its version, by number, label or hash: support@2."""
    deployment: str | None = None
    """One of the deployments to be tried first."""
    reason: Literal["named", "rule", "candidate", "reference", "canary", "score"] | None = None
    """Why that model answers."""
    candidate: str | None = None
    """The route's candidate that answers."""
    because: str | None = None
    """The check by which a cascade's cheap answer is not served: truncated, refused, schema_invalid, empty, disagrees."""
    error: Annotated[Text | Annotated[int, Tag("<other>")], Discriminator(shape)] | None = None
    """The `code` or the HTTP status of the refusal."""


class Test(Section):
    """A requirement of this policy, run by `llmgw check`."""

    name: Name
    request: Request = Request()
    state: dict[str, Standing] = {}
    """How the candidates of a route stand, by `route`, or one of them, by `route/candidate`. Default: uncertified; cascades of
    a test with `answers` are certified."""
    answers: dict[str, str] = {}
    """What models answer, by their names, for a cascade to look at."""
    expect: Expectation
