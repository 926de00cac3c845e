"""A question that has an answer in the cache, as workers tell each other of it."""

from __future__ import annotations

import msgspec
import numpy as np

from gateway.cache.semantic.embedder import Vector, unit
from gateway.core.seal import seal, unseal

LARGEST = 64 * 1024
"""Bytes of a row that is read or written, whatever it says."""
_MOST_NUMBERS = 8192


class Row(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """`vector` holds 16-bit floats, little-endian; `answer` is the fingerprint of the answer where answers repeat; `expires`
    is in UTC seconds."""

    partition: bytes
    route: str
    question: str
    vector: bytes
    expires: float
    answer: bytes | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Row).decode


def write(row: Row, *, name: str, pepper: bytes) -> bytes:
    return seal(_encode(row), place=name, pepper=pepper)


def read(value: bytes, *, name: str, pepper: bytes) -> Row | None:
    """The row that was written for the entry of this name, or None."""
    body = unseal(value, place=name, pepper=pepper) if len(value) <= LARGEST else None
    if body is None:
        return None
    try:
        row = _decode(body)
    except msgspec.DecodeError:
        return None
    return row if unpack(row.vector) is not None else None


def pack(vector: Vector) -> bytes:
    packed: bytes = vector.astype("<f2").tobytes()
    return packed


def unpack(packed: bytes) -> Vector | None:
    """The vector at length 1, or None for what is none."""
    if not packed or len(packed) % 2 or len(packed) > 2 * _MOST_NUMBERS:
        return None
    with np.errstate(all="ignore"):
        return unit(np.frombuffer(packed, dtype="<f2").astype(np.float32))
