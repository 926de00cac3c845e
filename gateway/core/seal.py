"""Bytes that only a holder of the pepper can have written, and only for the place where they stand."""

from __future__ import annotations

from hashlib import blake2b
from hmac import compare_digest

_FORM = b"lgs1"
_SUM_BYTES = 16
_HEAD = len(_FORM) + _SUM_BYTES


def seal(body: bytes, *, place: str, pepper: bytes) -> bytes:
    """Places of different parts of the gateway must differ."""
    return _FORM + _checksum(body, place, pepper) + body


def unseal(sealed: bytes, *, place: str, pepper: bytes) -> bytes | None:
    """The body, or None for what was damaged, moved, or written by somebody else or another version."""
    body = sealed[_HEAD:]
    if sealed[: len(_FORM)] != _FORM or not compare_digest(sealed[len(_FORM) : _HEAD], _checksum(body, place, pepper)):
        return None
    return body


def _checksum(body: bytes, place: str, pepper: bytes) -> bytes:
    where = place.encode("utf-8", "surrogatepass")
    checksum = blake2b(len(where).to_bytes(4), digest_size=_SUM_BYTES, key=pepper, person=b"semantic cache")
    checksum.update(where)
    checksum.update(body)
    return checksum.digest()
