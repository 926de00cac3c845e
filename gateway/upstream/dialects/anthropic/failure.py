"""What a status other than 200 means at Anthropic, in our terms."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from gateway.core.errors import Unavailable, UpstreamError
from gateway.upstream.dialects.openai.failure import failure as openai_failure
from gateway.upstream.dialects.openai.failure import retry_after

_OVERLOADED = 529
_UNPAID = 402


def failure(
    status: int, body: bytes, headers: Mapping[bytes, bytes], *, secrets: tuple[str, ...], now: float
) -> UpstreamError:
    """The error for an answer with this status, as OpenAI's, whose errors have a code where Anthropic's have a type."""
    if status == _UNPAID:
        return Unavailable(
            "the provider refused the gateway's account", code="upstream_auth_failed", should_retry=False
        )
    if status == _OVERLOADED:
        wait = retry_after(headers, now=now)
        return Unavailable("the provider is overloaded", status=503, retry_after=wait, should_retry=True)
    return openai_failure(status, _with_code(body), headers, secrets=secrets, now=now)


def _with_code(body: bytes) -> bytes:
    try:
        error = orjson.loads(body)["error"]
        return orjson.dumps({"error": {"message": error["message"], "code": error["type"]}})
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return body
