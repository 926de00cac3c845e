"""The vocabulary a provider's answer is scripted in.

A script reads the same for both kinds of answer. A streamed answer writes each step as it is played; a whole answer
gathers `Say`, `Tool`, `Finish` and `Usage` and writes one document at the end of the script. A fault met before that
end (`HANG`, `CUT`, `RESET`, `HALF_CLOSE`) writes the first half of the document first, if there is anything in it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


@dataclass(frozen=True, slots=True)
class Say:
    """One content chunk; `tokens` is what the oracle counts as produced."""

    text: str
    tokens: int = 1
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Tool:
    """One whole tool call; a stream gets its name first and its arguments in two halves."""

    name: str
    arguments: Any
    id: str = "call_1"
    index: int = 0
    tokens: int = 5


@dataclass(frozen=True, slots=True)
class Finish:
    """The provider's finish signal."""

    reason: str = "stop"


@dataclass(frozen=True, slots=True)
class Usage:
    """The usage block; values may be nonsense on purpose."""

    prompt: Any
    completion: Any


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event: `data` verbatim when it is text, else as JSON. Ignored in a whole answer."""

    data: str | Mapping[str, Any]
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """The response head, said explicitly; a length given here also frames the body (None: chunked)."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """Body bytes, written in the framing of the head."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes put on the wire as they are, outside any framing."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Json:
    """A complete answer: this value as a JSON document."""

    value: Any
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """A complete answer with this status; without a body, an OpenAI-shaped error is made up."""

    code: int
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Sleep:
    """Seconds of silence."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Until:
    """Silence until the event is set."""

    event: asyncio.Event


class Act(Enum):
    """Steps that carry nothing."""

    DONE = "data: [DONE]"
    HANG = "silence until the peer closes"
    CUT = "close with FIN"
    RESET = "close with RST"
    HALF_CLOSE = "FIN, but keep reading"
    DIE_ON_REUSE = "close without an answer when the next request comes on this connection"


DONE = Act.DONE
HANG = Act.HANG
CUT = Act.CUT
RESET = Act.RESET
HALF_CLOSE = Act.HALF_CLOSE
DIE_ON_REUSE = Act.DIE_ON_REUSE

Step = Say | Tool | Finish | Usage | Event | Head | Body | Raw | Json | Status | Sleep | Until | Act


@dataclass(frozen=True, slots=True)
class Split:
    """Where the bytes of one answer, its head included, are cut into separate writes."""

    at: tuple[int, ...] = ()
    every: int = 0
    gap: float = 0.0005

    @property
    def gapped(self) -> bool:
        return bool(self.at or self.every)

    def pieces(self, data: bytes, *, written: int) -> list[bytes]:
        """`data` cut at the offsets that fall inside it, `written` bytes having gone before."""
        if self.every:
            first = self.every - written % self.every
            cuts = list(range(first, len(data), self.every))
        else:
            cuts = [offset - written for offset in sorted(self.at) if 0 < offset - written < len(data)]
        return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True) if start < end]


WHOLE = Split()


@dataclass(frozen=True, slots=True)
class Script:
    """What one call is answered with."""

    steps: tuple[Step, ...]
    split: Split = WHOLE
