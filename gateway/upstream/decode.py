"""Compressed answers, which we do not ask for and some providers send all the same."""

from __future__ import annotations

import zlib

from gateway.core.errors import Broken, Unavailable

_WBITS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}


class Decoder:
    """Inflates as bytes come, and stops at `limit` bytes of output: what is small on the wire may be huge behind it."""

    def __init__(self, coding: bytes, *, limit: int) -> None:
        """Raises Unavailable for a coding we do not know."""
        bits = _WBITS.get(coding.strip().lower())
        if bits is None:
            raise Unavailable(
                "the provider compressed its answer in a way we do not know", code="upstream_decode_error"
            )
        self._bits = bits
        self._inflate = zlib.decompressobj(bits)
        self._left = limit

    def feed(self, data: bytes) -> bytes:
        """Raises Broken when the bytes are corrupt or too many. What follows one compressed part is read as another."""
        plain = b""
        while data:
            if self._inflate.eof:
                self._inflate = zlib.decompressobj(self._bits)
            try:
                piece = self._inflate.decompress(data, self._left + 1)
            except zlib.error:
                raise Broken("the provider's compressed answer is corrupt", code="upstream_decode_error") from None
            self._left -= len(piece)
            if self._left < 0:
                raise Broken("the provider's compressed answer is too large", code="upstream_decode_error")
            plain += piece
            data = self._inflate.unused_data
        return plain

    def end(self) -> None:
        if not self._inflate.eof:
            raise Broken("the provider's compressed answer was cut off", code="upstream_decode_error")
