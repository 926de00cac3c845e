"""The shape of a chat's messages: roles, contents, and tool calls that are followed by their results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gateway.core.errors import InvalidRequest

MAX_MESSAGES = 2048

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_NAME = re.compile(r"[^\s<|\\/>\x00-\x1f]{1,64}")
_PART_FEATURES = {"image_url": "image", "video_url": "image", "input_audio": "audio", "file": "file"}
_PARTS = frozenset({"text", "refusal", *_PART_FEATURES})
_NONE: frozenset[str] = frozenset()


def features(fields: Mapping[str, Any]) -> frozenset[str]:
    """Checks `messages` and names what their contents use (`image`, `audio`, `file`). Raises InvalidRequest."""
    messages = fields.get("messages")
    if not isinstance(messages, list):
        raise InvalidRequest("messages must be an array", code="missing_required_parameter", param="messages")
    if not messages:
        raise InvalidRequest("messages must not be empty", code="empty_array", param="messages")
    if len(messages) > MAX_MESSAGES:
        raise InvalidRequest(f"at most {MAX_MESSAGES} messages", code="too_many_messages", param="messages")
    found: set[str] = set()
    sequence = _Sequence()
    for index, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        if not isinstance(role, str) or role not in _ROLES:
            raise _invalid(f"messages[{index}].role", f"must be one of {', '.join(sorted(_ROLES))}")
        sequence.take(message, index)
        content = message.get("content")
        if not isinstance(content, str):
            _content(content, message, index, found)
        if "name" in message:
            _name(message["name"], index)
    sequence.end()
    return frozenset(found) if found else _NONE


class _Sequence:
    """Tool calls and the results that must follow them."""

    def __init__(self) -> None:
        self._awaited: set[str] = set()
        self._asked_at = 0

    def take(self, message: Mapping[str, Any], index: int) -> None:
        if message["role"] == "tool":
            id = message.get("tool_call_id")
            if not isinstance(id, str) or id not in self._awaited:
                raise _disorder(f"messages[{index}]", "its tool_call_id answers no call of the message before")
            self._awaited.remove(id)
        elif self._awaited:
            self.end()
        if message["role"] == "assistant" and (calls := message.get("tool_calls")):
            self._awaited, self._asked_at = _tool_calls(calls, index), index

    def end(self) -> None:
        if self._awaited:
            raise _disorder(f"messages[{self._asked_at}].tool_calls", "a tool call is not followed by its result")


def _content(content: Any, message: Mapping[str, Any], index: int, found: set[str]) -> None:
    where = f"messages[{index}].content"
    if content is None:
        if message["role"] in ("assistant", "function"):
            return
        raise _invalid(where, "must not be null")
    if not isinstance(content, list) or not content:
        raise _invalid(where, "must be a string or a non-empty array of parts")
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(kind, str) or kind not in _PARTS:
            raise _invalid(where, "holds a part whose type is not known")
        if kind in _PART_FEATURES:
            found.add(_PART_FEATURES[kind])


def _tool_calls(calls: Any, index: int) -> set[str]:
    where = f"messages[{index}].tool_calls"
    if not isinstance(calls, list):
        raise _invalid(where, "must be an array")
    ids = {id for call in calls if isinstance(call, dict) and isinstance(id := call.get("id"), str) and id}
    if len(ids) != len(calls):
        raise _invalid(where, "must be objects with an id each, all different")
    return ids


def _name(name: Any, index: int) -> None:
    if name is not None and (not isinstance(name, str) or not _NAME.fullmatch(name)):
        raise _invalid(f"messages[{index}].name", "must have 1 to 64 characters and no spaces")


def _invalid(where: str, what: str) -> InvalidRequest:
    return InvalidRequest(f"{where} {what}", code="invalid_value", param=where)


def _disorder(where: str, what: str) -> InvalidRequest:
    return InvalidRequest(f"{where}: {what}", code="invalid_tool_sequence", param=where)
