"""What Gemini answers: the shape of its bytes, and what they are in chat's terms."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway.core.errors import Broken, Unavailable, UpstreamError

_FINISHED = {"STOP": "stop", "MAX_TOKENS": "length"}
_INVALID = frozenset(
    {
        *("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"),
        *("MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE"),
    }
)
"""Ends of an answer that went wrong, for which chat has no word; every other reason is a filter's."""
_NOT_SAID = "FINISH_REASON_UNSPECIFIED"
_NO_ARGUMENTS = (b"", b"null")
NOTHING = msgspec.Raw(b"null")


class Blob(msgspec.Struct, rename="camel"):
    mime_type: str = ""
    data: str = ""


class FunctionCall(msgspec.Struct):
    name: str = ""
    args: msgspec.Raw = msgspec.Raw(b"")
    id: str | None = None


class Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    function_call: FunctionCall | None = None
    thought_signature: str | None = None
    inline_data: Blob | None = None


class Content(msgspec.Struct):
    parts: list[Part] | None = None


class Token(msgspec.Struct, rename="camel"):
    token: str = ""
    log_probability: float = 0.0


class TopTokens(msgspec.Struct):
    candidates: list[Token] | None = None


class Logprobs(msgspec.Struct, rename="camel"):
    chosen_candidates: list[Token] | None = None
    top_candidates: list[TopTokens] | None = None


class Candidate(msgspec.Struct, rename="camel"):
    content: Content | None = None
    finish_reason: str | None = None
    index: int = 0
    logprobs_result: Logprobs | None = None


class Modality(msgspec.Struct, rename="camel"):
    modality: str = ""
    token_count: int | None = None


class UsageMetadata(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    prompt_tokens_details: list[Modality] | None = None
    candidates_tokens_details: list[Modality] | None = None


class Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class Response(msgspec.Struct, rename="camel"):
    """One event of a stream, or a whole answer."""

    candidates: list[Candidate] | None = None
    usage_metadata: msgspec.Raw = NOTHING
    prompt_feedback: Feedback | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: Any = None


decode = msgspec.json.Decoder(Response).decode


def content(parts: Iterable[Part], *, seed: str, calls: int) -> tuple[dict[str, Any], int]:
    """The members of a message or delta, and how many calls there are now; `calls` came before.

    Gemini gives most calls no id, and a client needs one: it is made of `seed`, so the same answer has the same.
    """
    texts: list[str] = []
    thoughts: list[str] = []
    made: list[dict[str, Any]] = []
    images: list[dict[str, Any]] = []
    for part in parts:
        if part.function_call is not None:
            made.append(_call(part.function_call, part.thought_signature, seed=seed, index=calls + len(made)))
        elif part.text:
            (thoughts if part.thought else texts).append(part.text)
        elif part.inline_data is not None:
            url = f"data:{part.inline_data.mime_type};base64,{part.inline_data.data}"
            images.append({"type": "image_url", "image_url": {"url": url}})
    told: dict[str, Any] = {}
    if texts:
        told["content"] = "".join(texts)
    if thoughts:
        told["reasoning_content"] = "".join(thoughts)
    if made:
        told["tool_calls"] = made
    if images:
        told["images"] = images
    return told, calls + len(made)


def finish(reason: str | None, *, calls: int) -> str | None:
    """Chat's finish_reason; None: it goes on. `calls` is how many functions were called."""
    if reason is None or reason == _NOT_SAID:
        return None
    if calls and reason in (
        "STOP",
        "FUNCTION_CALL",
    ):  # the second is not Google's own, but of servers that speak its dialect
        return "tool_calls"
    return _FINISHED.get(reason, "content_filter")


def wrong(response: Response, *, started: bool) -> UpstreamError | None:
    """Why this is no answer, or the end of none. `started`: a part of it has been passed on."""
    if response.error:
        text = "the provider reported an error"
        return Broken(text, code="upstream_error") if started else Unavailable(text)
    for candidate in response.candidates or ():
        if candidate.finish_reason in _INVALID:
            text = "the provider's model called no tool that there is, or called it wrongly"
            code = "upstream_invalid_tool_call"
            return Broken(text, code=code) if started else Unavailable(text, code=code, retriable=False)
    return None


def is_blocked(response: Response) -> bool:
    """Whether the prompt was refused, so that there are no candidates at all."""
    return (
        not response.candidates and response.prompt_feedback is not None and bool(response.prompt_feedback.block_reason)
    )


def logprobs(told: Logprobs | None) -> Mapping[str, Any] | None:
    if told is None or not told.chosen_candidates:
        return None
    tops = told.top_candidates or []
    tokens = []
    for place, chosen in enumerate(told.chosen_candidates):
        others = (tops[place].candidates or ()) if place < len(tops) else ()
        tokens.append({**_token(chosen), "top_logprobs": [_token(each) for each in others]})
    return {"content": tokens, "refusal": None}


def _token(token: Token) -> dict[str, Any]:
    return {"token": token.token, "logprob": token.log_probability, "bytes": list(token.token.encode())}


def _call(call: FunctionCall, signature: str | None, *, seed: str, index: int) -> dict[str, Any]:
    arguments = bytes(call.args)
    try:
        text = "{}" if arguments in _NO_ARGUMENTS else arguments.decode()
    except UnicodeDecodeError:
        raise Broken("the arguments of a tool call are not text", code="upstream_invalid_tool_call") from None
    told: dict[str, Any] = {
        "index": index,
        "id": call.id or f"call_{hashlib.sha256(f'{seed}/{index}'.encode()).hexdigest()[:24]}",
        "type": "function",
        "function": {"name": call.name, "arguments": text},
    }
    if signature:
        told["extra_content"] = {"google": {"thought_signature": signature}}
    return told
