"""Gemini's embeddings in OpenAI's terms."""

from __future__ import annotations

import base64
import struct
from typing import Any

import msgspec

from gateway.core.call import Call
from gateway.core.errors import Unavailable
from gateway.upstream.dialects.gemini.answer import NOTHING
from gateway.upstream.dialects.gemini.usage import read_usage


class _Embedding(msgspec.Struct):
    values: list[float]


class _Embeddings(msgspec.Struct, rename="camel"):
    embeddings: list[_Embedding]
    usage_metadata: msgspec.Raw = NOTHING


_decode = msgspec.json.Decoder(_Embeddings).decode


class Embeddings:
    """Implements `dialects.dialect.Translation` for embeddings, which come whole."""

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        self._call = call

    def feed(self, data: bytes) -> bytes:
        raise Unavailable("embeddings are no stream", code="upstream_invalid_response", retriable=False)

    def end(self) -> bytes:
        return b""

    def whole(self, body: bytes) -> bytes:
        try:
            answer = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            text = "the provider's answer has no embeddings"
            raise Unavailable(text, code="upstream_invalid_response", retriable=False) from None
        write = _packed if self._call.fields.get("encoding_format") == "base64" else list
        vectors = [
            {"object": "embedding", "index": index, "embedding": write(each.values)}
            for index, each in enumerate(answer.embeddings)
        ]
        told: dict[str, Any] = {"object": "list", "data": vectors, "model": self._call.model}
        counted = read_usage(answer.usage_metadata)
        count = counted.prompt_token_count if counted is not None else None
        if count is not None:
            told["usage"] = {"prompt_tokens": count, "total_tokens": count}
        return msgspec.json.encode(told)

    def unfinished(self, body: bytes) -> bytes:
        return b"{}"

    def closing(self) -> bytes:
        return b""


def _packed(values: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
