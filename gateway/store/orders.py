"""Orders to forget answers, as stores keep them; see contract.CacheStore for how they are numbered."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from gateway.core.purge import Purge

_decode = msgspec.json.Decoder(Purge).decode

EVERYTHING = msgspec.json.encode(Purge())
"""The marks of an order to forget everything."""


def write(purge: Purge) -> bytes:
    """Its marks."""
    return msgspec.json.encode(replace(purge, number=0))


def read(number: int, marks: bytes) -> Purge:
    """One that cannot be read, for another version wrote it, is taken for an order to forget everything."""
    try:
        return replace(_decode(marks), number=number)
    except msgspec.DecodeError:
        return Purge(number=number)
