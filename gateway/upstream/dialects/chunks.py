"""Answers written in chat's terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

DONE = b"data: [DONE]\n\n"
_encode = msgspec.json.Encoder().encode


class Chunks:
    """The chunks of one stream, each an event."""

    __slots__ = ("_created", "id", "model")

    def __init__(self, id: str, model: str, created: int) -> None:
        self.id = id
        self.model = model
        self._created = created

    def choice(self, index: int, delta: Mapping[str, Any], *, finish: str | None = None, logprobs: Any = None) -> bytes:
        choice = {"index": index, "delta": delta, "finish_reason": finish}
        if logprobs is not None:
            choice["logprobs"] = logprobs
        return self._event({"choices": [choice]})

    def usage(self, usage: Mapping[str, Any]) -> bytes:
        return self._event({"choices": [], "usage": usage})

    def _event(self, members: Mapping[str, Any]) -> bytes:
        chunk = {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self.model,
            **members,
        }
        return b"data: %b\n\n" % _encode(chunk)


def completion(
    id: str, model: str, created: int, choices: Sequence[Mapping[str, Any]], usage: Mapping[str, Any] | None
) -> bytes:
    """A chat.completion; a choice whose finish_reason is None is not finished."""
    told = {"id": id, "object": "chat.completion", "created": created, "model": model, "choices": choices}
    return _encode(told if usage is None else {**told, "usage": usage})


def counted(
    *,
    prompt: int,
    made: int,
    cached: int = 0,
    written: int = 0,
    reasoning: int = 0,
    of_input: Mapping[str, int] | None = None,
    of_output: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Usage as OpenAI tells it. `prompt` has what was read from and `written` to a cache, `made` has the reasoning."""
    details = {"cached_tokens": cached, **(of_input or {})}
    if written:
        details["cache_write_tokens"] = written
    return {
        "prompt_tokens": prompt,
        "completion_tokens": made,
        "total_tokens": prompt + made,
        "prompt_tokens_details": details,
        "completion_tokens_details": {"reasoning_tokens": reasoning, **(of_output or {})},
    }
