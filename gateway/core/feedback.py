"""What a caller says of an answer that it got."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Feedback:
    """`request_id` is that of the call that was answered; `comment` is "" where there is none."""

    request_id: str
    is_good: bool
    comment: str = ""
