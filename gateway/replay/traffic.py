"""Where recorded calls come from: a file as `llmgw export` writes it, or the data folder."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from gateway.trace.reading.search import search_of
from gateway.trace.sqlite.reader import Reader

LONGEST = 8 * 1024 * 1024
"""Bytes of a line; a longer one is no record."""
CHUNK = 500
_GZIP = b"\x1f\x8b"


class _Readable(Protocol):
    def readline(self, size: int, /) -> bytes: ...


def from_file(path: Path) -> Iterator[bytes]:
    """Its lines, one at a time; packed with gzip or not. Raises OSError, EOFError where a packed file ends too early."""
    with path.open("rb") as plain:
        is_packed = plain.read(2) == _GZIP
        plain.seek(0)
        if is_packed:
            with gzip.GzipFile(fileobj=plain) as unpacked:
                yield from _lines(unpacked)
        else:
            yield from _lines(plain)


def from_folder(path: Path, seconds: float, now: float) -> Iterator[bytes]:
    """What was recorded in the last so many seconds, oldest first. `path` is the call file. Raises OSError."""
    search = search_of({"since": repr(now - seconds)}, now=now)
    reader = Reader(path)
    try:
        place = reader.begin()
        while True:
            lines, place = reader.next(search, place, limit=CHUNK)
            if not lines:
                return
            yield from lines
    finally:
        reader.close()


def _lines(file: _Readable) -> Iterator[bytes]:
    """Without empty ones; one that is too long comes cut, and so is no record."""
    while line := file.readline(LONGEST):
        if not line.endswith(b"\n") and len(line) == LONGEST:
            _skip(file)
        if line.strip():
            yield line


def _skip(file: _Readable) -> None:
    while rest := file.readline(LONGEST):
        if rest.endswith(b"\n"):
            return
