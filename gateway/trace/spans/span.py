"""A finished span, as OpenTelemetry means it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

Value = str | bool | int | float | Sequence[str]
NANO = 1e9
KEPT = 4096
"""Groups of attributes that are kept, of each kind."""


class Kind(IntEnum):
    """The numbers are OTLP's."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3


class Common:
    """Attributes that many spans have alike: whoever encodes them may keep what they come to in `encoded`."""

    __slots__ = ("encoded", "values")

    def __init__(self, values: Mapping[str, Value]) -> None:
        self.values = values
        self.encoded: bytes | None = None


@dataclass(slots=True)
class Event:
    """`at` in nanoseconds since 1970."""

    name: str
    at: int
    attributes: Mapping[str, Value]


@dataclass(slots=True)
class Span:
    """`begin` and `end` in nanoseconds since 1970; ids in hexadecimal. `error` is why it failed; None: it did not.

    `link` is the trace id and span id of a span of another trace. `is_parent_remote`: its parent is another process's.
    """

    name: str
    kind: Kind
    span_id: str
    parent_span_id: str | None
    begin: int
    end: int
    common: Common
    own: dict[str, Value]
    error: str | None = None
    events: Sequence[Event] = ()
    link: tuple[str, str] | None = None
    is_parent_remote: bool = False

    @property
    def attributes(self) -> dict[str, Value]:
        return {**self.common.values, **self.own}


@dataclass(frozen=True, slots=True)
class Trace:
    """All spans of one call, its SERVER span first. `state` is the `tracestate`."""

    trace_id: str
    spans: Sequence[Span] = field(default_factory=tuple)
    state: str = ""


def nanoseconds(milliseconds: float) -> int:
    return int(milliseconds * 1_000_000)
