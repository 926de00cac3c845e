"""The tokens of a response, as providers count them in a session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.usage import Details, Usage

_SECOND = 10
"""Tokens of a second of sound, where only its length was billed."""


def usage_of(told: object) -> Usage | None:
    """Of `response.done`; None where it has no count that makes sense."""
    if not isinstance(told, dict):
        return None
    sent, made = _count(told, "input_tokens"), _count(told, "output_tokens")
    if sent is None or made is None:
        return None
    read, written = _part(told, "input_token_details"), _part(told, "output_token_details")
    details = Details(
        audio_input=_count(read, "audio_tokens") or 0,
        audio_output=_count(written, "audio_tokens") or 0,
        image_input=_count(read, "image_tokens") or 0,
    )
    return Usage(
        sent,
        made,
        cached=min(_count(read, "cached_tokens") or 0, sent),
        reasoning=min(_count(written, "reasoning_tokens") or 0, made),
        details=details,
    )


def transcription_of(told: object) -> Usage | None:
    """Of the transcript of what the client said, which another model made: by tokens, or by seconds."""
    usage = usage_of(told)
    if usage is not None or not isinstance(told, dict):
        return usage
    seconds = told.get("seconds")
    if isinstance(seconds, int | float) and 0 < seconds < 1e6:
        tokens = -int(-seconds * _SECOND // 1)
        return Usage(tokens, 0, estimated=True, details=Details(audio_input=tokens))
    return None


def _count(fields: Mapping[str, Any], name: str) -> int | None:
    value = fields.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def _part(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}
