"""The mark of a call that leads: which worker makes it, and who may follow it. Nobody without the pepper can make one."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from hashlib import blake2b
from hmac import compare_digest

_MARK = re.compile(rb"([0-9]{1,18}) ([01])([01]) ([0-9a-f]{16}) ([0-9a-f]{16}) ([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class Mark:
    """`text` is what the store has; `form` and `purges` are a Flight's, whose id is `flight`."""

    text: bytes
    purges: int
    form: tuple[bool, bool]
    worker: str
    flight: str


def make_mark(name: str, *, purges: int, form: tuple[bool, bool], worker: str, pepper: bytes) -> Mark:
    """`name` is the one that the answer would be kept under."""
    flight = secrets.token_hex(8)
    said = f"{purges} {int(form[0])}{int(form[1])} {worker} {flight}".encode()
    return Mark(said + b" " + _checksum(said, name, pepper), purges, form, worker, flight)


def read_mark(text: bytes, name: str, *, pepper: bytes) -> Mark | None:
    """None: it was not made for this name."""
    found = _MARK.fullmatch(text)
    if found is None or not compare_digest(found[6], _checksum(text[: found.start(6) - 1], name, pepper)):
        return None
    form = (found[2] == b"1", found[3] == b"1")
    return Mark(text, int(found[1]), form, found[4].decode(), found[5].decode())


def _checksum(said: bytes, name: str, pepper: bytes) -> bytes:
    checksum = blake2b(said, digest_size=16, key=pepper, person=b"flight mark")
    checksum.update(b"\0" + name.encode())
    return checksum.hexdigest().encode()
