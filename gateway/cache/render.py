"""A kept document as an answer: JSON or a stream, whichever was asked for, with an id and a time of its own.

To the SDKs it is equal to the first answer. Texts are cut; whatever else there is goes out as it was written, so that no number
changes. The ids of tool calls stay: the client sends them back in its next call, and with
fresh ones no later call of such a conversation would ever be found again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Raw

DONE = b"data: [DONE]\n\n"
_members = msgspec.json.Decoder(dict[str, Raw]).decode
_items = msgspec.json.Decoder(list[Raw]).decode
_text = msgspec.json.Decoder(str).decode
Members = dict[str, object]
"""What is said of anything: text, numbers, and Raw where it stays as it was written."""
_CHUNK_OBJECTS = {"chat.completion": "chat.completion.chunk", "text_completion": "text_completion"}
_PLACE = frozenset({"id", "created", "object", "choices", "usage"})


def fresh_json(document: bytes, *, id: str, created: int) -> bytes:
    """The answer in one piece, every other member as it was written. `created` is UTC seconds."""
    whole: Members = {**_members(document)}
    if "id" in whole or "choices" in whole:
        whole["id"] = id
    if "created" in whole or "choices" in whole:
        whole["created"] = created
    return msgspec.json.encode(whole)


def fresh_events(document: bytes, *, id: str, created: int, wants_usage: bool, piece: int = 64) -> Iterator[bytes]:
    """The answer as events, the last being [DONE]; texts come in pieces of that many characters, and the usage has cost nothing.

    Raises ValueError for a document that is no completion.
    """
    whole = _members(document)
    head: Members = {"id": id, "object": _chunk_object(whole), "created": created}
    head |= {name: value for name, value in whole.items() if name not in _PLACE}
    for choice in _items(whole["choices"]):
        for part in _parts(_members(choice), piece):
            yield _event({**head, "choices": [part]})
    usage = whole.get("usage")
    if wants_usage and usage is not None and _begins(usage, b"{"):
        yield _event({**head, "choices": [], "usage": {"cost_usd": 0, **_members(usage)}})
    yield DONE


def _chunk_object(whole: Mapping[str, Raw]) -> str:
    try:
        return _CHUNK_OBJECTS[_text(whole["object"])]
    except (KeyError, msgspec.ValidationError):
        raise ValueError("only completions are streamed") from None


def _event(chunk: Members) -> bytes:
    return b"data: %b\n\n" % msgspec.json.encode(chunk)


def _begins(value: Raw, first: bytes) -> bool:
    """By which it is told an object from a list from a text."""
    return bytes(memoryview(value)[:1]) == first


def _is_null(value: Raw | None) -> bool:
    return value is None or bytes(value) == b"null"


def _parts(choice: Mapping[str, Raw], piece: int) -> Iterator[Members]:
    """A choice as the choices of chunks: its texts, and what goes with the last of them."""
    index = choice.get("index", 0)
    rest = {
        name: value
        for name, value in choice.items()
        if name not in ("index", "message", "text", "logprobs", "finish_reason")
    }
    logprobs = choice.get("logprobs")
    if not _is_null(logprobs):
        piece = sys.maxsize  # tokens need not end where characters do
    if "message" in choice:
        spoken: Iterator[Members] = ({"delta": delta} for delta in _deltas(_members(choice["message"]), piece))
        last: Members = {"delta": {}}
    else:
        text = choice.get("text")
        whole = "" if text is None or _is_null(text) else _text(text)
        spoken = ({"text": some} for some in _pieces(whole, piece))
        last = {"text": ""}
    said, is_opening = next(spoken, None), "message" in choice
    beside = {"logprobs": logprobs} if "logprobs" in choice else {}
    while said is not None:
        following = next(spoken, None)
        ending = beside if following is None and not is_opening else {}  # the SDK counts those of an opening twice
        beside = {} if ending else beside
        yield {"index": index, **said, **ending, "finish_reason": None}
        said, is_opening = following, False
    yield {"index": index, **last, **beside, "finish_reason": choice.get("finish_reason"), **rest}


def _deltas(message: Mapping[str, Raw], piece: int) -> Iterator[Members]:
    """The first one opens every member that is null or no text; then the texts, in the order in which they stand."""
    role = message.get("role")
    first: Members = {"role": "assistant" if role is None or _is_null(role) else role}
    texts = {}
    for name, value in message.items():
        if name == "role":
            continue
        if _begins(value, b'"') and (text := _text(value)):
            texts[name] = text
            first |= {name: ""} if name == "content" else {}
        else:
            first[name] = _numbered(value) if _begins(value, b"[") else value
    yield first
    for name in sorted(texts, key=lambda name: name == "content"):  # what was thought comes before what is said
        for text in _pieces(texts[name], piece):
            yield {name: text}


def _numbered(items: Raw) -> list[object]:
    """In a stream, what is in a list is known by its index: calls of tools, annotations, whatever else."""
    return [
        {"index": index, **_members(item)} if _begins(item, b"{") else item for index, item in enumerate(_items(items))
    ]


def _pieces(text: str, piece: int) -> Iterator[str]:
    for start in range(0, len(text), piece):
        yield text[start : start + piece]
