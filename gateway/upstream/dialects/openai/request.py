"""The request, spliced from the client's own bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec
import orjson

from gateway.core.call import TEXT, Call, Operation
from gateway.core.deployment import Deployment
from gateway.upstream.dialects.openai.carried import carried

PATHS = {
    Operation.CHAT: "/chat/completions",
    Operation.COMPLETION: "/completions",
    Operation.EMBEDDINGS: "/embeddings",
    Operation.MODERATION: "/moderations",
    Operation.RERANK: "/rerank",
    Operation.IMAGE: "/images/generations",
    Operation.IMAGE_EDIT: "/images/edits",
    Operation.IMAGE_VARIATION: "/images/variations",
    Operation.SPEECH: "/audio/speech",
    Operation.TRANSCRIPTION: "/audio/transcriptions",
    Operation.TRANSLATION: "/audio/translations",
}
"""Where an operation is served, below the provider's base URL."""

_OWN_FIELD = "llmgw"

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw])


_CAPS = ("max_completion_tokens", "max_tokens")


def request_body(
    call: Call, deployment: Deployment, cap: int | None = None, *, dropped: list[str] | None = None
) -> bytes:
    """The client's JSON with the provider's model name, usage asked for on streams, and our own field taken out.

    `cap` is the output cap to be written, in the field that the provider reads and in the place of the client's own.

    What other dialects' answers have left in a chat goes, too, and its names are added to `dropped`. Every other value stays as
    it was written, byte for byte.
    """
    if call.form is not None:
        begin, end = call.form.model
        return b"%b%b%b" % (call.body[:begin], deployment.upstream_model.encode(), call.body[end:])
    changes: dict[str, bytes | msgspec.Raw] = {}
    if deployment.upstream_model != call.model:
        changes["model"] = orjson.dumps(deployment.upstream_model)
    if call.stream and call.operation in TEXT and not call.wants_usage and deployment.provider.stream_usage:
        options = call.fields.get("stream_options") or {}
        changes["stream_options"] = json.dumps({**options, "include_usage": True}, separators=(",", ":")).encode()
    if cap is not None:
        field = deployment.provider.output_cap if call.operation is Operation.CHAT else "max_tokens"
        changes[field] = b"%d" % cap
    if call.operation is Operation.CHAT and (written := _messages(call, deployment, dropped)) is not None:
        changes["messages"] = written
    if _OWN_FIELD not in call.fields and changes.keys().isdisjoint(call.fields) and not _is_capped_twice(call, cap):
        return _with_members(call.body, changes) if changes else call.body
    parts = []
    for name, value in _members.decode(call.body).items():
        if name != _OWN_FIELD and (cap is None or name not in _CAPS or name in changes):
            parts.append(b"%b:%b" % (orjson.dumps(name), changes.pop(name, value)))
    parts += [b"%b:%b" % (orjson.dumps(name), value) for name, value in changes.items()]
    return b"{" + b",".join(parts) + b"}"


def _messages(call: Call, deployment: Deployment, dropped: list[str] | None) -> bytes | None:
    """None: they stay as they are."""
    changed, lost = carried(call.fields.get("messages", ()), deployment)
    if not changed:
        return None
    if dropped is not None:
        dropped += lost
    written = _list.decode(_members.decode(call.body)["messages"])
    return (
        b"[" + b",".join([orjson.dumps(changed[n]) if n in changed else bytes(w) for n, w in enumerate(written)]) + b"]"
    )


def _with_members(body: bytes, members: Mapping[str, bytes | msgspec.Raw]) -> bytes:
    """The object with further members at its end; it has one at least, the model."""
    added = b"".join([b',"%b":%b' % (name.encode(), value) for name, value in members.items()])
    return b"%b%b}" % (body[: body.rindex(b"}")], added)


def _is_capped_twice(call: Call, cap: int | None) -> bool:
    """Whether the client's own cap has to go, for ours is written."""
    return cap is not None and not call.fields.keys().isdisjoint(_CAPS)
