"""Opens the store that a URL names."""

from __future__ import annotations

from pathlib import Path

from gateway.core.clock import Clock
from gateway.core.secret import Secret
from gateway.store.contract import OpenError, Store
from gateway.store.redis.connect import SCHEMES
from gateway.store.redis.store import open_redis
from gateway.store.sqlite.store import open_sqlite

EMBEDDED = "embedded"
SHORTEST_PEPPER = 16


async def open_store(url: str, data_folder: Path, *, pepper: Secret | None = None, clock: Clock | None = None) -> Store:
    """`embedded` (a file in the data folder), or a Redis: see SCHEMES.

    `pepper` is the secret under which keys are fingerprinted (LLMGW_SECRET); None: one is made once, and kept in the
    store. Raises OpenError; whoever opens the store closes it.
    """
    if pepper is not None and len(pepper.reveal()) < SHORTEST_PEPPER:
        raise OpenError(f"LLMGW_SECRET is too short: give it {SHORTEST_PEPPER} characters or more.")
    if url == EMBEDDED:
        return await open_sqlite(data_folder, pepper=pepper, clock=clock or Clock())
    scheme = url.partition("://")[0]
    if scheme in SCHEMES:
        return await open_redis(url, pepper=pepper, clock=clock or Clock())
    known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
    raise OpenError(f"The store must be {EMBEDDED!r} or a URL that begins with one of {known}.")
