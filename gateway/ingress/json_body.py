"""A client's JSON, parsed only after it has been shown to be small enough to parse."""

from __future__ import annotations

import math
import re
from typing import Any

import jiter

from gateway.core.errors import InvalidRequest

MAX_DEPTH = 64
MAX_NODES = 100_000

_DUPLICATE = re.compile(r'Detected duplicate key "(.*?)" at line')


def parse(body: bytes) -> dict[str, Any]:
    """The object in `body`. Refuses duplicate keys, NaN, lone surrogates, and more than 64 levels or 100,000 values.

    Raises InvalidRequest.
    """
    _bound(body)
    try:
        value = jiter.from_json(body, catch_duplicate_keys=True, allow_inf_nan=False, cache_mode="keys")
    except ValueError as error:
        raise _explain(body, str(error)) from None
    if not isinstance(value, dict):
        raise InvalidRequest("the body must be a JSON object", code="invalid_json")
    _inspect(value, MAX_DEPTH)
    return value


def _bound(body: bytes) -> None:
    """No value takes less than two bytes, so only a large body can hold too many; then what stands outside strings counts.

    Every step is one call into C: a loop over the quotes or backslashes of a hostile body takes seconds.
    """
    if len(body) <= 2 * MAX_NODES or _marks(body) <= MAX_NODES:
        return
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    if unescaped.count(b'"') <= 4 * MAX_NODES:  # a member is two strings at the most
        outside = b"".join(unescaped.split(b'"')[::2])
        if _marks(outside) <= MAX_NODES:
            return
        if b"[" * (MAX_DEPTH + 1) in outside:
            raise _too_deep()
    raise InvalidRequest(f"the body holds more than {MAX_NODES} values", code="too_many_nodes")


def _marks(json: bytes) -> int:
    """The signs that begin or part values: no document has more values than these, and one."""
    return json.count(b",") + json.count(b":") + json.count(b"[") + json.count(b"{")


def _inspect(value: dict[str, Any] | list[Any], levels: int) -> None:
    """Refuses what is nested too deep and numbers that overflow."""
    if levels == 0:
        raise _too_deep()
    for child in value.values() if isinstance(value, dict) else value:
        kind = type(child)
        if kind is dict or kind is list:
            _inspect(child, levels - 1)
        elif kind is float and math.isinf(child):
            raise InvalidRequest("a number in the body is too large", code="invalid_json")


def _explain(body: bytes, reason: str) -> InvalidRequest:
    """jiter's reason as an error of ours; it names places and never quotes the body, but for a key."""
    if duplicate := _DUPLICATE.search(reason):
        key = duplicate.group(1)
        return InvalidRequest(f"the key {key[:64]!r} stands twice in one object", code="duplicate_key", param=key[:64])
    if "recursion limit" in reason:
        return _too_deep()
    if "hex escape" in reason or "surrogate" in reason:
        return InvalidRequest(f"a string holds a lone surrogate: {reason[:100]}", code="invalid_unicode")
    if "number out of range" in reason:
        return InvalidRequest("a number in the body is too long", code="invalid_type")
    if not _is_utf8(body):
        return InvalidRequest("the body is not valid UTF-8", code="invalid_utf8")
    return InvalidRequest(f"the body is not valid JSON: {reason[:100]}", code="invalid_json")


def _is_utf8(body: bytes) -> bool:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not text.startswith("\ufeff")


def _too_deep() -> InvalidRequest:
    return InvalidRequest(f"the body is nested more than {MAX_DEPTH} levels deep", code="too_deep")
