"""`application/vnd.amazon.eventstream`: messages cut out of bytes that arrive in any pieces.

A message is: its length and its headers' length (4 bytes each), the CRC-32 of both, headers, payload, and the CRC-32 of all
that. A header is a name (length in 1 byte), a type (1 byte) and a value.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.core.errors import Broken

MAX_MESSAGE = 256 * 1024
"""Amazon allows 16 MiB; parts of an answer are far smaller."""

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_LEAST = _PRELUDE.size + _CRC.size
_TEXT, _BYTES = 7, 6
_WIDTHS = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value, by its type: truths, integers, a time, a UUID."""


@dataclass(frozen=True, slots=True)
class Message:
    """`headers` are those whose values are text."""

    headers: Mapping[str, str]
    payload: bytes


class Decoder:
    """Feed it bytes; it gives back the messages that are complete, and keeps the rest."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are complete with these bytes. Raises Broken on what is none."""
        self._rest += data
        return iter(self._next, None)

    def _next(self) -> Message | None:
        rest = self._rest
        if len(rest) < _PRELUDE.size:
            return None
        length, of_headers, crc = _PRELUDE.unpack_from(rest)
        if zlib.crc32(rest[: _PRELUDE.size - _CRC.size]) != crc:
            raise _damaged()
        if length > MAX_MESSAGE:
            raise Broken("the provider sent an event that is too large", code="upstream_too_large")
        if length < _LEAST + of_headers:
            raise _damaged()
        if len(rest) < length:
            return None
        message = bytes(rest[:length])
        del rest[:length]
        if zlib.crc32(message[: -_CRC.size]) != _CRC.unpack_from(message, length - _CRC.size)[0]:
            raise _damaged()
        begin = _PRELUDE.size + of_headers
        return Message(_headers(message[_PRELUDE.size : begin]), message[begin : -_CRC.size])


def _headers(block: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    try:
        while at < len(block):
            named = at + 1 + block[at]
            name, kind = block[at + 1 : named].decode(), block[named]
            at = named + 1
            if kind in (_TEXT, _BYTES):
                end = at + 2 + int.from_bytes(block[at : at + 2], "big")
                if kind == _TEXT:
                    found[name] = block[at + 2 : end].decode()
                at = end
            else:
                at += _WIDTHS[kind]
    except (IndexError, KeyError, UnicodeDecodeError):
        raise _damaged() from None
    if at != len(block):
        raise _damaged()
    return found


def _damaged() -> Broken:
    return Broken("the provider sent an event that is damaged", code="upstream_protocol_error")
