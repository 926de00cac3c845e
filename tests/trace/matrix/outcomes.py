"""What can become of a call: how each outcome is brought about by a client, and what is then said of it everywhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.faults.steps import DONE, Finish, Say, Status, Usage
from tests.trace.matrix.cast import Client, body

Do = Callable[[Client], Awaitable[None]]
WITH_USAGE: Any = {"include_usage": True}
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TOOL: Any = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
SCHEMA: Any = {"type": "json_schema", "json_schema": {"name": "greeting", "schema": {"type": "object"}}}
ODD: Any = {
    "seed": "x",
    "temperature": True,
    "top_p": "",
    "top_k": [1],
    "dimensions": 10**30,
    "service_tier": 7,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """`status` is the record's, `told` what the client saw where that is another (0: nothing); `attempts` are their errors.

    `estimated`: the provider gave no count. `caller` is what became of the caller's span: parent, link or nothing.
    `exported`: whether spans are. `told_trace`: the provider was told which trace the call belongs to.
    """

    name: str
    do: Do
    status: int = 200
    outcome: str = "upstream"
    code: str | None = None
    failed_in: str | None = None
    told: int | None = None
    attempts: tuple[str | None, ...] = (None,)
    tenant: str = "acme"
    cache: str | None = "bypass"
    route: str | None = None
    estimated: bool | None = False
    caller: str | None = None
    exported: bool = True
    told_trace: bool = False
    is_clamped: bool = False


def chat(**fields: Any) -> Do:
    return lambda client: client.chat(**fields)


def stream(**fields: Any) -> Do:
    return lambda client: client.stream(**fields)


def post(content: bytes, **more: Any) -> Do:
    return lambda client: client.post(content, **more)


async def retry(client: Client) -> None:
    client.provider.will(Status(500))
    await client.chat(model="flaky")


async def expired(client: Client) -> None:
    await asyncio.sleep(max(0.0, client.house.expired_at - time.monotonic()))
    await client.chat(key=client.house.keys["expired"])


async def replay(client: Client) -> None:
    first = client.other()
    first.headers["idempotency-key"] = client.headers["idempotency-key"] = "one"
    await first.chat()
    await client.chat()


async def conflict(client: Client) -> None:
    first = client.other()
    first.headers["idempotency-key"] = client.headers["idempotency-key"] = "two"
    await first.chat()
    await client.chat(temperature=0.5)


async def spent(client: Client) -> None:
    client.provider.will(Say("x"), Finish(), Usage(10_000, 10_000), DONE)
    await client.other().chat(max_tokens=10)
    await client.chat(max_tokens=1)


async def stopped(client: Client) -> None:
    client.provider.will(*[Say(" word") for _ in range(20_000)], Finish(), DONE)
    await client.stream(max_tokens=20_000, stream_options=WITH_USAGE)


async def too_fast(client: Client) -> None:
    await client.other().chat()
    await client.chat()


async def too_many(client: Client) -> None:
    first, count = client.other(), len(client.provider.calls) + 1
    asking = asyncio.create_task(first.stream(model="fault/hang-after-1-chunks@single"))
    await client.provider.asked(count)
    await client.chat()
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking


async def disagree(client: Client) -> None:
    client.provider.will(Say("7"), Finish(), Usage(10, 5), DONE)
    client.provider.will(Say("8"), Finish(), Usage(10, 5), DONE)
    client.provider.will(Say("9"), Finish(), Usage(10, 7), DONE)
    await client.chat(model="compare")


async def resting(client: Client) -> None:
    await client.other().chat(model="fault/bad-key-401@resting")
    await client.chat(model="fault/bad-key-401@resting")


def caught(inbound: str, do: Do, *, sampled: bool = True) -> Do:
    """The same from a caller that is part of a trace."""

    async def ask(client: Client) -> None:
        client.headers["traceparent"] = f"00-{TRACE}-{CALLER}-{sampled:02x}"
        client.headers["tracestate"] = "vendor=1"
        if inbound == "parent":
            await do(client)
            return
        async with client.house.inbound(inbound):
            await do(client)

    return ask


ANSWERED = (
    Outcome("a whole answer", chat()),
    Outcome("a whole answer by a route", chat(model="auto"), route="ruled"),
    Outcome("a stream", stream()),
    Outcome("a stream with usage", stream(stream_options=WITH_USAGE)),
    Outcome("a tool call", chat(model="ok-tools", tools=[TOOL], temperature=0.2, seed=7)),
    Outcome("a streamed tool call", stream(model="ok-tools", tools=[TOOL])),
    Outcome("structured output", chat(response_format=SCHEMA)),
    Outcome("two choices", chat(n=2)),
    Outcome("embeddings", lambda client: client.embed(dimensions=3, encoding_format="float")),
    Outcome("a legacy completion", lambda client: client.complete()),
    Outcome("a whole answer without usage", chat(model="fault/no-usage"), estimated=True),
    Outcome("a stream without usage", stream(model="fault/no-usage"), estimated=True),
    Outcome("a model without a price", chat(model="unpriced"), tenant="free"),
    Outcome("the length was reached", chat(model="ok-3-tokens", max_tokens=2, user="ann")),
    Outcome("a retry that is answered", retry, attempts=("upstream_error", None)),
    Outcome("a fallback that is answered", chat(model="second"), attempts=("upstream_error", None)),
    Outcome("the answer of an earlier call", replay, outcome="cache_replay", cache="hit", attempts=()),
    Outcome("a call that was clamped", chat(), tenant="clamped", is_clamped=True),
    Outcome(
        "a stream that its budget ended",
        stopped,
        outcome="stopped_budget",
        tenant="streaming",
        estimated=True,
        is_clamped=True,
    ),
    Outcome("captured content", chat(), tenant="read"),
    Outcome("parameters of any kind", post(body(**ODD))),
)


def failed(name: str, do: Do, status: int, code: str, error: str | None = None, **more: Any) -> Outcome:
    """The provider failed; `error` is the attempt's where it is another than the call's."""
    more = {"attempts": (error or code,), "outcome": "upstream_error", "failed_in": "upstream", **more}
    return Outcome(name, do, status, code=code, **{"estimated": None, **more})


BROKEN = (
    failed(
        "every attempt fails",
        chat(model="fault/status-503@all"),
        502,
        "upstream_error",
        attempts=("upstream_error",) * 3,
    ),
    failed("the provider's 429", chat(model="fault/status-429-retry-after-60@limited"), 429, "upstream_rate_limited"),
    failed("the provider's 400", chat(model="fault/refused-400@refused"), 400, "upstream_string_above_max_length"),
    failed("the provider's 401", chat(model="fault/bad-key-401@key"), 502, "upstream_auth_failed"),
    failed("nobody listens", chat(model="gone"), 502, "upstream_connect_error"),
    failed("no headers in time", stream(model="late/fault/hang-before-headers"), 504, "upstream_timeout"),
    failed("no whole answer in time", chat(model="late/fault/hang-before-headers@w"), 504, "upstream_timeout"),
    failed("no first token in time", stream(model="late/fault/first-token-after-60000ms"), 504, "upstream_timeout"),
    failed(
        "no next token in time",
        stream(model="late/fault/stall-60000ms"),
        504,
        "upstream_timeout",
        told=200,
        estimated=True,
    ),
    failed(
        "a stream that is cut off",
        stream(model="fault/cut-after-2-chunks"),
        502,
        "upstream_truncated",
        told=200,
        estimated=True,
    ),
    failed(
        "an error within a stream",
        stream(model="fault/error-mid-stream"),
        502,
        "upstream_error",
        told=200,
        estimated=True,
    ),
    failed("an answer that is no JSON", chat(model="fault/bad-json"), 502, "upstream_invalid_response"),
    failed("every deployment rests", resting, 503, "no_upstream_available", attempts=(), outcome="overloaded"),
)

LEFT = (
    Outcome(
        "the client leaves before the answer",
        lambda client: client.leave(model="fault/hang-before-headers@left"),
        499,
        "client_abort",
        "client_disconnected",
        "upstream",
        told=0,
        attempts=("client_disconnected",),
        estimated=None,
    ),
    Outcome(
        "the client leaves in mid-stream",
        stream(model="fault/hang-after-2-chunks", chunks=1),
        499,
        "client_abort",
        "client_disconnected",
        "upstream",
        told=200,
        attempts=("client_disconnected",),
        estimated=True,
    ),
)


def refused(name: str, do: Do, status: int, outcome: str, code: str, failed_in: str, **more: Any) -> Outcome:
    return Outcome(
        name, do, status, outcome, code, failed_in, **{"attempts": (), "cache": None, "estimated": None, **more}
    )


REFUSED = (
    refused("a wrong key", chat(key="sk-llmgw-wrong"), 401, "rejected_auth", "invalid_api_key", "auth"),
    refused("no key", post(body(), key=""), 401, "rejected_auth", "invalid_api_key", "auth"),
    refused("an expired key", expired, 401, "rejected_auth", "invalid_api_key", "auth"),
    refused("a blocked tenant", chat(), 403, "rejected_auth", "permission_denied", "auth", tenant="blocked"),
    refused("an unknown model", chat(model="gpt-9"), 404, "rejected_policy", "model_not_found", "route"),
    refused(
        "a model for others",
        chat(model="ours"),
        404,
        "rejected_policy",
        "model_not_found",
        "route",
        tenant="narrow",
    ),
    refused("a body that is no JSON", post(b'{"model": oops'), 400, "rejected_request", "invalid_json", "ingress"),
    refused(
        "another media type",
        post(body(), media="text/plain"),
        415,
        "rejected_request",
        "unsupported_media_type",
        "ingress",
    ),
    refused("a reused Idempotency-Key", conflict, 409, "rejected_request", "idempotency_conflict", "cache"),
    refused(
        "a spent budget", spent, 429, "rejected_budget", "budget_exceeded", "budget", tenant="spent", cache="bypass"
    ),
    refused(
        "a budget that does not cover the call",
        chat(max_tokens=100_000),
        429,
        "rejected_budget",
        "budget_insufficient_for_request",
        "budget",
        tenant="short",
        cache="bypass",
    ),
    refused(
        "a rate that is reached",
        too_fast,
        429,
        "rejected_rate",
        "rate_limit_exceeded",
        "budget",
        tenant="fast",
        cache="bypass",
    ),
    refused(
        "too many calls at once",
        too_many,
        429,
        "rejected_rate",
        "concurrency_exceeded",
        "budget",
        tenant="single",
        cache="bypass",
    ),
)

TRACED = (
    Outcome("the caller's trace goes on", caught("parent", chat()), caller="parent"),
    Outcome("the caller's trace is linked to", caught("link", chat()), caller="link"),
    Outcome("the caller's trace is ignored", caught("ignore", chat())),
    Outcome(
        "a caller that is not sampled",
        caught("parent", chat(), sampled=False),
        caller="parent",
        exported=False,
    ),
    failed(
        "a failure whose caller is not sampled",
        caught("parent", chat(model="fault/bad-json"), sampled=False),
        502,
        "upstream_invalid_response",
        caller="parent",
    ),
    Outcome("a provider that is told the trace", chat(model="ours"), told_trace=True),
    Outcome(
        "the caller's trace reaches the provider",
        caught("parent", chat(model="ours")),
        caller="parent",
        told_trace=True,
    ),
    Outcome("a provider that is told nothing", caught("parent", chat()), caller="parent"),
)

STOPPED = "superseded"
SEVERAL = (
    Outcome("a cascade that the cheap model ends", chat(model="cascaded"), route="cascaded"),
    Outcome(
        "a cascade that escalates",
        chat(model="cascaded", response_format=SCHEMA),
        route="cascaded",
        attempts=(None, None),
    ),
    Outcome("two models that agree", chat(model="compare"), route="compared", attempts=(None, None)),
    Outcome("two models that disagree", disagree, route="compared", attempts=(None, None, None)),
    Outcome(
        "a cascade whose strong model is refused",
        chat(model="cascaded", response_format=SCHEMA, max_tokens=100),
        429,
        "rejected_budget",
        "budget_insufficient_for_request",
        "budget",
        tenant="tried",
        route="cascaded",
        attempts=(None,),
    ),
    Outcome(
        "a hedge that the second wins",
        chat(model="silent"),
        route="hedged",
        attempts=(STOPPED, None),
        estimated=True,
    ),
    Outcome(
        "a streamed hedge that the second wins",
        stream(model="silent", stream_options=WITH_USAGE),
        route="hedged",
        attempts=(STOPPED, None),
        estimated=True,
    ),
    Outcome(
        "a hedge that the first wins",
        chat(model="late"),
        route="late",
        attempts=(None, STOPPED),
        estimated=True,
    ),
    Outcome(
        "a streamed hedge that the first wins",
        stream(model="late", stream_options=WITH_USAGE),
        route="late",
        attempts=(None, STOPPED),
        estimated=True,
    ),
)

OUTCOMES = (*ANSWERED, *SEVERAL, *BROKEN, *LEFT, *REFUSED, *TRACED)
