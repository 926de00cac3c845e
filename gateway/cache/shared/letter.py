"""What workers tell each other of a flight: MessagePack behind a keyed checksum, as kept answers are.

Who follows says Follow, again and again, and Leave; who leads says Part, Landed, and then Settled or Lost, or Gone.
"""

from __future__ import annotations

from hashlib import blake2b
from hmac import compare_digest

import msgspec

from gateway.core.errors import Broken, GatewayError, Rejected, Timeout, Unavailable, UpstreamError

_FORM = b"lgf1"
_SUM_BYTES = 16
_HEAD = len(_FORM) + _SUM_BYTES
_FAILURES = {kind.__name__: kind for kind in (UpstreamError, Broken, Rejected, Timeout, Unavailable)}


class _Letter(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=True):
    """`flight` is the id in a Mark."""

    flight: str


class Follow(_Letter, frozen=True):
    """`place` is how many bytes of the answer the worker has, where it wants what comes after them; None: it only says that it
    still listens."""

    worker: str
    place: int | None = None


class Leave(_Letter, frozen=True):
    worker: str


class Part(_Letter, frozen=True):
    """What comes after the first `place` bytes; whole: it ends where a chunk does."""

    place: int
    piece: bytes
    is_whole: bool


class Landed(_Letter, frozen=True):
    """The answer has `place` bytes. The others are as in Flight.land."""

    place: int
    last: bytes
    cost: int
    took: float


class Settled(_Letter, frozen=True):
    """After Landed: it is kept by now, if it is to be."""


class Failure(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An UpstreamError."""

    kind: str
    message: str
    status: int
    type: str
    code: str
    param: str | None
    retriable: bool
    should_retry: bool | None
    retry_after: float | None
    headers: tuple[tuple[str, str], ...]
    detail: str | None


class Lost(_Letter, frozen=True):
    """As in Flight.lose."""

    failure: Failure | None


class Gone(_Letter, frozen=True):
    """The worker knows of no such flight."""


Letter = Follow | Leave | Part | Landed | Settled | Lost | Gone

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Letter).decode


def write(letter: Letter, *, pepper: bytes) -> bytes:
    body = _encode(letter)
    return _FORM + _checksum(body, pepper) + body


def read(message: bytes, *, pepper: bytes) -> Letter | None:
    """None: it is not a letter of ours."""
    body = message[_HEAD:]
    if message[: len(_FORM)] != _FORM or not compare_digest(message[len(_FORM) : _HEAD], _checksum(body, pepper)):
        return None
    try:
        return _decode(body)  # type: ignore[no-any-return]
    except msgspec.DecodeError:
        return None


def failure_from(error: GatewayError | None) -> Failure | None:
    if not isinstance(error, UpstreamError):
        return None
    kind = next(each.__name__ for each in type(error).__mro__ if _FAILURES.get(each.__name__) is each)
    return Failure(
        kind,
        error.message,
        error.status,
        error.type,
        error.code,
        error.param,
        error.retriable,
        error.should_retry,
        error.retry_after,
        error.headers,
        error.detail,
    )


def error_from(failure: Failure | None) -> UpstreamError | None:
    if failure is None:
        return None
    error = _FAILURES.get(failure.kind, UpstreamError)(
        failure.message,
        status=failure.status,
        type=failure.type,
        code=failure.code,
        param=failure.param,
        retriable=failure.retriable,
        headers=failure.headers,
    )
    error.should_retry, error.retry_after, error.detail = failure.should_retry, failure.retry_after, failure.detail
    return error


def _checksum(body: bytes, pepper: bytes) -> bytes:
    return blake2b(body, digest_size=_SUM_BYTES, key=pepper, person=b"flight letter").digest()
