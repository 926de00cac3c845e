"""The story of a call, in whole sentences: golden texts."""

from __future__ import annotations

import pytest

from gateway.trace.story import dollars, sentences, tell
from tests.trace.rows import ROOT, attempt, failed, refused, row, stage

BEGIN = "At 2026-11-24 11:23:16 UTC somebody asked for"
CALLER = "The caller is acme/search, by the key search-ci."
ROUTED = "Route 'small' took it; to be tried in this order: openai/gpt-4o-mini, groq/llama-3.3-70b."
AUTH, ROUTE = stage("auth", method="virtual_key"), stage("route", 0.6, 0.1, plan=["openai/gpt-4o-mini"])
DENIED = {
    "scope": "org",
    "budget": "org:acme:usd/day",
    "unit": "usd",
    "limit": 50_000_000_000,
    "remaining": 1_500,
    "asked": 2_000_000,
}


def test_a_whole_answer() -> None:
    assert list(sentences(row())) == [
        f"{BEGIN} a chat completion of 'auto'.",
        CALLER,
        ROUTED,
        "The budgets were asked (granted, 1.2 ms): $0.0026376 were held.",
        "Attempt 1: openai/gpt-4o-mini answered 200 in 250.0 ms.",
        "It used 1,200 tokens in, 34 out, as the provider counted, which cost $0.0002004.",
        "It took 253.5 ms, 3.5 ms of them the gateway's own.",
    ]


@pytest.mark.parametrize(
    ("reason", "strategy", "routed"),
    [
        (
            "sticky",
            None,
            "Route 'small' took it, where the model answers that the conversation began with; to be tried in this order",
        ),
        (
            "canary",
            "fastest",
            "Route 'small' took it, where a canary answers a share; to be tried in this order, the fastest first",
        ),
        ("rule", "least_busy", "Route 'small' took it; to be tried in this order, the least busy first"),
    ],
)
def test_why_that_model_and_why_in_that_order(reason: str, strategy: str | None, routed: str) -> None:
    ordered = {"plan": ["a/b", "c/d"], **({} if strategy is None else {"strategy": strategy})}

    told = list(sentences(row(reason=reason, stages=[AUTH, stage("route", 0.6, 0.1, **ordered)])))

    assert told[2] == f"{routed}: a/b, c/d."


def test_a_session_in_real_time() -> None:
    ended = {"closed_by": "client", "close_code": 1000, "responses": 3}

    told = list(sentences(row(operation="realtime", attempts=[attempt(status=101)], session=ended)))

    assert told[0] == f"{BEGIN} a session in real time of 'auto'."
    assert told[4:6] == [
        "Attempt 1: openai/gpt-4o-mini answered 101 in 250.0 ms.",
        "The session was ended by the client (1000), after 3 responses.",
    ]


def test_what_a_dialect_could_not_carry() -> None:
    told = list(sentences(row(dropped=["logit_bias", "messages[1].name"])))

    assert told[5] == "What its dialect has no word for was left out: logit_bias, messages[1].name."


def test_a_stream_by_a_fallback_after_a_retry() -> None:
    told = row(
        stream=True,
        route=None,
        reason="named",
        cached_tokens=1000,
        reasoning_tokens=20,
        estimated=True,
        cost_nano_usd=None,
        duration_ms=2253.5,
        waited_ms=1500.0,
        attempts=[
            failed(duration_ms=0.25),
            failed(2, reason="retry", status=None, error="upstream_connect_error", detail="connection refused"),
            attempt(3, reason="fallback", deployment="groq/llama-3.3-70b"),
        ],
    )

    assert list(sentences(told)) == [
        f"{BEGIN} a chat completion of 'auto' as a stream.",
        CALLER,
        "No route changed the model: the client named it; to be tried in this order: openai/gpt-4o-mini, groq/llama-3.3-70b.",
        "The budgets were asked (granted, 1.2 ms): $0.0026376 were held.",
        "Attempt 1: openai/gpt-4o-mini failed 500 after 250 µs: upstream_error.",
        "Attempt 2, once more: openai/gpt-4o-mini failed after 250.0 ms: upstream_connect_error (connection refused).",
        "Attempt 3, as a fallback: groq/llama-3.3-70b answered 200 in 250.0 ms, its first byte after 200.0 ms.",
        "It used 1,200 tokens in, 1,000 of them cached, 34 out, 20 of them reasoning, by our own count, without a price.",
        "It took 2.25 s, 3.5 ms of them the gateway's own; 1.50 s it waited to try again.",
    ]


