"""The client's own request, spliced: the gateway keeps what is to be kept, and so the provider keeps nothing.

Reasoning then goes on from what is sealed in its items. An item that is not sealed, or that somebody else has sealed, would be
refused, and is left out, as is what other providers want to see again with a call.
"""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from gateway.core.deployment import Deployment
from gateway.upstream.dialects.responses.thinking import MARK

SEALED = "reasoning.encrypted_content"
_TO_CLEAN = (b'"reasoning"', b'"extra_content"')
_OWN_FIELD = "llmgw"

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_item = msgspec.json.Decoder(dict[str, Any]).decode


def native_body(native: bytes, deployment: Deployment, cap: int | None) -> bytes:
    """Every value that is not named here stays as it was written. `cap` takes the place of the client's own."""
    sent = _members(native)
    sent["model"] = msgspec.Raw(msgspec.json.encode(deployment.upstream_model))
    if cap is not None:
        sent["max_output_tokens"] = msgspec.Raw(b"%d" % cap)
    if bytes(sent.get("store", b"null")) != b"false":
        sent["store"] = msgspec.Raw(b"false")
    if bytes(sent.get("reasoning", b"null")) != b"null":
        sent["include"] = _including(sent.get("include"))
    items = sent.get("input")
    if items is not None and any(mark in memoryview(items).tobytes() for mark in _TO_CLEAN):
        sent["input"] = _cleaned(items)
    parts = [b"%b:%b" % (msgspec.json.encode(name), bytes(value)) for name, value in sent.items() if name != _OWN_FIELD]
    return b"{" + b",".join(parts) + b"}"


def is_sealed(item: dict[str, Any]) -> bool:
    """Whether this reasoning was sealed by a provider of this dialect."""
    seal = item.get("encrypted_content")
    return isinstance(seal, str) and not seal.startswith(MARK)


def _including(include: msgspec.Raw | None) -> msgspec.Raw:
    asked = None if include is None else orjson.loads(bytes(include))
    if include is not None and isinstance(asked, list) and SEALED in asked:
        return include
    return msgspec.Raw(msgspec.json.encode([*(asked or ()), SEALED]))


def _cleaned(items: msgspec.Raw) -> msgspec.Raw:
    if not bytes(items).startswith(b"["):
        return items
    told = []
    for raw in _items(items):
        text = bytes(raw)
        if not any(mark in text for mark in _TO_CLEAN):
            told.append(text)
            continue
        item = _item(text)
        if item.get("type") == "reasoning" and not is_sealed(item):
            continue
        if item.pop("extra_content", None) is not None:
            text = msgspec.json.encode(item)
        told.append(text)
    return msgspec.Raw(b"[" + b",".join(told) + b"]")
