"""An answer as the events of a response, or as the response itself."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from gateway.core.arrival import Native
from gateway.core.call import Operation
from gateway.core.errors import GatewayError
from gateway.ingress.reply import envelope, plain
from gateway.ingress.responses import shape
from gateway.ingress.responses.chunk import Chunk, read
from gateway.ingress.responses.events import Events
from gateway.ingress.responses.output import Output
from gateway.ingress.responses.relayed import Relayed
from gateway.ingress.tool_names import Names
from gateway.upstream.dialects import sse
from gateway.upstream.dialects.openai import read_usage

_PARAMS = {
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "messages": "input",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
    "logprobs": "include",
}
"""What a client of responses knows chat's parameters as."""


class ResponsesSpeech:
    """Implements `ingress.reply.Speech`. `asked` says what the client has sent, once that is known."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` gives UTC seconds."""
        self._now = now
        self._fields: Mapping[str, Any] = {}
        self._custom: Collection[str] = ()
        self._own: Collection[str] = ()
        self._is_kept = False
        self._relayed: Relayed | None = None
        self._ids = secrets.token_hex(22)
        self._events = Events()
        self._output = Output(self._events, self._ids)
        self._begun: dict[str, Any] | None = None
        self._reason: str | None = None
        self._note: Any = None
        self._told: Mapping[str, Any] | None = None
        self._ended: bytes | None = None

    def asked(
        self,
        fields: Mapping[str, Any],
        *,
        names: Names | None = None,
        custom: Collection[str],
        own: Collection[str],
        is_kept: bool,
    ) -> None:
        """`fields` is the request, `names` its tools; `custom` and `own` name those that are to be called in their own form."""
        self._fields = fields
        self._is_kept = is_kept
        self._output = Output(self._events, self._ids, names=names, custom=custom, own=own)

    @property
    def response(self) -> bytes | None:
        """The response as the client has it, once it has ended."""
        if self._relayed is not None:
            return self._relayed.response
        return None if self._told is None else msgspec.json.encode(self._told)

    def begin(self, native: Native | None) -> None:
        if native is not None:
            self._relayed = Relayed(native)

    def sent(self, chunk: bytes) -> bytes:
        if self._relayed is not None:
            return self._relayed.sent(chunk)
        if chunk.startswith(b"data: {") and chunk.find(b"\n") == len(chunk) - 2:
            self._take(read(chunk[6:]))
            return self._events.take()
        return self._of_events(chunk)

    def ended(self, last: bytes) -> bytes:
        """The same each time it is asked."""
        if self._ended is not None:
            return self._ended
        if self._relayed is not None:
            self._ended = self._relayed.ended()
            return self._ended
        before = self._of_events(last, is_last=True)
        if self._begun is None:
            self._begin(Chunk())
        self._end()
        assert self._told is not None
        self._events.tell(str(self._told["status"]), {"response": self._told})
        self._ended = before + self._events.take()
        return self._ended

    def whole(self, body: bytes) -> bytes:
        """The same each time it is asked."""
        if self._ended is None and self._relayed is not None:
            self._ended = self._relayed.whole()
        elif self._ended is None:
            completion = read(body)
            self._take(completion)
            self._end()
            self._events.take()
            self._ended = msgspec.json.encode(self._told)
        return self._ended

    def failed(self, error: GatewayError) -> bytes:
        return envelope(error, param=_PARAMS.get(error.param or ""))

    def broken(self, error: GatewayError) -> bytes:
        message = plain(error.message)
        events = self._events if self._relayed is None else Events(self._relayed.last_number + 1)
        begun = self._begun if self._relayed is None else self._relayed.begun
        told = events.take() if self._relayed is None else self._relayed.sent()
        events.error({"code": error.code, "message": message, "param": error.param})
        if begun is not None:
            output = self._output.items if self._relayed is None else []
            response = shape.failed(begun, output, status=error.status, message=message)
            events.tell("failed", {"response": response})
        return told + events.take()

    def _of_events(self, block: bytes, *, is_last: bool = False) -> bytes:
        """What chunks say; what keeps a connection warm is passed on as it is."""
        comments = []
        for event in sse.events(block):
            data = sse.data_of(event)
            if data is None or not data.strip():
                comments.append(event)
            elif data != b"[DONE]":
                self._take(read(data))
        return b"".join(comments if not is_last else []) + self._events.take()

    def _take(self, chunk: Chunk) -> None:
        if self._begun is None:
            self._begin(chunk)
        for choice in chunk.choices or ():
            if choice.index != 0:
                continue
            self._output.take(choice)
            if choice.finish_reason:
                self._reason = str(choice.finish_reason)
                self._output.close("incomplete" if self._reason == "length" else "completed")
        self._note = chunk.llmgw or self._note
        if chunk.usage is not None and self._begun is not None:
            self._begun["usage"] = _usage(chunk.usage)
        if isinstance(chunk.service_tier, str) and self._begun is not None:
            self._begun["service_tier"] = chunk.service_tier

    def _begin(self, chunk: Chunk) -> None:
        model = chunk.model if isinstance(chunk.model, str) else str(self._fields.get("model"))
        self._begun = shape.response(
            f"resp_{self._ids}", self._fields, created=int(self._now()), model=model, is_kept=self._is_kept
        )
        self._events.tell("created", {"response": self._begun})
        self._events.tell("in_progress", {"response": self._begun})

    def _end(self) -> None:
        assert self._begun is not None
        self._output.close()
        usage, now = self._begun["usage"], int(self._now())
        told = shape.ended(self._begun, self._output.items, reason=self._reason, usage=usage, now=now)
        self._told = told if self._note is None else {**told, "llmgw": self._note}


def _usage(told: Any) -> dict[str, Any] | None:
    usage = read_usage(told, Operation.CHAT)
    if usage is None:
        return None
    cost = {"cost_usd": told["cost_usd"]} if "cost_usd" in told else {}
    return {**shape.usage_of(usage), **cost}
