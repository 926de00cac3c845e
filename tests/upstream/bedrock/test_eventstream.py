"""Amazon's event stream is cut into its messages, and what is damaged or too large is never taken for one."""

from __future__ import annotations

import itertools
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Broken
from gateway.upstream.dialects.bedrock.eventstream import MAX_MESSAGE, Decoder, Message
from tests.eventstream import message, sealed

FOLDER = Path(__file__).parent.parent.parent / "streams" / "bedrock"
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
EVERY_TYPE = (
    b"\x01a\x00"
    + b"\x01b\x01"
    + b"\x01c\x02\x07"
    + b"\x01d\x03\x00\x07"
    + b"\x01e\x04"
    + bytes(4)
    + b"\x01f\x05"
    + bytes(8)
) + (b"\x01g\x06\x00\x03raw" + b"\x01h\x07\x00\x04text" + b"\x01i\x08" + bytes(8) + b"\x01j\x09" + bytes(16))


def decoded(*pieces: bytes) -> list[Message]:
    decoder = Decoder()
    return [message for piece in pieces for message in decoder.feed(piece)]


@given(
    headers=st.lists(st.dictionaries(NAMES, st.text(max_size=50), max_size=4), min_size=1, max_size=3),
    payload=st.binary(max_size=200),
    cuts=st.lists(st.integers(0, 2000), max_size=8),
)
def test_messages_are_found_wherever_their_bytes_are_cut(
    headers: list[dict[str, str]], payload: bytes, cuts: list[int]
) -> None:
    stream = b"".join(message(each, payload) for each in headers)
    ends = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]

    found = decoded(*(stream[begin:end] for begin, end in itertools.pairwise(ends)))

    assert found == [Message(each, payload) for each in headers]


def test_headers_of_other_types_are_passed_over() -> None:
    assert decoded(sealed(EVERY_TYPE, b"x")) == [Message({"h": "text"}, b"x")]


def test_every_bit_is_checked() -> None:
    stream = message({":event-type": "messageStop"}, b'{"stopReason":"end_turn"}')

    for bit in range(len(stream) * 8):
        damaged = bytearray(stream)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Broken):
            decoded(bytes(damaged), bytes(MAX_MESSAGE))


@pytest.mark.parametrize(
    "block", [b"\x05:abc", b"\x01a\x0a", b"\x01a\x07\x00\x09short", b"\x01a\x07", b"\x02\xff\xff\x00", b"\x01a\x05abc"]
)
def test_headers_that_make_no_sense_are_an_error(block: bytes) -> None:
    with pytest.raises(Broken, match="damaged"):
        decoded(sealed(block, b""))


def test_a_message_that_is_too_large_is_refused_before_it_has_come() -> None:
    stream = message({}, bytes(MAX_MESSAGE))

    with pytest.raises(Broken, match="too large"):
        decoded(stream[:12])


def test_lengths_that_contradict_each_other_are_an_error() -> None:
    for length, of_headers in ((15, 0), (16, 1), (0, 0)):
        prelude = struct.pack(">II", length, of_headers)
        with pytest.raises(Broken, match="damaged"):
            decoded(prelude + struct.pack(">I", zlib.crc32(prelude)) + bytes(32))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.bin")), ids=lambda path: path.stem)
def test_amazon_s_own_decoder_reads_the_same(path: Path) -> None:
    botocore = pytest.importorskip("botocore.eventstream")
    buffer = botocore.EventStreamBuffer()
    buffer.add_data(path.read_bytes())

    theirs = [Message(each.headers, each.payload) for each in buffer]

    assert decoded(path.read_bytes()) == theirs
