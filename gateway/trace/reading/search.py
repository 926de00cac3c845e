"""Which calls are asked for: the filters of a question, each refused unless it is what it should be."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import TypeVar

from gateway.core.errors import InvalidRequest

EQUAL = (
    "org",
    "team",
    "tenant",
    "key_id",
    "user",
    "model",
    "route",
    "deployment",
    "provider",
    "outcome",
    "cache",
    "error_code",
    "conversation",
    "trace_id",
)
"""Fields of a record that are asked for by their value."""
TIMES = ("since", "until")
FILTERS = (
    *TIMES,
    *EQUAL,
    "status",
    "tag",
    "text",
    "stream",
    "min_cost_usd",
    "max_cost_usd",
    "min_ms",
    "max_ms",
)
OUTCOMES = (
    "upstream",
    "gateway",
    "cache_replay",
    "cache_exact",
    "cache_joined",
    "cache_semantic",
    "stopped_budget",
    "rejected_auth",
    "rejected_request",
    "rejected_policy",
    "rejected_rate",
    "rejected_budget",
    "upstream_error",
    "overloaded",
    "client_abort",
    "internal_error",
    "trial",
    "orphaned",
)
CACHE = ("hit", "semantic-hit", "miss", "bypass")
WORDS: Mapping[str, Sequence[str]] = {"outcome": OUTCOMES, "cache": CACHE}
"""Filters that take only these."""
MOMENTS = "UTC seconds, a time such as 2026-01-31T12:00:00Z, or how long ago: -90s, -15m, -1h, -7d, -2w"
LONGEST = 512
"""Characters of a filter's value."""
_AGO = re.compile(r"-(\d{1,9})([smhdw])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_STATUS = re.compile(r"([1-9])(?:xx|(\d\d))", re.IGNORECASE | re.ASCII)
_NANO = 1_000_000_000
_MOST = 2**53

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Search:
    """What records must be like. Bounds are inclusive but for `until`; times are UTC seconds, costs nano-USD."""

    equal: Mapping[str, str] = field(default_factory=dict)
    since: float | None = None
    until: float | None = None
    status: tuple[int, int] | None = None
    tag: str | None = None
    text: str | None = None
    stream: bool | None = None
    min_cost: int | None = None
    max_cost: int | None = None
    min_ms: float | None = None
    max_ms: float | None = None


def search_of(
    query: Mapping[str, str], *, now: float, also: Collection[str] = (), without: Collection[str] = ()
) -> Search:
    """What the query's filters ask for at this time. Raises InvalidRequest, for what is no filter nor one of `also` too."""
    known = {*also, *FILTERS}.difference(without)
    for name, value in query.items():
        if name not in known:
            raise InvalidRequest(
                f"calls cannot be asked for by {name[:64]!r}", code="unknown_parameter", param=name[:64]
            )
        if len(value) > LONGEST or not value.isprintable():
            raise _invalid(name, f"at most {LONGEST} printable characters")
    check_words(query)
    return Search(
        equal={name: query[name] for name in EQUAL if name in query},
        since=_read(query, "since", partial(moment, now=now)),
        until=_read(query, "until", partial(moment, now=now)),
        status=_read(query, "status", _status),
        tag=query.get("tag"),
        text=query.get("text") or None,
        stream=_read(query, "stream", _boolean),
        min_cost=_read(query, "min_cost_usd", _nano),
        max_cost=_read(query, "max_cost_usd", _nano),
        min_ms=_read(query, "min_ms", _amount),
        max_ms=_read(query, "max_ms", _amount),
    )


def check_words(query: Mapping[str, str]) -> None:
    """Raises InvalidRequest for a filter that asks for what no record says."""
    for name, words in WORDS.items():
        if name in query and query[name] not in words:
            raise _invalid(name, f"one of {', '.join(words)}")


def moment(text: str, name: str, *, now: float) -> float:
    """UTC seconds, from a number, ISO 8601 (without a zone: UTC), or how long before `now`. Raises InvalidRequest."""
    if (ago := _AGO.fullmatch(text)) is not None:
        return max(0.0, now - int(ago[1]) * _SECONDS[ago[2]])
    try:
        seconds = float(text)
    except ValueError:
        try:
            found = datetime.fromisoformat(text)
            seconds = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            seconds = math.nan
    if not 0 <= seconds < _MOST / 1000:
        raise _invalid(name, MOMENTS)
    return seconds


def _read(query: Mapping[str, str], name: str, read: Callable[[str, str], T]) -> T | None:
    return read(query[name], name) if name in query else None


def _status(text: str, name: str) -> tuple[int, int]:
    found = _STATUS.fullmatch(text)
    if found is None:
        raise _invalid(name, "a status such as 429, or a class of them such as 4xx")
    first = int(found[1]) * 100
    return (first, first + 99) if found[2] is None else (first + int(found[2]),) * 2


def _boolean(text: str, name: str) -> bool:
    if text not in ("true", "false"):
        raise _invalid(name, "true or false")
    return text == "true"


def _nano(text: str, name: str) -> int:
    try:
        dollars = Decimal(text)
    except InvalidOperation:
        dollars = Decimal("NaN")
    if not dollars.is_finite() or not 0 <= dollars < _MOST / _NANO:
        raise _invalid(name, "an amount in USD such as 0.05")
    return int(dollars * _NANO)


def _amount(text: str, name: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not 0 <= amount < _MOST:
        raise _invalid(name, "a number that is not negative")
    return amount


def _invalid(name: str, wanted: str) -> InvalidRequest:
    return InvalidRequest(f"{name} must be {wanted}", code="invalid_value", param=name)
