"""What clients and providers say in a session, as far as the gateway acts on it; everything else is passed on unread."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from gateway.core.errors import GatewayError, InvalidRequest


class Event(msgspec.Struct):
    """Of either side. What is not of the type it should be is taken for absent."""

    type: Any = None
    event_id: Any = None
    session: Any = None
    response: Any = None
    error: Any = None
    usage: Any = None
    item: Any = None
    audio: Any = None
    delta: Any = None
    response_id: Any = None
    item_id: Any = None

    def part(self, name: str) -> Mapping[str, Any]:
        value = getattr(self, name)
        return value if isinstance(value, dict) else {}


_decoder = msgspec.json.Decoder(Event)


def read(message: bytes) -> Event:
    """Raises InvalidRequest for what is no event."""
    try:
        return _decoder.decode(message)
    except (msgspec.DecodeError, RecursionError):
        raise InvalidRequest("the message is not a JSON object", code="invalid_json") from None


def checked(message: bytes, event: Event, *, model: str, upstream_model: str) -> bytes:
    """The message as it is to be sent: untouched, unless it names the model, which providers know by another name.

    Raises InvalidRequest for what has no type, and where it names another model than the session's: who may ask for which is the
    policy's to say.
    """
    if not isinstance(event.type, str) or not event.type:
        raise InvalidRequest("an event has a type", code="missing_required_parameter", param="type")
    for place in ("session", "response"):
        named = event.part(place).get("model")
        if named is None:
            continue
        if named not in (model, upstream_model):
            raise InvalidRequest(
                "the model of a session is the one that its URL names", code="model_not_allowed", param=f"{place}.model"
            )
        if named != upstream_model:
            fields = orjson.loads(message)
            fields[place]["model"] = upstream_model
            message = orjson.dumps(fields)
    return message


def error_event(error: GatewayError, event_id: object = None) -> bytes:
    """In the shape of OpenAI's; `event_id` is the client's event that it is about."""
    fields = {"type": error.type, "code": error.code, "message": error.message[:512], "param": error.param}
    about = event_id if isinstance(event_id, str) else None
    id = f"event_{secrets.token_hex(12)}"
    return orjson.dumps({"type": "error", "event_id": id, "error": {**fields, "event_id": about}})
