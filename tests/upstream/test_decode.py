"""A compressed answer is inflated in any pieces, and never beyond its limit."""

from __future__ import annotations

import gzip
import zlib

import pytest

from gateway.core.errors import Broken, Unavailable
from gateway.upstream.decode import Decoder

TEXT = b"hello, world " * 100


@pytest.mark.parametrize(("coding", "data"), [(b"gzip", gzip.compress(TEXT)), (b"deflate", zlib.compress(TEXT))])
def test_it_reads_the_same_wherever_it_is_cut(coding: bytes, data: bytes) -> None:
    for cut in range(len(data)):
        decoder = Decoder(coding, limit=len(TEXT))
        plain = decoder.feed(data[:cut]) + decoder.feed(data[cut:])
        decoder.end()

        assert plain == TEXT


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    decoder = Decoder(b"gzip", limit=1024)

    with pytest.raises(Broken):
        decoder.feed(gzip.compress(bytes(100_000_000)))


def test_corrupt_unfinished_and_unknown_codings_are_refused() -> None:
    with pytest.raises(Broken):
        Decoder(b"gzip", limit=10).feed(b"not gzip at all")
    cut = Decoder(b"gzip", limit=10_000)
    cut.feed(gzip.compress(TEXT)[:-4])
    with pytest.raises(Broken):
        cut.end()
    with pytest.raises(Unavailable):
        Decoder(b"br", limit=10)
