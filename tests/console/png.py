"""Pictures of pages, made small: the 256 commonest colours, and every other as the nearest of them."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator

_MAGIC = b"\x89PNG\r\n\x1a\n"
_FEW = 256
Colour = tuple[int, int, int]


def reduced(png: bytes) -> bytes:
    """The same picture with a palette. Takes PNGs as Chromium writes them: 8 bits for a channel, not interlaced."""
    parts = dict(_chunks(png))
    width, height, depth, kind = struct.unpack(">IIBB", parts[b"IHDR"][:10])
    assert depth == 8
    size = {2: 3, 6: 4}[kind]
    rows = list(_rows(zlib.decompress(parts[b"IDAT"]), width * size, size))
    pixels = [list(zip(row[::size], row[1::size], row[2::size], strict=True)) for row in rows]
    counted = Counter(colour for row in pixels for colour in row)
    palette = [colour for colour, _ in counted.most_common(_FEW)]
    index = {colour: _nearest(colour, palette) for colour in counted}
    body = b"".join(b"\0" + bytes(map(index.__getitem__, row)) for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    flat = bytes(channel for colour in palette for channel in colour)
    chunks = {b"IHDR": header, b"PLTE": flat, b"IDAT": zlib.compress(body, 9), b"IEND": b""}
    return _MAGIC + b"".join(_chunk(name, data) for name, data in chunks.items())


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content, the parts of the image data as one."""
    at, image = len(_MAGIC), b""
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        name, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        image += data if name == b"IDAT" else b""
        yield name, image if name == b"IDAT" else data
        at += length + 12


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _rows(data: bytes, length: int, size: int) -> Iterator[bytearray]:
    """The lines of the picture, with PNG's prediction from the left and from above undone (PNG specification, 9.2)."""
    above = bytearray(length)
    for start in range(0, len(data), length + 1):
        kind, row = data[start], bytearray(data[start + 1 : start + 1 + length])
        if kind:
            for at in range(length):
                left = row[at - size] if at >= size else 0
                corner = above[at - size] if at >= size else 0
                row[at] = (row[at] + _predicted(kind, left, above[at], corner)) & 255
        yield row
        above = row


def _predicted(kind: int, left: int, above: int, corner: int) -> int:
    if kind < 4:
        return (0, left, above, (left + above) // 2)[kind]
    guess = left + above - corner
    return min((left, above, corner), key=lambda each: abs(guess - each))


def _nearest(colour: Colour, palette: list[Colour]) -> int:
    red, green, blue = colour
    return min(
        range(len(palette)),
        key=lambda at: abs(palette[at][0] - red) + abs(palette[at][1] - green) + abs(palette[at][2] - blue),
    )
