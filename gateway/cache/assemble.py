"""A recorded stream made into the document that the same call would have been answered with, had it not been a stream.

Deltas are joined as the OpenAI SDKs join them. A stream that holds something we cannot join for certain gives no document, and
so is not kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from math import isfinite
from typing import Any

import orjson

_OBJECTS = {"chat.completion.chunk": "chat.completion", "text_completion": "text_completion"}
_ONCE = frozenset({"id", "type", "role", "format", "signature"})
"""Members of a delta that are said once, or again and again; never in pieces."""

_MOST_DIGITS = 20
_PADDING = "obfuscation"
_LONG_NUMBER = re.compile(rb"[0-9][0-9.]{14}|[0-9][eE][+-]?[0-9]")
"""Found wherever a number may not be the same when it is read and written again."""


class _Unclear(ValueError):
    """There is no one way to join this."""


def assemble(stream: bytes) -> dict[str, Any] | None:
    """The document of a whole recorded stream of server-sent events, or None if it is not whole or cannot be joined."""
    try:
        chunks = list(_chunks(stream))
        return _document(chunks) if chunks else None
    except (_Unclear, orjson.JSONDecodeError):
        return None


def _chunks(stream: bytes) -> Iterator[dict[str, Any]]:
    """Raises _Unclear where the stream is not whole: its last data must be [DONE]."""
    is_done = False
    for event in stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
        lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
        if not lines:
            continue
        data = b"\n".join(lines)
        if is_done:
            raise _Unclear
        if data.strip() == b"[DONE]":
            is_done = True
            continue
        chunk = orjson.loads(data)
        if _LONG_NUMBER.search(data):
            json.loads(data, parse_int=_check_integer, parse_float=_check_number)
        if not isinstance(chunk, dict) or chunk.get("error"):
            raise _Unclear
        yield chunk
    if not is_done:
        raise _Unclear


def _check_integer(digits: str) -> int:
    """Raises _Unclear where orjson would make another number of it."""
    number = int(digits) if len(digits) <= _MOST_DIGITS else 2**64
    if not -(2**63) <= number < 2**64:
        raise _Unclear
    return number


def _check_number(text: str) -> float:
    number = float(text)
    if not isfinite(number) or Decimal(repr(number)) != Decimal(text):
        raise _Unclear
    return number


def _document(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        for name, value in chunk.items():
            if name == "choices":
                for part in value or ():
                    _join_choice(choices, part)
            elif name != _PADDING and (value is not None or name not in document):
                document[name] = value
    if document.get("object") not in _OBJECTS or not choices:
        raise _Unclear
    document["object"] = _OBJECTS[document["object"]]
    document["choices"] = [_finish(choices[index]) for index in sorted(choices)]
    return document


def _join_choice(choices: dict[int, dict[str, Any]], part: Any) -> None:
    if not isinstance(part, dict) or type(index := part.get("index", 0)) is not int:
        raise _Unclear
    choice = choices.setdefault(index, {"index": index})
    for name, value in part.items():
        if name == "delta":
            _join(choice.setdefault("message", {}), value or {})
        elif name == "text":
            choice["text"] = choice.get("text", "") + (value or "")
        elif name == "logprobs" and value is not None:
            choice["logprobs"] = _with_more(choice.get("logprobs"), value)
        elif name != "index" and (value is not None or name not in choice):
            choice[name] = value


def _join(whole: Any, delta: Any) -> None:
    if not isinstance(whole, dict) or not isinstance(delta, dict):
        raise _Unclear
    for name, value in delta.items():
        before = whole.get(name)
        if value is None:
            whole.setdefault(name, None)
        elif isinstance(value, str):
            whole[name] = _with_text(name, before, value)
        elif isinstance(value, dict):
            _join(before if before is not None else _begin(whole, name), value)
        elif isinstance(value, list):
            _join_list(before if before is not None else _begin_list(whole, name), value)
        elif name == "index" or before is None or before == value:
            whole[name] = value
        else:
            raise _Unclear


def _with_text(name: str, before: Any, value: str) -> str:
    if before is None or (name in _ONCE and (before == value or not before)):
        return value
    if not isinstance(before, str) or (name in _ONCE and value):
        raise _Unclear
    return before + value


def _begin(whole: dict[str, Any], name: str) -> dict[str, Any]:
    begun: dict[str, Any] = {}
    whole[name] = begun
    return begun


def _begin_list(whole: dict[str, Any], name: str) -> list[Any]:
    begun: list[Any] = []
    whole[name] = begun
    return begun


def _join_list(whole: Any, items: list[Any]) -> None:
    """Items are known by their index, as tool calls are."""
    if not isinstance(whole, list):
        raise _Unclear
    for item in items:
        if not isinstance(item, dict) or type(index := item.get("index")) is not int:
            raise _Unclear
        known = next((one for one in whole if one["index"] == index), None)
        if known is None:
            whole.append(known := {})
        _join(known, item)


def _with_more(before: Any, logprobs: Any) -> dict[str, Any]:
    """Lists of tokens are continued; nothing else is known to be in there."""
    if not isinstance(logprobs, dict):
        raise _Unclear
    joined = dict(before or {})
    for name, value in logprobs.items():
        if value is None:
            joined.setdefault(name, None)
        elif isinstance(value, list):
            joined[name] = [*(joined.get(name) or []), *value]
        else:
            raise _Unclear
    return joined


def _finish(choice: dict[str, Any]) -> dict[str, Any]:
    choice.setdefault("finish_reason", None)
    message = choice.get("message")
    if message is None:
        return choice
    message.setdefault("role", "assistant")
    message.setdefault("content", None)
    for value in message.values():
        if isinstance(value, list):
            value.sort(key=lambda item: item["index"])
            for item in value:
                del item["index"]
    return choice
