"""One HTTP request, and how large and slow it may be."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    body: int = 8 * 1024 * 1024
    head: int = 32 * 1024
    header_line: int = 8 * 1024
    headers: int = 128
    head_time: float = 10.0
    body_time: float = 60.0
    idle_time: float = 75.0
    write_stall: float = 60.0
    pipelined: int = 32
    connections: int = 8192


@dataclass(slots=True)
class Request:
    """One HTTP request; `is_old` if it speaks HTTP/1.0, `asks_socket` if it is to become a WebSocket.

    Header names are lower case; a header sent twice is joined by a comma where that is allowed.
    """

    method: bytes = b""
    target: bytes = b""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    keep_alive: bool = True
    is_old: bool = False
    asks_socket: bool = False
    received: float = 0.0
    peer: str = ""
