"""The text of a key: `sk-llmgw-`, ten letters of id, thirty-two of secret, six of checksum.

The text is shown once and never kept. What is kept is its fingerprint, keyed BLAKE2b under the store's pepper, so a
stolen store holds no key that works, and a look-up by fingerprint tells an attacker nothing by its timing.
"""

from __future__ import annotations

import hmac
import re
import secrets
import zlib
from collections.abc import Callable
from hashlib import blake2b

from gateway.auth.wanted import Wanted
from gateway.core.secret import Secret
from gateway.core.tenant import VirtualKey

PREFIX = "sk-llmgw-"
ADMIN_PREFIX = "sk-llmgw-admin-"
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID, _SECRET, _CHECK = 10, 32, 6
_SHAPE = re.compile(rf"sk-llmgw-(admin-)?[0-9A-Za-z]{{{_ID + _SECRET + _CHECK}}}", re.ASCII)


def mint(
    wanted: Wanted, pepper: Secret, *, now: float, random: Callable[[int], bytes] = secrets.token_bytes
) -> tuple[VirtualKey, Secret]:
    """A new key as it is kept, and its text. `now` is UTC seconds."""
    text = _text(PREFIX, random(32))
    return virtual_key(text, wanted, pepper, now=now), text


def virtual_key(text: Secret, wanted: Wanted, pepper: Secret, *, now: float = 0.0) -> VirtualKey:
    """How the key with this text is kept."""
    return VirtualKey(
        id=key_id(text),
        name=wanted.name,
        tenant=wanted.tenant,
        fingerprint=fingerprint(text.reveal(), pepper.reveal().encode()).hex(),
        models=wanted.models,
        created=now,
        expires=wanted.expires,
    )


def ready_made_key(pepper: Secret) -> Secret:
    """The same virtual key at each start, made from the pepper, so that nothing in clear is kept."""
    return _text(PREFIX, _derived(pepper, b"ready-made virtual key"))


def ready_made_admin_key(pepper: Secret) -> Secret:
    """The same admin key at each start, made from the pepper."""
    return _text(ADMIN_PREFIX, _derived(pepper, b"ready-made admin key"))


def fingerprint(text: str, pepper: bytes) -> bytes:
    """Keyed BLAKE2b (RFC 7693): as strong as HMAC-SHA256 here, and a sixth of its cost through OpenSSL."""
    key = pepper if len(pepper) <= blake2b.MAX_KEY_SIZE else blake2b(pepper).digest()
    return blake2b(text.encode("utf-8", "surrogatepass"), key=key, digest_size=32).digest()


def well_formed(text: str) -> bool:
    """Whether it can be one of our keys at all, a virtual or an admin key: its shape and checksum are right."""
    return _SHAPE.fullmatch(text) is not None and hmac.compare_digest(_checksum(text[:-_CHECK]), text[-_CHECK:])


def admin_formed(text: str) -> bool:
    return text.startswith(ADMIN_PREFIX) and well_formed(text)


def key_id(text: Secret) -> str:
    """The part of a virtual key's text that may be shown."""
    return text.reveal()[len(PREFIX) : len(PREFIX) + _ID]


def _text(prefix: str, entropy: bytes) -> Secret:
    body = prefix + _letters(int.from_bytes(entropy, "big"), _ID + _SECRET)
    return Secret(body + _checksum(body))


def _derived(pepper: Secret, purpose: bytes) -> bytes:
    return hmac.digest(pepper.reveal().encode(), purpose, "sha256")


def _checksum(body: str) -> str:
    return _letters(zlib.crc32(body.encode()), _CHECK)


def _letters(number: int, width: int) -> str:
    letters = []
    for _ in range(width):
        number, digit = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[digit])
    return "".join(letters)
