"""A kept document as an answer: JSON or a stream, whichever was asked for, with an id and a time of its own.

To the SDKs it is equal to the first answer. The ids of tool calls stay: the client sends them back in its next call, and with
fresh ones no later call of such a conversation would ever be found again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import orjson

DONE = b"data: [DONE]\n\n"
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_CHUNK_OBJECTS = {"chat.completion": "chat.completion.chunk", "text_completion": "text_completion"}
_PLACE = frozenset({"id", "created", "object", "choices", "usage"})


def fresh_json(document: bytes, *, id: str, created: int) -> bytes:
    """The answer in one piece, every other member as it was written. `created` is UTC seconds."""
    whole: dict[str, object] = {**_members(document)}
    if "id" in whole or "choices" in whole:
        whole["id"] = id
    if "created" in whole or "choices" in whole:
        whole["created"] = created
    return msgspec.json.encode(whole)


def fresh_events(document: bytes, *, id: str, created: int, wants_usage: bool, piece: int = 64) -> Iterator[bytes]:
    """The answer as events, the last being [DONE]; texts come in pieces of that many characters, and the usage has cost nothing.

    Raises ValueError for a document that is no completion.
    """
    whole = orjson.loads(document)
    head = {"id": id, "object": _chunk_object(whole), "created": created}
    head |= {name: value for name, value in whole.items() if name not in _PLACE}
    for choice in whole["choices"]:
        for part in _parts(choice, piece):
            yield _event({**head, "choices": [part]})
    usage = whole.get("usage")
    if wants_usage and isinstance(usage, dict):
        yield _event({**head, "choices": [], "usage": {"cost_usd": 0, **usage}})
    yield DONE


def _chunk_object(whole: dict[str, Any]) -> str:
    try:
        return _CHUNK_OBJECTS[whole["object"]]
    except KeyError:
        raise ValueError("only completions are streamed") from None


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(chunk)


def _parts(choice: dict[str, Any], piece: int) -> Iterator[dict[str, Any]]:
    """A choice as the choices of chunks: its texts, and what goes with the last of them."""
    index = choice.get("index", 0)
    rest = {
        name: value
        for name, value in choice.items()
        if name not in ("index", "message", "text", "logprobs", "finish_reason")
    }
    logprobs = choice.get("logprobs")
    if logprobs is not None:
        piece = sys.maxsize  # tokens need not end where characters do
    if "message" in choice:
        spoken: Iterator[dict[str, Any]] = ({"delta": delta} for delta in _deltas(choice["message"], piece))
        last: dict[str, Any] = {"delta": {}}
    else:
        spoken = ({"text": text} for text in _pieces(choice.get("text") or "", piece))
        last = {"text": ""}
    said = next(spoken, None)
    while said is not None:
        following = next(spoken, None)
        ending = {"logprobs": logprobs} if following is None and "logprobs" in choice else {}
        yield {"index": index, **said, **ending, "finish_reason": None}
        said = following
    yield {"index": index, **last, "finish_reason": choice.get("finish_reason"), **rest}


def _deltas(message: dict[str, Any], piece: int) -> Iterator[dict[str, Any]]:
    """The first one opens every member that is null or no text; then the texts, in the order in which they stand."""
    first = {"role": message.get("role") or "assistant"}
    texts = {}
    for name, value in message.items():
        if name == "role":
            continue
        if isinstance(value, str) and value:
            texts[name] = value
            first |= {name: ""} if name == "content" else {}
        else:
            first[name] = _numbered(value) if name == "tool_calls" and isinstance(value, list) else value
    yield first
    for name in sorted(texts, key=lambda name: name == "content"):  # what was thought comes before what is said
        for text in _pieces(texts[name], piece):
            yield {name: text}


def _numbered(calls: list[Any]) -> list[Any]:
    return [{"index": index, **call} if isinstance(call, dict) else call for index, call in enumerate(calls)]


def _pieces(text: str, piece: int) -> Iterator[str]:
    for start in range(0, len(text), piece):
        yield text[start : start + piece]
