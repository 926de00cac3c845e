"""WebSocket frames, without I/O: messages in, bytes out. The protocol itself is the websockets package's.

Only texts are taken, no larger than a limit; extensions, compression among them, are not spoken.
"""

from __future__ import annotations

import logging

from websockets.frames import CloseCode, Opcode
from websockets.protocol import OPEN, SERVER, Protocol

from gateway.core.peer import LOST

LARGEST = 16 * 1024 * 1024
"""Bytes of a message."""
_REASON = 123
"""Bytes of a close frame's reason."""

quiet = logging.getLogger("llmgw.websocket")
quiet.setLevel(logging.CRITICAL)  # it would tell what was said
quiet.propagate = False


def server() -> Protocol:
    """The protocol of a connection whose handshake is over."""
    return Protocol(SERVER, max_size=LARGEST, logger=quiet)


class Framing:
    """`closed` is the code and reason with which the other side has ended it, or that we had to."""

    __slots__ = ("_message", "_protocol", "closed")

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._message = bytearray()
        self.closed: tuple[int, str] | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete now."""
        protocol = self._protocol
        protocol.receive_data(data)
        messages: list[bytes] = []
        for frame in protocol.events_received():
            match getattr(frame, "opcode", None):
                case Opcode.TEXT | Opcode.CONT if self.closed is None:
                    self._message += frame.data  # type: ignore[union-attr]  # it has an opcode
                    if frame.fin:  # type: ignore[union-attr]
                        self._complete(messages)
                case Opcode.BINARY if self.closed is None:
                    self._fail(CloseCode.UNSUPPORTED_DATA, "only text is spoken here")
        self._look()
        return messages

    def end(self) -> None:
        """The connection has ended."""
        self._protocol.receive_eof()
        self._look()
        if self.closed is None:
            self.closed = LOST, ""

    def text(self, message: bytes) -> None:
        if self.is_open:
            self._protocol.send_text(message)

    def ping(self) -> None:
        if self.is_open:
            self._protocol.send_ping(b"")

    def close(self, code: int, reason: str) -> None:
        """May be said again."""
        if self.is_open:
            self._protocol.send_close(code, _cut(reason))

    @property
    def is_open(self) -> bool:
        """Whether anything can still be said."""
        return self._protocol.state is OPEN

    def taken(self) -> bytes:
        """What is to be written."""
        return b"".join(self._protocol.data_to_send())

    def _complete(self, messages: list[bytes]) -> None:
        message = bytes(self._message)
        self._message.clear()
        try:
            message.decode()
        except UnicodeDecodeError:
            self._fail(CloseCode.INVALID_DATA, "a message is not valid UTF-8")
        else:
            messages.append(message)

    def _fail(self, code: CloseCode, reason: str) -> None:
        self._protocol.fail(code, reason)
        self.closed = int(code), reason

    def _look(self) -> None:
        """Whether the other side has ended it, or broken the rules."""
        protocol = self._protocol
        if self.closed is not None:
            return
        if protocol.parser_exc is not None and not isinstance(protocol.parser_exc, EOFError):
            sent = protocol.close_sent
            code = CloseCode.PROTOCOL_ERROR if sent is None else sent.code
            self.closed = int(code), "" if sent is None else sent.reason
        elif protocol.close_rcvd is not None:
            self.closed = int(protocol.close_rcvd.code), protocol.close_rcvd.reason


def sendable(code: int) -> int:
    """The code to tell one side for what the other side ended with: codes that stand for silence are never sent."""
    if code in (CloseCode.NO_STATUS_RCVD, CloseCode.NORMAL_CLOSURE):
        return int(CloseCode.NORMAL_CLOSURE)
    is_sent = 1001 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code < 5000
    return code if is_sent else int(CloseCode.INTERNAL_ERROR)


def _cut(reason: str) -> str:
    return reason.encode("utf-8", "replace")[:_REASON].decode("utf-8", "ignore")
