"""What the cache needs to know of the answer that a call got, and of what was paid for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from gateway.core.deployment import Deployment
from gateway.core.usage import Usage


class Held(Protocol):
    """What the call holds of budgets. Clamped: the provider was asked for less than the client had; stopped: it was cut short."""

    @property
    def is_clamped(self) -> bool: ...

    @property
    def is_stopped(self) -> bool: ...


class Bill(Protocol):
    @property
    def usage(self) -> Usage: ...

    @property
    def cost(self) -> int | None: ...


class Given(Protocol):
    """The answer that goes to the client."""

    @property
    def deployment(self) -> Deployment: ...

    @property
    def content_type(self) -> str: ...

    @property
    def is_complete(self) -> bool: ...

    @property
    def usage_sent(self) -> Mapping[str, Any] | None:
        """The provider's count in its own words, where a stream has told it."""
        ...

    def ending(self, cost: int | None, usage: Usage) -> bytes: ...
