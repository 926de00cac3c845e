"""What Google's errors mean, in our terms."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from gateway.core.errors import UpstreamError
from gateway.upstream.dialects import openai

_SECONDS = re.compile(r"(\d{1,6}(?:\.\d{1,9})?)s")
_BAD_KEY = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED"})


def failure(
    status: int, body: bytes, headers: Mapping[bytes, bytes], *, secrets: tuple[str, ...], now: float
) -> UpstreamError:
    """Streams tell an error as a list of one. A key that is not valid is a 400 at Google."""
    error = _error(body)
    details = [each for each in _list(error.get("details")) if isinstance(each, dict)]
    if status == 400 and any(each.get("reason") in _BAD_KEY for each in details if isinstance(each.get("reason"), str)):
        status = 401
    for wait in _waits(details):
        headers = {**headers, b"retry-after": wait.encode()}
    word = error.get("status")
    code = word.lower() if isinstance(word, str) else None
    told = orjson.dumps({"error": {"message": _text(error.get("message")), "code": code}})
    return openai.failure(status, told, headers, secrets=secrets, now=now)


def _error(body: bytes) -> Mapping[str, Any]:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    first = told[0] if isinstance(told, list) and told else told
    error = first.get("error") if isinstance(first, dict) else None
    return error if isinstance(error, dict) else {}


def _waits(details: list[dict[str, Any]]) -> Iterator[str]:
    """Seconds of google.rpc.RetryInfo."""
    for each in details:
        found = _SECONDS.fullmatch(_text(each.get("retryDelay")))
        if found:
            yield found[1]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
