"""The requests: a path for each operation, and bodies in Gemini's terms."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from gateway.core.call import Call, Operation
from gateway.core.errors import InvalidRequest
from gateway.upstream.dialects.dialect import Outgoing
from gateway.upstream.dialects.gemini import generation
from gateway.upstream.dialects.gemini.contents import Contents
from gateway.upstream.dialects.members import Members

_encode = msgspec.json.Encoder().encode


def request(call: Call, model: str, cap: int | None) -> Outgoing:
    """Raises InvalidRequest for what Gemini cannot do at all."""
    dropped: list[str] = []
    fields = Members(call.fields, "", dropped)
    for name in ("model", "stream", "stream_options", "llmgw"):
        fields.any(name)
    if call.operation is Operation.EMBEDDINGS:
        method, body = "batchEmbedContents", _embeddings(fields, model)
    elif call.operation is Operation.CHAT:
        method = "streamGenerateContent?alt=sse" if call.stream else "generateContent"
        body = _chat(fields, model, cap)
    else:
        raise InvalidRequest("this model answers chats, not completions", code="unsupported_operation")
    fields.close()
    return Outgoing(f"{_resource(model)}:{method}", _encode(body), dropped=tuple(dropped))


def _resource(model: str) -> str:
    """`/models/gemini-2.5-flash`; a tuned model already says which collection it is of. Raises InvalidRequest."""
    if {"", ".", ".."} & {*model.split("/")}:
        raise InvalidRequest("this is not the name of a model", code="model_not_found", param="model")
    return "/" + quote(model if "/" in model else f"models/{model}", safe="/")


def _chat(fields: Members, model: str, cap: int | None) -> dict[str, Any]:
    contents = Contents(signs=generation.generation(model) >= 3)
    for index, message in enumerate(fields.list("messages")):
        contents.add(fields.item("messages", index, message))
    contents.end()
    body: dict[str, Any] = {"contents": contents.turns}
    if contents.system:
        body["systemInstruction"] = {"parts": contents.system}
    if tools := generation.tools(fields):
        body["tools"] = tools
    if choice := generation.tool_config(fields):
        body["toolConfig"] = choice
    if config := generation.config(fields, model, cap):
        body["generationConfig"] = config
    for name in ("safety_settings", "safetySettings"):
        if settings := fields.list(name):
            body["safetySettings"] = settings
    fields.ignore("parallel_tool_calls", True)
    fields.ignore("store", False)
    fields.ignore("service_tier", "auto", "default")
    return body


def _embeddings(fields: Members, model: str) -> dict[str, Any]:
    written = fields.any("input")
    texts = [written] if isinstance(written, str) else written
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        raise InvalidRequest("this model embeds texts, not tokens", code="invalid_value", param="input")
    more: dict[str, Any] = {}
    if (size := fields.number("dimensions")) is not None:
        more["outputDimensionality"] = size
    fields.any("encoding_format")  # the answer's, which is ours to write
    name = model if "/" in model else f"models/{model}"
    return {"requests": [{"model": name, "content": {"parts": [{"text": text}]}, **more} for text in texts]}
