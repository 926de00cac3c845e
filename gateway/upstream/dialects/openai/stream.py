"""A stream of events, passed on byte for byte but for the usage that only we asked for."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from gateway.core.call import Call
from gateway.core.errors import Broken, Unavailable, UpstreamError
from gateway.core.money import usd
from gateway.core.usage import Usage
from gateway.upstream.dialects import sse
from gateway.upstream.dialects.openai.texts import strings
from gateway.upstream.dialects.openai.usage import read_usage

DONE = b"data: [DONE]\n\n"
_MOST_WITHOUT_DATA = 10_000
_NULL_USAGE = b',"usage":null'


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    function: _Function | None = None


class _Delta(msgspec.Struct):
    function_call: _Function | None = None
    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    finish_reason: str | None = None
    delta: _Delta | None = None
    text: str | None = None


class _Chunk(msgspec.Struct):
    """What we read of a chunk; everything else is checked to be JSON and skipped."""

    choices: list[_Choice] | None = None
    id: str | None = None
    usage: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class StreamedAnswer:
    """`feed` gives what may go to the client: complete events only, so that what is cut never looks like an event.

    The last ones, usage and `[DONE]`, are kept back for `ending`.
    """

    __slots__ = (
        "_begun",
        "_call",
        "_finished",
        "_id",
        "_injected",
        "_keeps_id",
        "_splitter",
        "_texts",
        "_usage_event",
        "_without_data",
        "failure",
        "is_done",
        "started",
        "usage",
    )

    def __init__(self, call: Call, *, injected: bool) -> None:
        """`injected`: usage was asked for by us, and not by the client."""
        self._call = call
        self._injected = injected
        self._splitter = sse.Splitter()
        self._without_data = 0
        self._begun: set[int] = set()
        self._finished: set[int] = set()
        self._texts: dict[int, list[str]] = {}
        self._usage_event = b""
        self._id: str | None = None
        self._keeps_id = False
        self.failure: UpstreamError | None = None
        self.is_done = False
        self.started = False
        self.usage: Usage | None = None

    def feed(self, data: bytes) -> bytes:
        """What came before an error is still given; the error itself is then found in `failure`."""
        try:
            block = self._splitter.feed(data)
        except UpstreamError as error:
            self.failure = error
            return b""
        if not block:
            return b""
        if self._injected and _NULL_USAGE in block:
            block = block.replace(_NULL_USAGE, b"")
        events = [block] if block.find(b"\n\n") == len(block) - 2 and b"\r" not in block else sse.events(block)
        passed = []
        try:
            for event in events:
                if self._passes(event):
                    passed.append(event)
        except UpstreamError as error:
            self.failure = error
        return block if len(passed) == len(events) else b"".join(passed)

    @property
    def is_complete(self) -> bool:
        """Whether every choice that was asked for, or has begun, has come to its end."""
        enough = self.is_done or len(self._finished) >= _choices(self._call)
        return bool(self._finished) and self._begun <= self._finished and enough

    def end(self) -> bytes:
        """The provider has closed the stream: what is left to pass on. Raises Broken unless the answer is complete."""
        rest = self._splitter.end().rstrip(b"\r\n")
        passed = b""
        if rest and _is_whole(rest):
            event = rest + b"\n\n"
            passed = event if self._passes(event) else b""
        if self.is_done and not self.is_complete:
            raise Broken("the provider ended the answer without saying why", code="upstream_protocol_error")
        if not self.is_done and not self.is_complete:
            raise Broken("the provider's answer was cut off")
        return passed

    def ending(self, cost: int | None) -> bytes:
        """The last events. The usage event, if the client asked for one, tells the cost (nano-USD) as well."""
        event = self._usage_event
        return (event if not event or cost is None else _with_cost(event, cost)) + DONE

    def produced(self) -> list[str]:
        """The text that was generated, choice by choice, for counting tokens when the provider did not."""
        return ["".join(texts) for texts in self._texts.values()]

    def _passes(self, event: bytes) -> bool:
        """Reads one event; whether it goes to the client as it is."""
        if self.is_done:
            return False
        data = event[6:] if event.startswith(b"data: {") and event.find(b"\n") == len(event) - 2 else sse.data_of(event)
        if data is None or not data.strip():
            return self._passes_nothing(event if data is None else b"")
        if data == b"[DONE]":
            self.is_done = True
            return False
        try:
            chunk = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._odd(data, error) from None
        self._without_data = 0
        self._check_id(chunk.id)
        if chunk.error:
            raise self._reported()
        if chunk.choices is None and chunk.usage is None:
            raise Broken("the provider sent an event that is no chunk of an answer", code="upstream_protocol_error")
        for choice in chunk.choices or ():
            self._begun.add(choice.index)
            if choice.finish_reason:
                self._finished.add(choice.index)
            self._collect(choice)
        self.started = self.started or bool(chunk.choices)
        return chunk.usage is None or self._passes_usage(chunk, event)

    def _passes_nothing(self, event: bytes) -> bool:
        """Comments and other events without data go to the client, unless nothing else comes."""
        self._without_data += 1
        if self._without_data > _MOST_WITHOUT_DATA:
            raise Broken("the provider sends nothing but empty events", code="upstream_too_large")
        return bool(event)

    def _passes_usage(self, chunk: _Chunk, event: bytes) -> bool:
        """Counts never fall: a provider that tells its usage as it goes, or zeroes at the end, has used what it said before."""
        usage = read_usage(chunk.usage, self._call.operation)
        if usage is not None:
            self.usage = usage if self.usage is None else _most(self.usage, usage)
        if chunk.choices:
            return True
        self._usage_event = b"" if self._injected else event
        return False

    def _collect(self, choice: _Choice) -> None:
        texts = self._texts.setdefault(choice.index, [])
        delta = choice.delta
        if delta is None:
            texts.append(choice.text or "")
            return
        if isinstance(delta.content, str):
            texts.append(delta.content)
        elif delta.content:
            texts += strings(delta.content)
        for text in (delta.reasoning_content, delta.reasoning, delta.refusal):
            if text:
                texts.append(text)
        for function in (delta.function_call, *(call.function for call in delta.tool_calls or ())):
            if function is not None:
                texts += (function.name or "", function.arguments or "")

    def _check_id(self, id: str | None) -> None:
        """Chunks of another answer must not be delivered. A provider that gives each chunk its own id never repeats one."""
        if not id:
            return
        if id == self._id:
            self._keeps_id = True
        elif self._keeps_id:
            raise Broken("the provider mixed two answers in one stream", code="upstream_protocol_error")
        else:
            self._id = id

    def _odd(self, data: bytes, error: Exception) -> UpstreamError:
        """Why a chunk is not of the usual types: it reports an error, or is nothing that we can pass on as an answer."""
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError:
            return Broken("the provider sent an event that is not JSON", code="upstream_protocol_error")
        if isinstance(value, dict) and value.get("error"):
            return self._reported()
        if ".arguments" in str(error):
            return Broken("the arguments of a tool call are not text", code="upstream_invalid_tool_call")
        return Broken("the provider sent an event that is no chunk of an answer", code="upstream_protocol_error")

    def _reported(self) -> UpstreamError:
        """The provider's words may hold anything, our credential included: they are not passed on."""
        text = "the provider reported an error"
        return Broken(text, code="upstream_error") if self.started else Unavailable(text)


