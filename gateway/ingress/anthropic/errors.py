"""Errors in the shape that Anthropic's clients know."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from gateway.core.errors import GatewayError
from gateway.ingress.reply import plain

OVERLOADED = 529
"""The status that stands for our 503."""
_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    OVERLOADED: "overloaded_error",
}


def envelope(error: GatewayError, request_id: str) -> bytes:
    """The error as JSON. Beside Anthropic's members the error has our `code` and `param`, which say more than its type."""
    kind = _TYPES.get(error.status) or ("api_error" if error.status >= 500 else "invalid_request_error")
    told = {"type": kind, "message": plain(error.message), "code": error.code, "param": error.param}
    return orjson.dumps({"type": "error", "error": told, "request_id": request_id})
