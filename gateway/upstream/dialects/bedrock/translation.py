"""Converse's answers in chat's terms, as they come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jiter
import msgspec

from gateway.core.call import Call
from gateway.core.errors import Broken, Unavailable, UpstreamError
from gateway.upstream.dialects.bedrock import answer
from gateway.upstream.dialects.bedrock.answer import Answer, Block, Event, Reasoning
from gateway.upstream.dialects.bedrock.eventstream import Decoder, Message
from gateway.upstream.dialects.bedrock.failure import reported
from gateway.upstream.dialects.chunks import DONE, Chunks, completion

_decode_text = msgspec.json.Decoder(str).decode


@dataclass(slots=True)
class _Open:
    """A content block that has begun. `call` is its place among the calls of tools."""

    call: int | None = None
    has_input: bool = False
    image: str = ""
    thought: list[str] = field(default_factory=list)
    signature: str | None = None
    redacted: str = ""


class Translation:
    """Implements `dialects.dialect.Translation`. A stream is complete with its messageStop; usage follows, and ends it."""

    __slots__ = (
        "_call",
        "_calls",
        "_chunks",
        "_created",
        "_decoder",
        "_failure",
        "_is_finished",
        "_is_over",
        "_open",
        "_started",
    )

    def __init__(self, call: Call, created: int) -> None:
        self._call = call
        self._created = created
        self._chunks = Chunks(f"chatcmpl-{call.id}", call.model, created)
        self._decoder = Decoder()
        self._open: dict[int, _Open] = {}
        self._calls = 0
        self._started = self._is_finished = self._is_over = False
        self._failure: UpstreamError | None = None

    def feed(self, data: bytes) -> bytes:
        """An error that follows other events is raised by the next call, so that these are not lost."""
        if self._failure is not None:
            raise self._failure
        passed = b""
        try:
            for message in self._decoder.feed(data):
                passed += self._message(message)
        except UpstreamError as error:
            if not passed:
                raise
            self._failure = error
        return passed

    def end(self) -> bytes:
        if self._failure is not None:
            raise self._failure
        if not self._is_finished or self._is_over:
            return b""
        self._is_over = True
        return DONE

    def whole(self, body: bytes) -> bytes:
        try:
            told = answer.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise _invalid("is no answer of Bedrock's") from None
        if told.output is None or told.output.message is None:
            raise _invalid("has no message")
        if told.stop_reason in answer.INVALID:
            raise _invalid("is not what the model should have said", code="upstream_invalid_tool_call")
        return self._completion(told)

    def unfinished(self, body: bytes) -> bytes:
        try:
            read = jiter.from_json(body, partial_mode="trailing-strings")
            return self._completion(answer.decode(msgspec.json.encode(read)))
        except (ValueError, TypeError, RecursionError):  # msgspec's errors are ValueErrors
            return b"{}"

    def closing(self) -> bytes:
        return b""  # no client speaks Bedrock's dialect

    def _message(self, message: Message) -> bytes:
        if self._is_over:
            return b""
        if message.headers.get(":message-type") != "event":
            raise reported(message.headers.get(":exception-type", ""), started=self._started)
        try:
            event = answer.decode_event(message.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Broken("the provider sent an event that is no answer", code="upstream_protocol_error") from None
        read = _EVENTS.get(message.headers.get(":event-type", ""))
        return b": \n\n" if read is None else read(self, event)

    def _role(self, event: Event) -> bytes:
        return self._choice({"role": "assistant", "content": ""})

    def _choice(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        self._started = True
        return self._chunks.choice(0, delta, finish=finish)

    def _begin(self, event: Event) -> bytes:
        block = self._open[event.content_block_index] = _Open()
        start = event.start
        if start is None or start.tool_use is None:
            block.image = start.image.format if start is not None and start.image is not None else ""
            return b""
        block.call = self._calls
        self._calls += 1
        function = {"name": start.tool_use.name, "arguments": ""}
        call = {"index": block.call, "id": start.tool_use.tool_use_id, "type": "function", "function": function}
        return self._choice({"tool_calls": [call]})

    def _delta(self, event: Event) -> bytes:
        delta = event.delta
        if delta is None:
            return b""
        if delta.text:
            return self._choice({"content": delta.text})
        if (block := self._open.get(event.content_block_index)) is None:  # blocks of text may begin without saying so
            block = self._open[event.content_block_index] = _Open()
        if delta.tool_use is not None and block.call is not None:
            return self._input(delta, block)
        if delta.reasoning_content is not None:
            return self._thought(delta.reasoning_content, block)
        if delta.image is not None:
            return self._choice({"images": [answer.image(block.image, delta.image.source)]})
        return b""

    def _input(self, delta: Block, block: _Open) -> bytes:
        raw = bytes(delta.tool_use.input) if delta.tool_use is not None else b""
        try:
            text = _decode_text(raw) if raw else ""
        except msgspec.DecodeError:
            text = "the arguments of a tool call are not text"
            raise Broken(text, code="upstream_invalid_tool_call") from None
        if not text:
            return b""
        block.has_input = True
        return self._choice({"tool_calls": [{"index": block.call, "function": {"arguments": text}}]})

    def _thought(self, said: Reasoning, block: _Open) -> bytes:
        if said.signature:
            block.signature = said.signature
        if said.redacted_content:
            block.redacted += said.redacted_content
        if not said.text:
            return b""
        block.thought.append(said.text)
        return self._choice({"reasoning_content": said.text})

    def _stop(self, event: Event) -> bytes:
        """Thinking is told as text when it comes, and signed when it is whole; a call without arguments has an empty object."""
        block = self._open.pop(event.content_block_index, None)
        if block is None:
            return b""
        if block.call is not None and not block.has_input:
            return self._choice({"tool_calls": [{"index": block.call, "function": {"arguments": "{}"}}]})
        if block.redacted:
            return self._choice({"thinking_blocks": [{"type": "redacted_thinking", "data": block.redacted}]})
        if block.signature:
            thought = {"type": "thinking", "thinking": "".join(block.thought), "signature": block.signature}
            return self._choice({"thinking_blocks": [thought]})
        return b""

    def _finish(self, event: Event) -> bytes:
        if event.stop_reason in answer.INVALID:
            text = "the provider's model called no tool that there is, or called it wrongly"
            raise Broken(text, code="upstream_invalid_tool_call")
        if event.stop_reason is None or self._is_finished:
            return b""
        self._is_finished = True
        return self._choice({}, answer.FINISHED.get(event.stop_reason, "content_filter"))

    def _metadata(self, event: Event) -> bytes:
        told = answer.usage(event.usage)
        passed = b"" if told is None else self._chunks.usage(told)
        if not self._is_finished:
            return passed
        self._is_over = True
        return passed + DONE

    def _completion(self, told: Answer) -> bytes:
        said = told.output.message if told.output is not None else None
        choice = {
            "index": 0,
            "message": answer.message((said.content if said is not None else None) or ()),
            "logprobs": None,
            "finish_reason": None
            if told.stop_reason is None
            else answer.FINISHED.get(told.stop_reason, "content_filter"),
        }
        return completion(self._chunks.id, self._chunks.model, self._created, [choice], answer.usage(told.usage))


_EVENTS = {
    "messageStart": Translation._role,
    "contentBlockStart": Translation._begin,
    "contentBlockDelta": Translation._delta,
    "contentBlockStop": Translation._stop,
    "messageStop": Translation._finish,
    "metadata": Translation._metadata,
}


def _invalid(what: str, code: str = "upstream_invalid_response") -> Unavailable:
    """It has answered, and so may have worked: asking again may cost again."""
    return Unavailable(f"the provider's answer {what}", code=code, retriable=False)
