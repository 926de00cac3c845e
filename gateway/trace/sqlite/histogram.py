"""Histograms of durations as one number each: 32 bits for every bucket, so that to add the numbers is to add the histograms.

The first bucket ends at SMALLEST milliseconds, each is a tenth wider than the one before, and the last has no end.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import accumulate

SMALLEST = 0.1
GROWTH = 1.1
LAST = 200
_BITS = 32
_SIZE = (LAST + 1) * _BITS // 8


def bucket(ms: float) -> int:
    """The number of the bucket that a duration falls into."""
    if not ms > SMALLEST:
        return 0
    return min(LAST, math.ceil(math.log(min(ms, 1e12) / SMALLEST) / math.log(GROWTH) - 1e-9))


def middle(number: int) -> float:
    """Milliseconds that stand for all of a bucket."""
    return float(f"{SMALLEST * GROWTH ** (number - 0.5):.4g}")


def one(number: int) -> int:
    """The histogram of one duration that falls into this bucket."""
    return 1 << (_BITS * number)


def packed(histogram: int) -> bytes:
    """Without the empty buckets at both ends; the first byte says how many there were at the lower."""
    if not histogram:
        return b""
    empty = ((histogram & -histogram).bit_length() - 1) // _BITS
    rest = histogram >> (_BITS * empty)
    return bytes([empty]) + rest.to_bytes((rest.bit_length() + 7) // 8, "little")


def unpacked(data: bytes | None) -> int:
    return int.from_bytes(data[1:], "little") << (_BITS * data[0]) if data else 0


def percentile(histogram: int, *shares: float) -> list[float | None]:
    """Milliseconds that this share of the durations does not exceed; None where there are none."""
    if not histogram:
        return [None] * len(shares)
    counts = list(accumulate(memoryview(histogram.to_bytes(_SIZE, "little")).cast("I")))
    return [middle(bisect_left(counts, share * counts[-1])) for share in shares]
