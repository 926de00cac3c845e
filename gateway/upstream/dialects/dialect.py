"""What a provider's dialect has to say to be spoken: requests written, answers read, without I/O.

The gateway's own terms are OpenAI's chat dialect: a call's `fields`, and the chunks of an answer. A dialect translates its
provider's answers into them; OpenAI's own needs none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.core.call import Call
from gateway.core.deployment import Deployment
from gateway.core.errors import UpstreamError


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A POST to `path`, which begins with `/` and stands below the provider's base URL. `headers` are further ones.

    `dropped` names what of the call this dialect has no word for, as paths: `logit_bias`, `messages[2].name`.
    """

    path: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()


class Translation(Protocol):
    """One answer, turned into chat's terms as it comes. Methods raise UpstreamError for what is no answer."""

    def feed(self, data: bytes) -> bytes:
        """Of a stream in any pieces: complete events, each `data: {a chat.completion.chunk}`.

        A choice's `finish_reason` is told only when the provider has told its end, usage by a chunk without choices, and
        `data: [DONE]` only when the provider has said that the stream is over: a stream that was cut never looks complete.
        An error that the provider reports becomes `data: {"error": {}}`, and what keeps a connection warm a comment.
        """
        ...

    def end(self) -> bytes:
        """The provider has closed the stream: what was left of it."""
        ...

    def whole(self, body: bytes) -> bytes:
        """Of a complete body: a chat.completion."""
        ...

    def unfinished(self, body: bytes) -> bytes:
        """Of the beginning of a body: as much of a chat.completion as can be read, or b"{}". Never raises."""
        ...

    def closing(self) -> bytes:
        """The provider's own events that would end a stream before its last event, as one that has reached its length: that
        event is not delivered. b"" if the stream has ended."""
        ...


class Dialect(Protocol):
    """`stream_type` is how a stream's Content-Type begins, in lower case."""

    stream_type: bytes

    def request(self, call: Call, deployment: Deployment, cap: int | None, *, now: float) -> Outgoing:
        """`cap` is the output cap to be written in the place of the client's own; `now` is UTC seconds.

        A call of this same dialect is sent as `call.native` has it. Raises CallerError for a call that it cannot make.
        """
        ...

    def translation(self, call: Call) -> Translation | None:
        """None: answers are in chat's terms already."""
        ...

    def failure(
        self, status: int, body: bytes, headers: Mapping[bytes, bytes], *, secrets: tuple[str, ...], now: float
    ) -> UpstreamError:
        """What a status other than 200 means. `secrets` are taken out of the provider's words; `now` is UTC seconds."""
        ...
