"""Where answers are kept, and the secret under which their names and checksums are made."""

from __future__ import annotations

import re
from hashlib import blake2b

from gateway.cache.key import digest
from gateway.core.secret import Secret

_NAME = re.compile(r"[0-9a-f]{16}:[0-9a-f]{64}")


def cache_pepper(secret: Secret) -> bytes:
    """32 bytes drawn from the store's secret, for the cache alone."""
    return blake2b(secret.reveal().encode(), digest_size=32, person=b"llmgw cache").digest()


def place_of(pepper: bytes, org: str) -> str:
    """16 hex digits that stand for an organisation."""
    return digest(pepper, org.encode("utf-8", "surrogatepass"))[:8].hex()


def key_of(name: str) -> bytes | None:
    """The key in an answer's name; None: this is not such a name."""
    return bytes.fromhex(name.partition(":")[2]) if _NAME.fullmatch(name) else None
