"""What a status other than 200 means, in our terms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from gateway.core.errors import Rejected, Unavailable, UpstreamError

_LONGEST_WAIT = 120.0
_SHORTEST_WAIT = 1.0
_FILTERED = "ResponsibleAIPolicyViolation"
"""What Azure calls it inside an error that not every version gives a code of its own."""
_CODE = re.compile(r"[a-z0-9_]{1,64}")
_CREDENTIAL = re.compile(r"\b(?:sk|pk|key|rk|gsk|xai)[-_][A-Za-z0-9_*.-]{6,}|\bBearer\s+\S+")


def failure(
    status: int, body: bytes, headers: Mapping[bytes, bytes], *, secrets: tuple[str, ...], now: float
) -> UpstreamError:
    """The error for an answer with this status. `secrets` are taken out of the provider's words; `now` is UTC seconds.

    Its words are passed on only for errors in the call itself.
    """
    if status in (401, 403):
        return Unavailable(
            "the provider refused the gateway's credential", code="upstream_auth_failed", should_retry=False
        )
    if status == 429:
        return Unavailable(
            "the provider is limiting the rate of calls",
            code="upstream_rate_limited",
            status=429,
            type="rate_limit_error",
            retry_after=retry_after(headers, now=now) or _SHORTEST_WAIT,
            should_retry=True,
        )
    if 300 <= status < 400:
        return Unavailable("the provider answered with a redirect", code="upstream_redirect", retriable=False)
    if 400 <= status < 500:
        return _rejected(status, body, secrets)
    if status >= 500:
        return Unavailable("the provider failed", retry_after=retry_after(headers, now=now))
    return Unavailable("the provider answered without content", code="upstream_invalid_response", retriable=False)


def retry_after(headers: Mapping[bytes, bytes], *, now: float) -> float | None:
    """Seconds the provider asked us to wait, from 0 to 120; None when it said nothing we understand."""
    for name, unit in ((b"retry-after-ms", 1000.0), (b"retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) / unit
        except ValueError:
            seconds = _seconds_until(value, now)
        if seconds >= 0:
            return min(seconds, _LONGEST_WAIT)
    return None


def _seconds_until(date: bytes, now: float) -> float:
    """Seconds until an HTTP date, at least 0; -1 if it is none."""
    try:
        then = parsedate_to_datetime(date.decode())
    except (ValueError, TypeError, OverflowError):
        return -1.0
    return max(0.0, (then - datetime.fromtimestamp(now, UTC)).total_seconds()) if then.tzinfo else -1.0


def _rejected(status: int, body: bytes, secrets: tuple[str, ...]) -> Rejected:
    error: Any = None
    try:
        error = orjson.loads(body).get("error")
    except (orjson.JSONDecodeError, AttributeError):
        error = None
    if not isinstance(error, dict):
        error = {"message": error} if isinstance(error, str) else {}
    inner = error.get("innererror")
    is_filtered = isinstance(inner, dict) and inner.get("code") == _FILTERED
    code = "content_filter" if is_filtered else _redacted(error.get("code"), secrets)
    return Rejected(
        _redacted(error.get("message"), secrets)[:2048] or "the provider refused the call",
        status=status if status in (400, 404, 408, 409, 413, 422) else 400,
        code=f"upstream_{code if _CODE.fullmatch(code) else status}",
        param=_redacted(error.get("param"), secrets)[:256] or None,
    )


def _redacted(value: Any, secrets: tuple[str, ...]) -> str:
    """The text without anything that is, or looks like, a credential; empty if it is no text."""
    text = value if isinstance(value, str) else ""
    for secret in secrets:
        text = text.replace(secret, "***")
    return _CREDENTIAL.sub("***", text)
