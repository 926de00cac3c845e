"""Server-sent events: complete events cut out of bytes that arrive in any pieces, passed on as they were written."""

from __future__ import annotations

import re

from gateway.core.errors import Broken

MAX_EVENT = 256 * 1024
MAX_DOCUMENT = 16 * 1024 * 1024
"""Bytes of an event where one may tell the whole answer, and what was asked, once more."""
_MARK = b"\xef\xbb\xbf"

_BOUNDARY = re.compile(rb"\r\n\r\n|\n\n|\r\r|\r\n\n|\n\r\n|\r\r\n|\n\r")
_LINE = re.compile(rb"\r\n|\n|\r")


class Splitter:
    """Feed it bytes; it gives back all complete events so far as one block, and keeps the rest."""

    __slots__ = ("_limit", "_rest", "_started")

    def __init__(self, *, limit: int = MAX_EVENT) -> None:
        """`limit`: bytes of the largest event."""
        self._limit = limit
        self._rest = bytearray()
        self._started = False

    def feed(self, data: bytes) -> bytes:
        """The complete events, still as bytes, or b"" when none is. Raises Broken on one that is too large."""
        if not self._started:
            data = self._without_mark(data)
        rest = self._rest
        if not rest and data.endswith(b"\n\n"):
            return data
        seen = max(0, len(rest) - 3)  # a blank line may have begun there; what stands before was searched already
        rest += data
        end = _last_boundary(rest, seen)
        if len(rest) - end > self._limit:
            raise Broken("the provider sent an event that is too large", code="upstream_too_large")
        block = bytes(rest[:end])
        del rest[:end]
        return block

    def end(self) -> bytes:
        """What was left when the stream ended; an event that lacks its blank line is complete only if its data is."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest

    def _without_mark(self, data: bytes) -> bytes:
        """The beginning of the stream without a byte order mark, whose bytes may come one by one."""
        begun = bytes(self._rest) + data
        self._rest.clear()
        if len(begun) < len(_MARK) and _MARK.startswith(begun):
            self._rest += begun
            return b""
        self._started = True
        return begun.removeprefix(_MARK)


def events(block: bytes) -> list[bytes]:
    """The events of a block, each with the blank line that ends it."""
    if b"\r" not in block:
        *whole, rest = block.split(b"\n\n")
        return [event + b"\n\n" for event in whole] + ([rest] if rest else [])
    parts = []
    start = 0
    for boundary in _BOUNDARY.finditer(block):
        parts.append(block[start : boundary.end()])
        start = boundary.end()
    if start < len(block):
        parts.append(block[start:])
    return parts


def data_of(event: bytes) -> bytes | None:
    """The event's data with its lines joined by newlines, or None if it has none (a comment, for example)."""
    if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2 and b"\r" not in event:
        return event[6:-2]
    lines = []
    for line in _LINE.split(event):
        if line.startswith(b"data:"):
            lines.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line == b"data":
            lines.append(b"")
    return b"\n".join(lines) if lines else None


def _last_boundary(data: bytearray, seen: int) -> int:
    """The offset behind the last blank line. A carriage return at the very end may be half of a line end: it waits."""
    if data.find(b"\r", seen) < 0:
        return max(0, data.rfind(b"\n\n", seen) + 2) if b"\n\n" in data[seen:] else 0
    end = 0
    for boundary in _BOUNDARY.finditer(data, seen):
        if boundary.end() < len(data) or data.endswith(b"\n"):
            end = boundary.end()
    return end
