"""What can be asked of the roll-ups: sums and percentiles over time, of groups of calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.errors import InvalidRequest
from gateway.trace.reading.search import LONGEST, check_words, moment

BY = ("org", "team", "tenant", "key_id", "model", "deployment", "provider", "route", "outcome", "tag")
"""What calls can be grouped and filtered by."""
WITH_TAG = ("org", "team", "tenant", "model", "tag")
"""What tags can be asked for together with."""
PARAMETERS = ("since", "until", "step", "by", "limit", *BY)
POINTS = 60
MOST_POINTS = 1500
MOST_GROUPS = 100
_HOUR = 3600
_DAY = 86400
_STEPS = (60, 120, 300, 600, 900, 1800, *(hours * _HOUR for hours in (1, 2, 3, 6, 12, 24)), 7 * _DAY)


@dataclass(frozen=True, slots=True)
class Question:
    """`since` (a multiple of `step`) and `until` in UTC seconds, `step` in seconds; at most `limit` groups."""

    since: int
    until: int
    step: int
    by: tuple[str, ...]
    equal: Mapping[str, str]
    limit: int


def question_of(query: Mapping[str, str], *, now: float) -> Question:
    """Raises InvalidRequest."""
    for name, value in query.items():
        if name not in PARAMETERS:
            message = f"statistics cannot be asked for by {name[:64]!r}"
            raise InvalidRequest(message, code="unknown_parameter", param=name[:64])
        if len(value) > LONGEST:
            raise _invalid(name, f"at most {LONGEST} characters")
    until = int(moment(query["until"], "until", now=now)) if "until" in query else int(now) + 1
    since = int(moment(query["since"], "since", now=now)) if "since" in query else until - _HOUR
    if since >= until:
        raise _invalid("since", "before until")
    check_words(query)
    by = _by(query.get("by", ""))
    equal = {name: query[name] for name in BY if name in query}
    if "tag" in (*by, *equal) and (others := {*by, *equal}.difference(WITH_TAG)):
        name = min(others)
        raise _invalid("by" if name in by else name, f"one of {', '.join(WITH_TAG)} where tags are asked for")
    step = _step(query["step"]) if "step" in query else default_step(until - since)
    if (until - since) / step > MOST_POINTS:
        if "step" in query:
            raise _invalid("step", f"long enough for at most {MOST_POINTS} points")
        raise _invalid("since", f"at most {MOST_POINTS * _STEPS[-1] // _DAY:,} days before until")
    return Question(
        since=since - since % step,
        until=until,
        step=step,
        by=by,
        equal=equal,
        limit=_limit(query.get("limit", "20")),
    )


def default_step(seconds: float) -> int:
    """The shortest step that makes about 60 points."""
    return next((step for step in _STEPS if seconds / step <= POINTS + 1), _STEPS[-1])


def _step(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 9 and int(text) and int(text) % 60 == 0):
        raise _invalid("step", "a multiple of 60 seconds")
    return int(text)


def _by(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(","))) if text else ()
    if unknown := set(names) - set(BY):
        raise _invalid("by", f"any of {', '.join(BY)}, and not {min(unknown)[:64]!r}")
    return names


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 9 and 1 <= int(text) <= MOST_GROUPS):
        raise _invalid("limit", f"a number from 1 to {MOST_GROUPS}")
    return int(text)


def _invalid(name: str, wanted: str) -> InvalidRequest:
    return InvalidRequest(f"{name} must be {wanted}", code="invalid_value", param=name)
