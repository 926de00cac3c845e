"""A provider's failure becomes an error of ours: whose fault, whether to try again, and not one secret."""

from __future__ import annotations

import json
import math
from email.utils import formatdate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.errors import GatewayError, Rejected, Unavailable
from gateway.upstream.dialects import openai
from gateway.upstream.dialects.openai.failure import retry_after

CANARY = "abcdef-canary-0123456789"
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["error", "message", "code", "param"]), inner),
    max_leaves=10,
)


def failure(status: int, body: bytes = b"", headers: dict[bytes, bytes] | None = None) -> GatewayError:
    return openai.failure(status, body, headers or {}, secrets=(CANARY,), now=0.0)


@pytest.mark.parametrize(
    ("status", "kind", "answer", "code", "retriable"),
    [
        (201, Unavailable, 502, "upstream_invalid_response", False),
        (204, Unavailable, 502, "upstream_invalid_response", False),
        (302, Unavailable, 502, "upstream_redirect", False),
        (400, Rejected, 400, "upstream_400", False),
        (401, Unavailable, 502, "upstream_auth_failed", True),
        (402, Rejected, 400, "upstream_402", False),
        (403, Unavailable, 502, "upstream_auth_failed", True),
        (404, Rejected, 404, "upstream_404", False),
        (413, Rejected, 413, "upstream_413", False),
        (418, Rejected, 400, "upstream_418", False),
        (422, Rejected, 422, "upstream_422", False),
        (429, Unavailable, 429, "upstream_rate_limited", True),
        (500, Unavailable, 502, "upstream_error", True),
        (529, Unavailable, 502, "upstream_error", True),
        (999, Unavailable, 502, "upstream_error", True),
    ],
)
def test_what_a_status_means(status: int, kind: type[GatewayError], answer: int, code: str, retriable: bool) -> None:
    error = failure(status)

    assert type(error) is kind
    assert (error.status, error.code, error.retriable) == (answer, code, retriable)


@pytest.mark.parametrize(
    ("body", "message", "code", "param"),
    [
        (
            {"error": {"message": "too long", "code": "too_long", "param": "messages"}},
            "too long",
            "too_long",
            "messages",
        ),
        ({"error": {"message": "m", "code": 17, "param": 3}}, "m", "400", None),
        ({"error": {"message": "m", "code": "Not A Code"}}, "m", "400", None),
        ({"error": "just text"}, "just text", "400", None),
        ({"error": None}, "the provider refused the call", "400", None),
        ({"error": []}, "the provider refused the call", "400", None),
        ([], "the provider refused the call", "400", None),
        ({"error": {"message": "m" * 5000}}, "m" * 2048, "400", None),
    ],
)
def test_the_provider_s_words_on_a_bad_call(body: object, message: str, code: str, param: str | None) -> None:
    error = failure(400, json.dumps(body).encode())

    assert (error.message, error.code, error.param) == (message, f"upstream_{code}", param)


@pytest.mark.parametrize(
    "text",
    [CANARY, f"key={CANARY}.", f"{CANARY}{CANARY}", "sk-live0123456789", "Bearer eyJhbGciOi", "gsk_0123456789ab"],
)
@pytest.mark.parametrize("place", ["message", "code", "param"])
def test_no_secret_comes_back_in_any_of_its_words(text: str, place: str) -> None:
    error = failure(400, json.dumps({"error": {"message": "m", place: text}}).encode())

    told = f"{error.message} {error.code} {error.param}"
    assert CANARY not in told
    assert text not in told


@given(status=st.integers(200, 999), body=ANYTHING.map(lambda value: json.dumps(value).encode()) | st.binary())
def test_any_body_makes_an_error_that_can_be_sent(status: int, body: bytes) -> None:
    error = failure(status, body)

    assert error.message
    assert 400 <= error.status < 600
    assert len(error.message) <= 2048


def test_words_nested_a_thousand_deep_are_no_trouble() -> None:
    error = failure(400, b'{"error":{"message":' + b"[" * 1000 + b"]" * 1000 + b"}}")

    assert error.code == "upstream_400"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({b"retry-after": b"7"}, 7.0),
        ({b"retry-after": b"1.5"}, 1.5),
        ({b"retry-after": b"0"}, 0.0),
        ({b"retry-after": b"-1"}, None),
        ({b"retry-after": b"nan"}, None),
        ({b"retry-after": b"inf"}, 120.0),
        ({b"retry-after": b"99999"}, 120.0),
        ({b"retry-after": b""}, None),
        ({b"retry-after": b"\xff"}, None),
        ({b"retry-after": formatdate(40, usegmt=True).encode()}, 40.0),
        ({b"retry-after": formatdate(-40, usegmt=True).encode()}, 0.0),
        ({b"retry-after-ms": b"250"}, 0.25),
        ({b"retry-after-ms": b"250", b"retry-after": b"9"}, 0.25),
        ({b"retry-after-ms": b"soon", b"retry-after": b"9"}, 9.0),
    ],
)
def test_the_wait_a_provider_asks_for(headers: dict[bytes, bytes], seconds: float | None) -> None:
    assert retry_after(headers, now=0.0) == seconds


DATES = st.sampled_from(["Thu,", "01", "Jan", "1970", "00:00:40", "GMT", "-0000", "+9999", "9" * 25, ":", "99:99:99"])


@given(st.lists(DATES, max_size=8).map(" ".join) | st.text())
@example("Thu, 01 Jan 99999999999999999999 00:00:00 GMT")
def test_no_date_a_provider_writes_breaks_its_reader(date: str) -> None:
    seconds = retry_after({b"retry-after": date.encode()}, now=0.0)

    assert seconds is None or (0 <= seconds <= 120 and math.isfinite(seconds))
