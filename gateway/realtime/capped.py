"""The output cap that is written into a session where a budget must not be run past: no more is made than was held for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.realtime.context import CAPS, cap_of
from gateway.realtime.events import Event


def capped(message: bytes, event: Event, cap: int) -> bytes:
    """The client's message, with the cap where it begins a response without one, or would lift the session's."""
    if event.type == "response.create" and cap_of(event.part("response")) is None:
        return _with(message, "response", {"max_output_tokens": cap})
    if event.type == "session.update":
        lifted = _lifted(event.part("session"))
        return _with(message, "session", dict.fromkeys(lifted, cap)) if lifted else message
    return message


def update(event: Event, cap: int) -> bytes | None:
    """What the gateway itself says to a provider whose session has begun without a cap, in the words of its age; else None."""
    lifted = _lifted(event.part("session")) if event.type == "session.created" else []
    if not lifted:
        return None
    kind = {"type": "realtime"} if lifted[0] == CAPS[0] else {}
    return orjson.dumps({"type": "session.update", "session": {**kind, **dict.fromkeys(lifted, cap)}})


def _lifted(settings: Mapping[str, Any]) -> list[str]:
    """The caps that are named and are none."""
    return [name for name in CAPS if name in settings and cap_of({name: settings[name]}) is None]


def _with(message: bytes, place: str, members: Mapping[str, int]) -> bytes:
    fields = orjson.loads(message)
    inner = fields.get(place)
    fields[place] = {**(inner if isinstance(inner, dict) else {}), **members}
    return orjson.dumps(fields)
