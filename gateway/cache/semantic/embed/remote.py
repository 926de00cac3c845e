"""An embedder at a provider, as any /v1/embeddings: whatever it does, no call waits for it for long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import numpy as np

from gateway.cache.semantic.desk import Unable
from gateway.cache.semantic.embedder import Vector, unit
from gateway.cache.semantic.outside import Embeds
from gateway.core.errors import GatewayError

LIMIT = 0.08
"""Seconds it may take: less than a call waits in all, so that it is known who was slow."""
UNDER_WAY = 64
"""Questions that may be under way at once."""
FAILURES = 5
"""Failures in a row after which it is left alone for a while."""
REST = 5.0
"""Seconds for which it then is."""
_MOST_NUMBERS = 8192


class Remote:
    """`counts` tells how often it was `slow` or `failed`. All its vectors have the length of the first, until
    it failed again and again."""

    def __init__(self, model: str, embeds: Embeds) -> None:
        self.name = model
        self._embeds = embeds
        self._dimensions: int | None = None
        self._under_way = 0
        self._failed_in_a_row = 0
        self._rests_until = 0.0
        self.counts = {"slow": 0, "failed": 0}

    async def embed(self, text: str) -> Vector | None:
        """Raises Unable: `slow`, `failed`, or `busy` with too many others."""
        if self._under_way >= UNDER_WAY:
            raise Unable("busy")
        if time.monotonic() < self._rests_until:
            raise Unable("failed")
        self._under_way += 1
        try:
            async with asyncio.timeout(LIMIT):
                numbers = await self._embeds.embed(self.name, text)
        except TimeoutError:
            raise self._counted("slow") from None
        except (GatewayError, OSError, ValueError):
            raise self._counted("failed") from None
        finally:
            self._under_way -= 1
        vector = _vector(numbers, self._dimensions)
        if vector is None:
            raise self._counted("failed")
        self._failed_in_a_row = 0
        self._dimensions = len(vector)
        return vector

    def _counted(self, reason: str) -> Unable:
        self.counts[reason] += 1
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= FAILURES:
            self._failed_in_a_row, self._rests_until = 0, time.monotonic() + REST
            self._dimensions = None
        return Unable(reason)


def _vector(numbers: Sequence[float], dimensions: int | None) -> Vector | None:
    """The numbers at length 1; None for what is no vector, or one of another length."""
    if not isinstance(numbers, Sequence) or isinstance(numbers, str | bytes) or not 2 <= len(numbers) <= _MOST_NUMBERS:
        return None
    if dimensions not in (None, len(numbers)) or not all(type(one) in (float, int) for one in numbers):
        return None
    with np.errstate(all="ignore"):
        try:
            return unit(np.array(numbers, dtype=np.float32))
        except OverflowError:  # an integer no float holds
            return None
