"""Names of things in a store, where the caller's own words could be too long or say too much."""

from __future__ import annotations

import hashlib


def replay_name(scope: str, key: str) -> str:
    """The place of an Idempotency-Key: one tenant's key is never another's."""
    return hashlib.sha256(f"{len(scope)}:{scope}{key}".encode("utf-8", "surrogatepass")).hexdigest()
