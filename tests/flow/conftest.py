"""Gateways with less patience than the one that ships."""

from __future__ import annotations

from functools import partial

import pytest

from gateway.ingress.request import Limits


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway waits 0.3 s, and not a minute, for a client to take something. To be asked for before the house."""
    monkeypatch.setattr("gateway.app.Limits", partial(Limits, write_stall=0.3))
