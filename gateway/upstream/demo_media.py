"""What the demo provider answers where no text is generated: small, valid, and the same for the same question."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import orjson

JSON = b"application/json"
_EVENTS = b"text/event-stream"
_RATE = 8000
_HEARD = "This is the demo provider of llmgw. It hears nothing."
_WORDS_OF_A_FORM = re.compile(rb'name="(\w+(?:\[\])?)"\r\n(?:[^\r\n]+\r\n)*\r\n(.*?)\r\n--', re.DOTALL)
_BAD_WORD = "violence"


def answer(path: bytes, body: bytes) -> tuple[bytes, Iterator[bytes]] | None:
    """A content type and the pieces of a body; None for other paths."""
    name = path.removeprefix(b"/").decode()
    is_form = name in ("images/edits", "images/variations", "audio/transcriptions", "audio/translations")
    if is_form:
        fields: Mapping[str, Any] = {
            key.decode(): value.decode("utf-8", "replace") for key, value in _WORDS_OF_A_FORM.findall(body)
        }
    elif name in ("moderations", "rerank", "images/generations", "audio/speech"):
        fields = orjson.loads(body)
    else:
        return None
    match name:
        case "moderations":
            return JSON, iter([orjson.dumps(_moderation(fields))])
        case "rerank":
            return JSON, iter([orjson.dumps(_rerank(fields))])
        case "audio/speech":
            return b"audio/wav", _wav(len(str(fields.get("input"))))
        case "audio/transcriptions" | "audio/translations":
            return _transcript(fields, len(body))
        case _:
            return _images(fields)


def _moderation(fields: Mapping[str, Any]) -> dict[str, Any]:
    given = fields["input"]
    texts = given if isinstance(given, list) else [given]
    results = []
    for text in texts:
        is_bad = _BAD_WORD in str(text)
        results.append(
            {
                "flagged": is_bad,
                "categories": {_BAD_WORD: is_bad},
                "category_scores": {_BAD_WORD: 1.0 if is_bad else 0.0},
                "category_applied_input_types": {_BAD_WORD: ["text"]},
            }
        )
    return {"id": "modr-" + _digest(fields), "model": fields["model"], "results": results}


def _rerank(fields: Mapping[str, Any]) -> dict[str, Any]:
    """By the words that a document shares with the query."""
    wanted = set(str(fields["query"]).lower().split())
    scores = []
    for index, document in enumerate(fields["documents"]):
        words = set(str(document.get("text") if isinstance(document, dict) else document).lower().split())
        scores.append((len(wanted & words) / max(1, len(wanted)), -index))
    best = sorted(scores, reverse=True)[: int(fields.get("top_n") or len(scores))]
    results = [{"index": -place, "relevance_score": score} for score, place in best]
    searches = max(1, -(-len(scores) // 100))
    return {"id": _digest(fields), "results": results, "meta": {"billed_units": {"search_units": searches}}}


def _images(fields: Mapping[str, Any]) -> tuple[bytes, Iterator[bytes]]:
    colour = hashlib.sha256(str(fields.get("prompt")).encode("utf-8", "replace")).digest()[:3]
    picture = base64.b64encode(_png(colour)).decode()
    usage = {
        "input_tokens": 10,
        "output_tokens": 1,
        "total_tokens": 11,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 0},
    }
    if fields.get("stream") in (True, "true"):
        partial = {"type": "image_generation.partial_image", "b64_json": picture, "partial_image_index": 0}
        last = {"type": "image_generation.completed", "b64_json": picture, "usage": usage}
        return _EVENTS, iter([_event(partial), _event(last)])
    data = [{"b64_json": picture} for _ in range(int(fields.get("n") or 1))]
    return JSON, iter([orjson.dumps({"created": 1_700_000_000, "data": data, "usage": usage})])


def _transcript(fields: Mapping[str, Any], size: int) -> tuple[bytes, Iterator[bytes]]:
    usage = {"type": "duration", "seconds": max(1, size // (2 * _RATE))}
    if fields.get("stream") == "true":
        deltas = [_event({"type": "transcript.text.delta", "delta": word}) for word in re.findall(r" ?\S+", _HEARD)]
        return _EVENTS, iter([*deltas, _event({"type": "transcript.text.done", "text": _HEARD, "usage": usage})])
    if fields.get("response_format") in ("text", "srt", "vtt"):
        return b"text/plain; charset=utf-8", iter([_HEARD.encode() + b"\n"])
    return JSON, iter([orjson.dumps({"text": _HEARD, "usage": usage})])


def _event(told: Mapping[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (told["type"].encode(), orjson.dumps(told))


def _wav(characters: int) -> Iterator[bytes]:
    """Silence: a tenth of a second for each character, half a minute at the most."""
    size = min(characters, 300) * _RATE // 10 * 2
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, _RATE, 2 * _RATE, 2, 16, b"data", size
    )
    yield head
    for at in range(0, size, 4096):
        yield bytes(min(4096, size - at))


def _png(colour: bytes) -> bytes:
    """One pixel."""

    def chunk(kind: bytes, told: bytes) -> bytes:
        return struct.pack(">I", len(told)) + kind + told + struct.pack(">I", zlib.crc32(kind + told))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" + colour)) + chunk(b"IEND", b"")


def _digest(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(fields)).hexdigest()[:24]
