"""An answer as it is kept: MessagePack behind a keyed checksum that also covers the key it is kept under.

What does not check, because it was damaged, moved, written by another version or by somebody without the pepper, is a miss.
"""

from __future__ import annotations

from hashlib import blake2b
from hmac import compare_digest

import msgspec

_FORM = b"lgc1"
_SUM_BYTES = 16
_HEAD = len(_FORM) + _SUM_BYTES


class Entry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A kept answer. `document` is its JSON, as given to a caller that did not ask for a stream; times are UTC seconds.

    `expires` is fixed when it is made: a hit never moves it. `org`, `team` and `key_id` are the maker's; `route` is "" where
    the client's model was taken as named. `purges` is the number of the last core.purge order that its maker knew. `cost`, in
    nano-USD, and `took`, in seconds until it was whole, are what a hit saves. `question` is the text that was asked, for the
    semantic cache, and empty where that is off.
    """

    id: str
    operation: str
    created: float
    expires: float
    document: bytes
    org: str
    team: str | None
    key_id: str
    model: str
    route: str = ""
    template: str = ""
    tags: tuple[str, ...] = ()
    purges: int = 0
    cost: int = 0
    took: float = 0.0
    question: str = ""

    def is_fresh(self, *, now: float, max_age: float | None = None) -> bool:
        """Whether it may be given at `now` to a client that takes nothing older than `max_age` seconds."""
        return (
            self.created <= now + _CLOCK_SKEW and now < self.expires and (max_age is None or self.age(now) <= max_age)
        )

    def age(self, now: float) -> float:
        """In seconds."""
        return max(0.0, now - self.created)


_CLOCK_SKEW = 60.0

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode


def write(entry: Entry, *, key: bytes, pepper: bytes) -> bytes:
    """`key` is the one it will be kept under; `pepper` as for the key."""
    body = _encode(entry)
    return _FORM + _checksum(body, key, pepper) + body


def read(data: bytes, *, key: bytes, pepper: bytes) -> Entry | None:
    """The entry that was written under this key, or None if these bytes are not one."""
    if data[: len(_FORM)] != _FORM:
        return None
    body = data[_HEAD:]
    if not compare_digest(data[len(_FORM) : _HEAD], _checksum(body, key, pepper)):
        return None
    try:
        return _decode(body)
    except msgspec.DecodeError:
        return None


def _checksum(body: bytes, key: bytes, pepper: bytes) -> bytes:
    checksum = blake2b(len(key).to_bytes(2), digest_size=_SUM_BYTES, key=pepper, person=b"cache entry")
    checksum.update(key)
    checksum.update(body)
    return checksum.digest()