def test_what_the_caller_ended_is_told_as_no_failure_of_the_deployment() -> None:
    told = row(
        attempts=[
            failed(status=400, error="upstream_400", fault="caller"),
            failed(2, reason="fallback", status=None, error="client_disconnected", fault="caller"),
        ]
    )

    assert [each for each in sentences(told) if each.startswith("Attempt")] == [
        "Attempt 1: openai/gpt-4o-mini: after 250.0 ms it refused the call 400: upstream_400.",
        "Attempt 2, as a fallback: openai/gpt-4o-mini: after 250.0 ms the client left: client_disconnected.",
    ]


def test_a_refused_key() -> None:
    told = refused(401, "rejected_auth", "invalid_api_key", "Incorrect API key provided", "auth", stages=[AUTH])
    told |= dict.fromkeys(("org", "team", "tenant", "key_id", "key_name", "model", "route", "reason"))

    assert list(sentences(told)) == [
        f"{BEGIN} a chat completion.",
        "It was refused: Incorrect API key provided.",
    ]


def test_a_refused_key_that_is_known() -> None:
    told = refused(403, "rejected_auth", "permission_denied", "The key's team is blocked.", "auth", stages=[AUTH])
    told |= dict.fromkeys(("model", "route", "reason"))

    assert list(sentences(told)) == [
        f"{BEGIN} a chat completion.",
        CALLER,
        "It was refused: The key's team is blocked.",
    ]


def test_a_budget_that_says_no() -> None:
    told = refused(
        429,
        "rejected_budget",
        "budget_insufficient_for_request",
        "What is left does not cover this call.",
        "budget",
        stages=[AUTH, ROUTE, stage("budget", 0.7, 0.05, result="denied", **DENIED)],
    )

    assert list(sentences(told))[2:] == [
        "Route 'small' took it; to be tried in this order: openai/gpt-4o-mini.",
        "The budget org:acme:usd/day said no after 50 µs: of $50.00, $0.0000015 were left, and the call needs $0.002.",
        "It ended with 429 budget_insufficient_for_request in the stage budget: What is left does not cover this call.",
        "It took 1.5 ms, 1.5 ms of them the gateway's own.",
    ]


def test_a_rate_that_says_no() -> None:
    denied = {
        "scope": "org",
        "budget": "org:acme:requests/60s",
        "unit": "requests",
        "limit": 1200,
        "remaining": 0,
        "asked": 1,
    }
    told = refused(429, "rejected_rate", "rate_limit_exceeded", "Too fast", "budget")
    told["stages"] = [AUTH, stage("budget", 0.7, 0.05, result="denied", **denied)]

    assert list(sentences(told))[3].endswith("of 1,200 requests, 0 requests were left, and the call needs 1 requests.")


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        (
            "cache_replay",
            "It was a repetition: the answer kept under its Idempotency-Key was sent again, at no cost.",
        ),
        ("client_abort", "The client closed the connection before the end."),
        ("stopped_budget", "The stream was ended because the budget was; the client got what had been paid for."),
        ("orphaned", "Its worker died before the call ended; nobody knows how it would have gone on."),
    ],
)
def test_how_it_ended(outcome: str, sentence: str) -> None:
    assert sentence in list(sentences(row(outcome=outcome)))


def test_a_deployment_that_rested_is_said_to_have_been_passed_over() -> None:
    told = row(attempts=[attempt(1, deployment="groq/llama-3.3-70b")])

    assert "Passed over, resting after failures: openai/gpt-4o-mini." in list(sentences(told))
    assert not any("Passed over" in sentence for sentence in sentences(row()))


