"""What Bedrock's errors mean, in our terms: those of a status, and those that end a stream."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from gateway.core.errors import Broken, Rejected, Unavailable, UpstreamError
from gateway.upstream.dialects import openai

_STATUSES = {
    "ServiceQuotaExceededException": 429,
    "ModelNotReadyException": 503,
    "ModelTimeoutException": 503,
    "ModelErrorException": 502,
    "ExpiredTokenException": 403,
    "UnrecognizedClientException": 403,
    "InvalidSignatureException": 403,
}
"""Exceptions whose own status says something else than it would in our terms."""
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def failure(
    status: int, body: bytes, headers: Mapping[bytes, bytes], *, secrets: tuple[str, ...], now: float
) -> UpstreamError:
    told = _members(body)
    name = headers.get(b"x-amzn-errortype", b"").decode("latin-1") or _text(told.get("__type"))
    name = name.partition(":")[0].rpartition("#")[2]
    inner = told.get("error")  # as servers have it that only speak Bedrock's dialect
    message = _text(
        told.get("message") or told.get("Message") or (inner.get("message") if isinstance(inner, dict) else None)
    )
    error = orjson.dumps({"error": {"message": message, "code": _code(name)}})
    return openai.failure(_STATUSES.get(name, status), error, headers, secrets=secrets, now=now)


def reported(name: str, *, started: bool) -> UpstreamError:
    """An exception in a stream. Its words may hold anything, our credential included: they are not passed on."""
    text = "the provider reported an error"
    if started:
        return Broken(text, code="upstream_error")
    if name == "throttlingException":
        return openai.failure(429, b"", {}, secrets=(), now=0.0)
    if name == "validationException":
        return Rejected("the provider refused the call", code=f"upstream_{_code(name)}")
    return Unavailable(text)


def _code(name: str) -> str:
    """`validation` of ValidationException."""
    return _CAPITAL.sub("_", name.removesuffix("Exception")).lower()


def _members(body: bytes) -> Mapping[str, Any]:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
