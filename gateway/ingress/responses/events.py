"""The events of one response: numbered in their order, and gathered until they are sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class Events:
    __slots__ = ("_number", "_told")

    def __init__(self, number: int = 0) -> None:
        """`number` of the first one."""
        self._number = number
        self._told: list[bytes] = []

    def tell(self, kind: str, members: Mapping[str, Any]) -> None:
        """`kind` is the event's type, without its `response.`."""
        self._add(f"response.{kind}", members)

    def error(self, members: Mapping[str, Any]) -> None:
        self._add("error", members)

    def take(self) -> bytes:
        """What was told since the last time."""
        told = b"".join(self._told)
        self._told.clear()
        return told

    def _add(self, name: str, members: Mapping[str, Any]) -> None:
        event = msgspec.json.encode({"type": name, "sequence_number": self._number, **members})
        self._number += 1
        self._told.append(b"event: %b\ndata: %b\n\n" % (name.encode(), event))