def test_an_answer_that_broke_off_is_no_failed_200() -> None:
    told = list(sentences(row(attempts=[attempt(1, error="upstream_truncated")])))

    assert "Attempt 1: openai/gpt-4o-mini answered 200 and ended early after 250.0 ms: upstream_truncated." in told


def test_a_repetition_is_not_said_to_have_been_counted_by_a_provider() -> None:
    told = row(outcome="cache_replay", attempts=[], input_tokens=0, output_tokens=0, cost_nano_usd=0)

    assert not any("as the provider counted" in sentence for sentence in sentences(told))


def test_many_attempts_are_counted_and_not_listed() -> None:
    told = list(sentences(row(attempts=[failed(number) for number in range(1, 13)])))

    assert "2 further attempts followed." in told
    assert len([sentence for sentence in told if sentence.startswith("Attempt ")]) == 10


def test_spans_are_told_in_the_order_of_their_times_from_the_arrival() -> None:
    spans = tell(row(attempts=[failed(detail="boom"), attempt(2)]))["spans"]

    assert [span["name"] for span in spans] == [
        "POST /v1/chat/completions",
        "llmgw.auth",
        "llmgw.route",
        "llmgw.budget",
        "chat gpt-4o-mini",
        "chat gpt-4o-mini",
        "llmgw.meter",
    ]
    assert {span["parent_span_id"] for span in spans[1:]} == {ROOT}
    first = spans[4]
    assert (first["kind"], first["status"], first["error"]) == ("CLIENT", "ERROR", "boom")
    assert first["started_ms"] == pytest.approx(2.0, abs=0.001)
    assert first["duration_ms"] == 250.0
    assert first["attributes"]["gen_ai.request.model"] == "gpt-4o-mini"


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (50 * 10**9, "$50.00"),
        (1_234_567_890_123, "$1,234.567890123"),
        (-1_500_000_000, "-$1.50"),
    ],
)
def test_money_is_written_exactly(nano: int, text: str) -> None:
    assert dollars(nano) == text


def test_a_record_of_an_older_version_has_a_story_and_no_spans() -> None:
    new = ("trace_id", "span_id", "stages", "reason", "failed_in", "operation", "chunks", "upstream_model")
    old = {name: value for name, value in row(status=502, error_code="x", error="y").items() if name not in new}

    told = tell(old)

    assert told["spans"] == []
    assert "It ended with 502 x: y." in told["story"]


def test_a_record_that_lacks_what_a_story_needs_is_no_failure() -> None:
    assert tell({"id": "req_1", "at": 1e15})["spans"] == []


def test_a_cascade_that_escalated() -> None:
    paid = {"input_tokens": 600, "output_tokens": 17, "estimated": False}
    told = row(
        stages=[
            AUTH,
            stage("route", 0.6, 0.1, plan=["lab/cheap"]),
            stage("budget", 1.0, 1.0, result="granted"),
            stage("budget", 5.0, 1.0, result="granted"),
        ],
        estimated=True,
        attempts=[
            attempt(
                deployment="lab/cheap",
                reason="try",
                because="schema_invalid",
                served=False,
                cost_nano_usd=120_000,
                **paid,
            ),
            failed(
                2,
                deployment="lab/other",
                reason="second",
                error="superseded",
                fault="gateway",
                because="not_needed",
                served=False,
                cost_nano_usd=400,
                **{**paid, "estimated": True},
            ),
            attempt(3, deployment="lab/strong", reason="escalation", served=True, cost_nano_usd=80_000, **paid),
        ],
    )

    assert list(sentences(told))[2:-1] == [
        "Route 'small' took it; to be tried in this order: lab/cheap.",
        "The budgets were asked (granted, 1.0 ms).",
        "The budgets were asked (granted, 1.0 ms): $0.0026376 were held in all.",
        "Attempt 1, the cheap model first: lab/cheap answered 200 in 250.0 ms, for $0.00012; not served: schema_invalid.",
        "Attempt 2, for a second opinion: lab/other was stopped after 250.0 ms, for $0.0000004; not served: not_needed.",
        "Attempt 3, the strong model: lab/strong answered 200 in 250.0 ms, for $0.00008.",
        "It used 1,200 tokens in, 34 out, in part by our own count, which cost $0.0002004.",
    ]
