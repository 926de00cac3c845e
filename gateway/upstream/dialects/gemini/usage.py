"""Tokens as Google bills them, told as OpenAI tells them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.upstream.dialects.chunks import counted
from gateway.upstream.dialects.gemini.answer import Modality, UsageMetadata

_decoder: msgspec.json.Decoder[UsageMetadata | None] = msgspec.json.Decoder(UsageMetadata | None)
_KINDS = {"AUDIO": "audio_tokens", "IMAGE": "image_tokens"}


def read_usage(raw: msgspec.Raw) -> UsageMetadata | None:
    """None where it is nothing that can be read: the answer is one all the same."""
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def usage(told: UsageMetadata | None) -> dict[str, Any] | None:
    """None when it gave no count of the prompt.

    The prompt has what was read from the cache, but not what tools of Google's own read; what a candidate says does not
    have what was thought before.
    """
    if told is None or told.prompt_token_count is None:
        return None
    thoughts = told.thoughts_token_count or 0
    return counted(
        prompt=told.prompt_token_count + (told.tool_use_prompt_token_count or 0),
        made=(told.candidates_token_count or 0) + thoughts,
        cached=told.cached_content_token_count or 0,
        reasoning=thoughts,
        of_input=_kinds(told.prompt_tokens_details or ()),
        of_output=_kinds(told.candidates_tokens_details or ()),
    )


def is_longer(told: UsageMetadata, before: UsageMetadata) -> bool:
    """Whether nothing but more text was made since."""
    return (
        told.prompt_token_count == before.prompt_token_count
        and told.thoughts_token_count == before.thoughts_token_count
        and told.cached_content_token_count == before.cached_content_token_count
        and told.tool_use_prompt_token_count == before.tool_use_prompt_token_count
        and told.prompt_tokens_details == before.prompt_tokens_details
        and _kinds(told.candidates_tokens_details or ()) == _kinds(before.candidates_tokens_details or ())
    )


def _kinds(details: Iterable[Modality]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for each in details:
        if (name := _KINDS.get(each.modality)) is not None:
            counts[name] = counts.get(name, 0) + (each.token_count or 0)
    return counts
