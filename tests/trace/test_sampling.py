from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import Decision, _get_from_env_or_default

from gateway.core.span import SpanContext
from gateway.trace.sampling import Sampler, sampler_of

NAMES = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)
ids = st.integers(1, 2**128 - 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ratio", ["0", "0.25", "1.0", ""])
@given(trace_id=ids, parent=st.sampled_from([None, True, False]))
def test_the_standard_samplers_decide_as_the_sdks_do(name: str, ratio: str, trace_id: int, parent: bool | None) -> None:
    sampler = sampler_of({"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": ratio})
    context = None if parent is None else SpanContext(trace_id, 7, parent)

    assert sampler.samples(trace_id, context) == by_the_sdk(name, ratio, trace_id, parent)


@pytest.mark.parametrize("name", ["", "parentbased_always_on", " Always_ON "])
def test_everything_is_sampled_unless_something_else_is_said(name: str) -> None:
    assert sampler_of({"OTEL_TRACES_SAMPLER": name}).samples(2**64 - 1, None)


@pytest.mark.parametrize(
    ("name", "ratio"),
    [
        ("jaeger_remote", ""),
        ("traceidratio", "many"),
        ("traceidratio", "1.5"),
        ("traceidratio", "-0.1"),
        ("traceidratio", "nan"),
    ],
)
def test_what_cannot_be_read_is_said_once_and_everything_is_sampled(
    name: str, ratio: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        sampler = sampler_of({"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": ratio})

    assert sampler.samples(2**64 - 1, None)
    assert len(caplog.records) == 1


def test_a_ratio_takes_about_that_share() -> None:
    sampler = Sampler(round(0.1 * 2**64))

    taken = sum(sampler.samples(number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128, None) for number in range(10_000))

    assert 900 < taken < 1100


def by_the_sdk(name: str, ratio: str, trace_id: int, parent: bool | None) -> bool:
    patch = pytest.MonkeyPatch()
    with patch.context() as environment:
        environment.setenv("OTEL_TRACES_SAMPLER", name)
        environment.setenv("OTEL_TRACES_SAMPLER_ARG", ratio or "1.0")
        sampler = _get_from_env_or_default()
    context = None
    if parent is not None:
        flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if parent else 0)
        span = trace.NonRecordingSpan(trace.SpanContext(trace_id, 7, is_remote=True, trace_flags=flags))
        context = trace.set_span_in_context(span)
    return sampler.should_sample(context, trace_id, "span").decision is Decision.RECORD_AND_SAMPLE
