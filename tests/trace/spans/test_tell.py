"""What spans are told of a record, by OpenTelemetry's conventions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.trace.providers import provider_name
from gateway.trace.spans.limits import SpanLimits
from gateway.trace.spans.otlp import Encoder
from gateway.trace.spans.server import is_failure
from gateway.trace.spans.span import Kind, Span
from gateway.trace.spans.tell import trace_of
from tests.trace.rows import ROOT, TRACE, attempt, failed, refused, row, stage

USD = 1_000_000_000
FLOATS = ("temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty")
INTEGERS = ("max_tokens", "max_completion_tokens", "seed", "dimensions", "n")
TEXTS = ("reasoning_effort", "service_tier", "encoding_format", "response_format")


def spans(**changes: Any) -> dict[str, Span]:
    """By name; of several attempts the last one."""
    return {span.name: span for span in trace_of(row(**changes)).spans}


def told(**changes: Any) -> dict[str, Any]:
    """The attributes of the attempt that was answered."""
    return dict(spans(**changes)["chat gpt-4o-mini"].attributes)


def test_a_whole_answer_has_the_conventions_attributes() -> None:
    parameters = {"temperature": 0, "max_tokens": 100, "seed": 7, "n": 2, "response_format": "json_schema"}

    assert told(parameters=parameters, cached_tokens=1000, reasoning_tokens=20, cache_write_tokens=5) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.seed": 7,
        "gen_ai.request.choice.count": 2,
        "gen_ai.output.type": "json",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 1200,
        "gen_ai.usage.output_tokens": 34,
        "gen_ai.usage.cache_read.input_tokens": 1000,
        "gen_ai.usage.cache_write.input_tokens": 5,
        "gen_ai.usage.cache_creation.input_tokens": 5,
        "gen_ai.usage.reasoning.output_tokens": 20,
        "server.address": "api.openai.com",
        "server.port": 443,
        "http.response.status_code": 200,
        "llmgw.attempt.number": 1,
        "llmgw.attempt.reason": "primary",
        "llmgw.cost.total": 0.0002004,
        "llmgw.deployment.id": "openai/gpt-4o-mini",
        "llmgw.provider": "openai",
        "llmgw.upstream.request_id": "req-of-openai",
    }


def test_a_stream_tells_when_it_began() -> None:
    found = told(stream=True, chunks=12, conversation="c-1", estimated=True)

    assert found["gen_ai.request.stream"] is True
    assert found["gen_ai.response.time_to_first_chunk"] == 0.2
    assert found["llmgw.stream.chunks"] == 12
    assert found["gen_ai.conversation.id"] == "c-1"
    assert found["llmgw.usage.estimated"] is True


def test_usage_is_told_by_the_attempt_that_was_answered_and_by_no_other_span() -> None:
    trace = trace_of(row(attempts=[failed(), failed(2), attempt(3)]))

    tellers = [span for span in trace.spans if any(name.startswith("gen_ai.usage") for name in span.attributes)]
    assert [span.attributes["llmgw.attempt.number"] for span in tellers] == [3]


def test_the_servers_span_says_who_called_and_what_became_of_it() -> None:
    span = spans(user="ann", tags=["docs"], conversation="c-1")["POST /v1/chat/completions"]

    assert (span.kind, span.span_id, span.parent_span_id, span.error) == (Kind.SERVER, ROOT, None, None)
    assert span.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "url.path": "/v1/chat/completions",
        "url.scheme": "http",
        "session.id": "c-1",
        "llmgw.cache": "bypass",
        "llmgw.cost.estimated": False,
        "llmgw.cost.total": 0.0002004,
        "llmgw.key.id": "tIPXX4cAK8",
        "llmgw.org.id": "acme",
        "llmgw.outcome": "upstream",
        "llmgw.overhead.duration": 0.0035,
        "llmgw.policy.version": "f0bc64e737a3",
        "llmgw.request.id": "req_1",
        "llmgw.request.model": "auto",
        "llmgw.route": "small",
        "llmgw.tags": ["docs"],
        "llmgw.team.id": "search",
        "llmgw.upstream.attempts": 1,
        "llmgw.user.id": "ann",
    }


@pytest.mark.parametrize(("status", "is_error"), [(400, False), (429, False), (499, False), (500, True), (504, True)])
def test_only_what_the_gateway_or_a_provider_did_is_an_error(status: int, is_error: bool) -> None:
    changed = refused(status, "x", "some_code", "Some words.", "route")
    changed["stages"] = [stage("auth", method="none"), stage("route", error="some_code")]

    server, _, route = trace_of(changed).spans

    assert is_failure(changed) == is_error
    assert {server.error, route.error} == ({"Some words."} if is_error else {None})
    assert server.attributes["error.type"] == route.attributes["error.type"] == "some_code"
    (event,) = server.events
    assert event.attributes == {"exception.type": "some_code", "exception.message": "Some words."}


def test_a_client_that_left_is_nobodys_error() -> None:
    span = spans(attempts=[attempt(error="client_closed")])["chat gpt-4o-mini"]

    assert (span.attributes["error.type"], span.error) == ("client_disconnected", None)
    assert span.attributes["gen_ai.response.finish_reasons"] == ("error",)


def test_a_refusal_tells_the_budget_that_said_no() -> None:
    denied: dict[str, Any] = {
        "scope": "org",
        "budget": "org:acme:usd/day",
        "unit": "usd",
        "limit": 50 * USD,
        "remaining": USD // 100,
        "asked": 2 * USD,
    }
    (*_, span) = trace_of(row(attempts=[], stages=[stage("budget", result="denied", error="x", **denied)])).spans

    assert span.attributes == {
        "llmgw.budget.result": "denied",
        "llmgw.budget.scope": "org",
        "llmgw.budget.id": "org:acme:usd/day",
        "llmgw.budget.unit": "usd",
        "llmgw.budget.limit": 50.0,
        "llmgw.budget.remaining": 0.01,
        "llmgw.budget.asked": 2.0,
        "error.type": "x",
    }


def test_a_callers_trace_goes_on_or_is_linked_to() -> None:
    parent = trace_of(row(parent_span_id="1" * 16, trace_state="a=1"))
    link = trace_of(row(link={"trace_id": "2" * 32, "span_id": "3" * 16}))

    assert (parent.trace_id, parent.state, parent.spans[0].parent_span_id) == (TRACE, "a=1", "1" * 16)
    assert (parent.spans[0].is_parent_remote, parent.spans[1].is_parent_remote) == (True, False)
    assert link.spans[0].link == ("2" * 32, "3" * 16)


def test_no_part_ends_after_the_whole() -> None:
    changed = row(duration_ms=1.0, stages=[stage("auth", 0.5005, 0.501, method="none"), stage("meter", 1.001, 0.001)])

    server, *children = trace_of(changed).spans

    assert all(server.begin <= span.begin <= span.end <= server.end for span in children)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("api.openai.com", "openai"),
        ("eu.api.openai.com", "openai"),
        ("API.OpenAI.com.", "openai"),
        ("acme.openai.azure.com", "azure.ai.openai"),
        ("api.anthropic.com", "anthropic"),
        ("generativelanguage.googleapis.com", "gcp.gemini"),
        ("europe-west1-aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("api.mistral.ai", "mistral_ai"),
        ("api.groq.com", "groq"),
        ("api.deepseek.com", "deepseek"),
        ("api.x.ai", "x_ai"),
        ("api.cohere.com", "cohere"),
        ("api.cohere.ai", "cohere"),
        ("api.perplexity.ai", "perplexity"),
        ("api.moonshot.cn", "moonshot_ai"),
        ("10.0.0.5", "ours"),
        ("", "ours"),
        ("api.openai.com.evil.example", "ours"),
        ("notapi.openai.com", "ours"),
    ],
)
def test_providers_have_the_conventions_names_where_their_host_tells_them(host: str, name: str) -> None:
    assert provider_name(host, "ours") == name
    assert told(attempts=[attempt(address=host, provider="ours")])["gen_ai.provider.name"] == name
    assert told(attempts=[attempt(address=host, provider="ours")])["llmgw.provider"] == "ours"


anything = st.one_of(
    st.text(max_size=9),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.integers(-(10**40), 10**40),
    st.sampled_from([0, 1, 1.0, True]),
)


@settings(deadline=None, max_examples=400)
@given(st.dictionaries(st.sampled_from((*FLOATS, *INTEGERS, *TEXTS)), anything))
def test_a_parameter_is_told_in_the_conventions_type_or_not_at_all(parameters: dict[str, Any]) -> None:
    found = told(parameters=parameters)

    Encoder(SpanLimits()).encode(trace_of(row(parameters=parameters)))
    for name in FLOATS:
        assert type(found.get(f"gen_ai.request.{name}", 0.0)) is float
    for name in ("max_tokens", "seed", "choice.count"):
        assert type(found.get(f"gen_ai.request.{name}", 0)) is int
    assert type(found.get("gen_ai.embeddings.dimension.count", 0)) is int
    assert type(found.get("gen_ai.request.reasoning.level", "")) is str


def captured(said: Any, *texts: str, reasons: tuple[str, ...] = ("stop",)) -> tuple[Any, Any]:
    content = {"input": said, "output": list(texts)}
    found = told(content=content, content_in_spans=True, finish_reasons=list(reasons))
    return json.loads(found["gen_ai.input.messages"]), json.loads(found["gen_ai.output.messages"])


def test_captured_content_is_in_the_conventions_form() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Bern"}'}}
    said = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "x"}}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]

    assert captured(said, "It is sunny.", "Sun.", reasons=("stop", "length")) == (
        [
            {"role": "system", "parts": [{"type": "text", "content": "Be kind."}]},
            {
                "role": "user",
                "parts": [{"type": "text", "content": "Hi"}, {"type": "image_url", "image_url": {"url": "x"}}],
            },
            {
                "role": "assistant",
                "parts": [{"type": "tool_call", "id": "call_1", "name": "weather", "arguments": '{"city":"Bern"}'}],
            },
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": "sunny"}]},
        ],
        [
            {"role": "assistant", "parts": [{"type": "text", "content": "It is sunny."}], "finish_reason": "stop"},
            {"role": "assistant", "parts": [{"type": "text", "content": "Sun."}], "finish_reason": "length"},
        ],
    )


def test_content_that_is_only_for_records_is_in_no_span() -> None:
    content = {"input": "canary", "output": ["canary"]}

    trace = trace_of(row(content=content, content_in_spans=False, attempts=[failed(), attempt(2)]))

    assert "canary" not in repr([span.attributes for span in trace.spans])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["role", "content", "tool_calls", "function", "text", "id", "arguments"]), inner, max_size=4
    ),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None, max_examples=400)
@given(json_values)
def test_content_of_any_shape_is_told(said: Any) -> None:
    captured(said, "ok\ud800")
