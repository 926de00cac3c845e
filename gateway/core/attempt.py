"""One try at one deployment, as the record tells it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Attempt:
    """Times in monotonic seconds. `reason` is primary, retry or fallback; `error` is the code it failed with, `detail`
    what only operators are told."""

    number: int
    deployment: str
    provider: str
    reason: str
    started: float
    ended: float = 0.0
    status: int | None = None
    error: str | None = None
    detail: str | None = None
    request_id: str | None = None
