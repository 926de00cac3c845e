"""Amazon's event stream, written: the counterpart of what the gateway reads."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any


def message(headers: dict[str, str], payload: bytes) -> bytes:
    block = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    return sealed(block, payload)


def sealed(block: bytes, payload: bytes) -> bytes:
    """A message with this block of headers, already written."""
    prelude = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    begun = prelude + struct.pack(">I", zlib.crc32(prelude)) + block + payload
    return begun + struct.pack(">I", zlib.crc32(begun))


def event(kind: str, payload: Any) -> bytes:
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return message(headers, json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode())


def exception(kind: str, text: str) -> bytes:
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return message(headers, json.dumps({"message": text}).encode())
