"""What the policy says of traces: whom they join, and whether anybody may read what was said."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Inbound(Enum):
    """What becomes of the `traceparent` that a caller sends: our trace goes on with it, only links to it, or ignores it."""

    PARENT = "parent"
    LINK = "link"
    IGNORE = "ignore"


class Capture(Enum):
    """Where prompts and answers are kept: nowhere, in records, or in records and spans."""

    OFF = "off"
    RECORDS = "records"
    SPANS = "spans"


@dataclass(frozen=True, slots=True)
class TraceRules:
    """`redact` names what is taken out of captured text (see redact.KINDS); `capture_limit` is in characters per text.

    `capture_tenants` are the organisations and teams whose calls are captured; none: all.
    """

    inbound: Inbound = Inbound.PARENT
    capture: Capture = Capture.OFF
    capture_tenants: frozenset[str] = frozenset()
    capture_limit: int = 16_384
    redact: tuple[str, ...] = ()