def _with_cost(event: bytes, cost: int) -> bytes:
    """The usage event with `cost_usd` as the first member of its usage, every other value as it was written."""
    chunk = _members(sse.data_of(event) or b"{}")
    usage = _members(chunk["usage"]) if "usage" in chunk else {}
    told = {"cost_usd": msgspec.Raw(usd(cost).encode()), **{k: v for k, v in usage.items() if k != "cost_usd"}}
    return b"data: " + msgspec.json.encode({**chunk, "usage": told}) + b"\n\n"


def _choices(call: Call) -> int:
    """How many choices were asked for: `n` for each prompt."""
    prompts = call.fields.get("prompt")
    several = isinstance(prompts, list) and all(isinstance(each, str | list) for each in prompts)
    return int(call.fields.get("n") or 1) * (len(prompts) if several and isinstance(prompts, list) else 1)


def _most(one: Usage, other: Usage) -> Usage:
    return Usage(
        input=max(one.input, other.input),
        output=max(one.output, other.output),
        cached=max(one.cached, other.cached),
        reasoning=max(one.reasoning, other.reasoning),
    )


def _is_whole(event: bytes) -> bool:
    """Whether an event without its blank line is complete all the same."""
    data = sse.data_of(event)
    if data is None or data == b"[DONE]":
        return data is not None
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True
