"""The store for commands that use it straight, with or without a running server: see decision 004."""

from __future__ import annotations

import argparse
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.core.secret import Secret
from gateway.store.contract import Store
from gateway.store.open import open_store


@asynccontextmanager
async def opened_store(args: argparse.Namespace) -> AsyncIterator[Store]:
    """The one that `--store` and `--data` name. Raises OpenError."""
    pepper = os.environ.get("LLMGW_SECRET")
    store = await open_store(args.store, args.data, pepper=Secret(pepper) if pepper else None)
    try:
        yield store
    finally:
        await store.close()
