"""Texts as vectors of length 1: their product says how near two texts are in meaning.

An embedder says None to a text that it would misread: longer than it looks, or with letters that it does not know. Such a text
is near to others for the wrong reason.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

MOST_TOKENS = 64
"""Of a question. All before the last question belongs to the partition; a longer one is found by its exact key alone."""

MINILM = "all-MiniLM-L6-v2-int8"
"""The name of the default embedder, known before it is loaded."""

Vector: TypeAlias = NDArray[np.float32]


class Embedder(Protocol):
    """`name` changes whenever the vectors would: it is part of every partition."""

    name: str
    dimensions: int

    def embed(self, text: str) -> Vector | None: ...


def unit(vector: Vector) -> Vector | None:
    """The vector at length 1, or None if it has no direction."""
    length = float(np.sqrt(vector @ vector))
    return vector / np.float32(length) if np.isfinite(length) and length > 0 else None
