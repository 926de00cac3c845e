"""Call records as lines of JSON on standard output."""

from __future__ import annotations

import os
import re
import select
from collections.abc import Sequence

from gateway.trace.sink import Line

ATOMIC = select.PIPE_BUF
"""Bytes that a pipe takes whole, so that the lines of several worker processes do not mix."""
_BREAKS = re.compile(rb"\xe2\x80[\xa8\xa9]|\xc2[\x80-\x9f]")
"""Line and paragraph separators and C1 controls, which JSON allows as they are and terminals and line readers act on."""


class Stdout:
    """A sink's destination: the descriptor, which stays its owner's. Waits while nobody reads."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, lines: Sequence[Line]) -> None:
        part = b""
        for line in lines:
            text = _escaped(line.json) + b"\n"
            if part and len(part) + len(text) > ATOMIC:
                _write_all(self._fd, part)
                part = b""
            part += text
        _write_all(self._fd, part)

    def tidy(self) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Nothing was opened."""


def _escaped(json: bytes) -> bytes:
    return json if json.isascii() else _BREAKS.sub(lambda match: b"\\u%04x" % ord(match[0].decode()), json)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            select.select([], [fd], [])
