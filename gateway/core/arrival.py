"""The two ends of a call as the flow sees them: what arrived, and where its answer goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from gateway.core.call import Call
from gateway.core.feedback import Feedback
from gateway.core.secret import Secret
from gateway.core.span import SpanContext
from gateway.core.tenant import Tenant
from gateway.core.trial import TrialResult


class Asked(Protocol):
    """A request that has arrived whole. `received` is monotonic seconds."""

    @property
    def id(self) -> str: ...

    @property
    def received(self) -> float: ...

    @property
    def peer(self) -> str:
        """The address the request came from."""
        ...

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str:
        """The route's, without a query."""
        ...

    @property
    def operation(self) -> str:
        """What is asked for: the value of a core.call.Operation, or `models`."""
        ...

    @property
    def context(self) -> SpanContext | None:
        """The caller's own span, if it says which."""
        ...

    @property
    def credential(self) -> Secret | None: ...


class Arrival(Asked, Protocol):
    """A call; nothing of its body has been read yet."""

    def read(self, *, strict: bool) -> Call:
        """The call in our terms. `strict` judges the fields that only providers act on, too.

        Raises InvalidRequest.
        """
        ...


class Remembering(Protocol):
    """What a call's client leaves to us between its calls."""

    async def recall(self, tenant: Tenant) -> None:
        """Before the call is read: what it refers to, of the tenant's own. Raises NotFound, InvalidRequest, Overloaded."""
        ...

    async def keep(self, last: bytes) -> None:
        """After the answer is paid for and before its `last` bytes are sent. Raises nothing that the client need know."""
        ...


class Verdict(Asked, Protocol):
    """Feedback; nothing of its body has been read yet."""

    def read(self) -> Feedback:
        """Raises InvalidRequest."""
        ...


class Tried(Asked, Protocol):
    """A trial that has ended, of a call that was answered before."""

    @property
    def result(self) -> TrialResult: ...


Headers = tuple[tuple[str, str], ...]


class Audience(Protocol):
    """Other calls that listen to an answer. `joined` is set while there are `listeners`.

    Whoever answers sets `leave`, which ends the call, when its own client has left; it is called once nobody listens any more.
    """

    leave: Callable[[], object] | None

    @property
    def listeners(self) -> int: ...

    @property
    def joined(self) -> asyncio.Event: ...


class Native(Protocol):
    """What a provider wrote, for a client that speaks its dialect. `is_single`: each event is read by itself, as it is until
    somebody says that it need not be."""

    is_single: bool

    def take(self) -> bytes:
        """What has come since the last time."""
        ...

    def closing(self) -> bytes:
        """The events that end the answer where the provider has not: as one that has reached its length. b"" else."""
        ...


class Reply(Protocol):
    """The way back to the client. Nothing is sent before the first chunk of a stream, or the end of a whole answer."""

    def share(self, audience: Audience | None) -> None:
        """While somebody else listens to the answer, the call goes on without its client, and does not wait for it."""
        ...

    def begin(self, content_type: str, *, stream: bool, headers: Headers, native: Native | None) -> None:
        """Says what kind of answer comes. A whole answer is held back until `end`, a stream is sent as it comes.

        Chunks are in OpenAI's dialect. Where the provider speaks the client's own, `native` has what it wrote.
        """
        ...

    async def send(self, chunk: bytes) -> None:
        """Passes a chunk on, and waits while the client is slower than we are."""
        ...

    def end(self, last: bytes, *, headers: Headers) -> None:
        """Sends the last bytes and ends the response; `headers` are for a whole answer, whose head is still to be sent."""
        ...
