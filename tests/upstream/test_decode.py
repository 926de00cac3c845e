"""A compressed answer is inflated in any pieces, and never beyond its limit."""

from __future__ import annotations

import gzip
import zlib

import pytest

from gateway.core.errors import Broken, Unavailable
from gateway.upstream.decode import Decoder

TEXT = b"hello, world " * 100


@pytest.mark.parametrize(
    ("coding", "data"), [(b"gzip", gzip.compress(TEXT, mtime=0)), (b"deflate", zlib.compress(TEXT))]
)
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


@pytest.mark.parametrize("cut", [0, 20, 1_000_000])
def test_what_follows_the_end_is_read_or_refused_and_never_left_out(cut: int) -> None:
    """Two gzip members in a row are legal (RFC 1952, 2.2); whoever leaves the second out passes on half an answer."""
    data = gzip.compress(b"hello, ") + gzip.compress(b"world")
    decoder = Decoder(b"gzip", limit=100)

    try:
        plain = decoder.feed(data[:cut]) + decoder.feed(data[cut:])
        decoder.end()
    except Broken:
        return
    assert plain == b"hello, world"


def test_exactly_the_limit_is_read_and_a_byte_more_is_not() -> None:
    data = gzip.compress(TEXT)

    assert Decoder(b"gzip", limit=len(TEXT)).feed(data) == TEXT
    with pytest.raises(Broken):
        Decoder(b"gzip", limit=len(TEXT) - 1).feed(data)


@pytest.mark.parametrize("coding", [b"gzip", b"X-GZIP", b" gzip "])
def test_a_coding_has_more_than_one_spelling(coding: bytes) -> None:
    assert Decoder(coding, limit=len(TEXT)).feed(gzip.compress(TEXT)) == TEXT


@pytest.mark.parametrize("coding", [b"gzip, gzip", b"br", b"zstd", b"", b"gzip;q=1"])
def test_a_coding_we_do_not_know_is_refused(coding: bytes) -> None:
    with pytest.raises(Unavailable) as refused:
        Decoder(coding, limit=10)

    assert refused.value.code == "upstream_decode_error"
