"""For tests of what is answered, however busy the machine."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a call waits is a matter of the tests that say so."""
    monkeypatch.setattr("gateway.cache.semantic.tier.LIMIT", 30.0)
