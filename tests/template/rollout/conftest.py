from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.core.clock import Clock
from gateway.store.sqlite.meanings import SqliteMeanings
from gateway.template.rollout.ledger import States


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[States]:
    shares = SqliteMeanings(tmp_path, Clock())
    yield shares.earned
    await shares.close()
