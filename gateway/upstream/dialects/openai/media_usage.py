"""What an answer that is not made of text was billed for, as OpenAI, Cohere, Jina and Voyage tell it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gateway.core import units
from gateway.core.call import Call, Operation
from gateway.core.usage import Details, Usage

_HEARD = frozenset({Operation.TRANSCRIPTION, Operation.TRANSLATION})
_MADE = frozenset({Operation.IMAGE, Operation.IMAGE_EDIT, Operation.IMAGE_VARIATION})
_MOST = 2**31


def media_usage(call: Call, answer: Mapping[str, Any]) -> Usage:
    """Of a whole answer, or of the last event of a stream. Where nothing is told, what was asked for counts, as an estimate."""
    usage = _members(answer.get("usage"))
    sent, made = _count(usage.get("input_tokens", usage.get("prompt_tokens"))), _count(usage.get("output_tokens"))
    if call.operation is Operation.RERANK:
        billed = _members(_members(answer.get("meta")).get("billed_units"))
        searches = _count(billed.get("search_units"))
        total = sent or _count(usage.get("total_tokens"))
        return Usage(total or 0, 0, units=units.asked(call) if searches is None else searches)
    if call.operation in _HEARD:
        seconds = _seconds(usage.get("seconds", answer.get("duration")))
        is_told = seconds is not None or sent is not None
        kinds = _members(usage.get("input_token_details", usage.get("input_tokens_details")))
        heard = _count(kinds.get("audio_tokens")) or 0
        told = units.asked(call) if seconds is None else seconds
        return Usage(sent or 0, made or 0, estimated=not is_told, details=Details(audio_input=heard), units=told)
    if call.operation in _MADE:
        seen = _count(_members(usage.get("input_tokens_details")).get("image_tokens")) or 0
        images = answer.get("data")
        count = len(images) if isinstance(images, list) and images else units.asked(call)
        details = Details(image_input=seen, image_output=made or 0)
        return Usage(sent or 0, made or 0, details=details, units=count)
    return Usage(sent or 0, made or 0, details=Details(audio_output=made or 0), units=units.asked(call))


def _members(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < _MOST else None


def _seconds(value: Any) -> int | None:
    """Whole seconds, begun ones included."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return math.ceil(value) if is_number and 0 <= value < _MOST else None
