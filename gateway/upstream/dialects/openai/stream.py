"""A stream of events, passed on byte for byte but for the usage that only we asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
import orjson

from gateway.core.call import Call, Operation
from gateway.core.errors import Broken, Unavailable, UpstreamError
from gateway.core.money import usd
from gateway.core.said import Said, text_or_none
from gateway.core.usage import NO_DETAILS, Details, Usage
from gateway.upstream.dialects import sse
from gateway.upstream.dialects.openai.texts import strings
from gateway.upstream.dialects.openai.usage import read_usage

DONE = b"data: [DONE]\n\n"
_MOST_WITHOUT_DATA = 10_000
_USAGE = b'"usage"'
_NULL_USAGES = (b',"usage":null', b', "usage": null')


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Custom(msgspec.Struct):
    name: str | None = None
    input: str | None = None


class _ToolCall(msgspec.Struct):
    function: _Function | None = None
    custom: _Custom | None = None


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
    model: Any = None
    usage: Any = msgspec.UNSET
    error: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class StreamedAnswer:
    """`feed` gives what may go to the client: complete events only, so that what is cut never looks like an event.

    The last ones, usage and `[DONE]`, are kept back for `ending`.
    """

    __slots__ = (
        "_before",
        "_begun",
        "_call",
        "_chunks",
        "_cut",
        "_finished",
        "_first",
        "_fresh",
        "_id",
        "_injected",
        "_keeps_id",
        "_model",
        "_splitter",
        "_texts",
        "_usage_event",
        "_without_data",
        "failure",
        "is_done",
        "started",
        "usage",
        "usage_sent",
    )

    def __init__(self, call: Call, *, injected: bool) -> None:
        """`injected`: usage was asked for by us, and not by the client."""
        self._call = call
        self._injected = injected
        self._splitter = sse.Splitter()
        self._without_data = 0
        self._begun: set[int] = set()
        self._finished: dict[int, str] = {}
        self._chunks = 0
        self._model: str | None = None
        self._texts: dict[int, list[str]] = {}
        self._usage_event = b""
        self._id: str | None = None
        self._cut = False
        self._fresh: dict[int, int] = {}
        self._before: dict[int, int] = {}
        self._first = b""
        self._keeps_id = False
        self.failure: UpstreamError | None = None
        self.is_done = False
        self.started = False
        self.usage: Usage | None = None
        self.usage_sent: Mapping[str, Any] | None = None

    def feed(self, data: bytes) -> bytes:
        """What came before an error is still given; the error itself is then found in `failure`."""
        passed = []
        try:
            for event in self._events(data):
                passed.append(self._passed(event))
        except UpstreamError as error:
            self.failure = error
        return b"".join(passed)

    def each(self, data: bytes) -> Iterator[bytes]:
        """The same, event by event: one that was not asked for has not been read yet."""
        try:
            for event in self._events(data):
                yield self._passed(event)
        except UpstreamError as error:
            self.failure = error

    @property
    def is_complete(self) -> bool:
        """Whether every choice that was asked for, or has begun, has come to its end."""
        enough = self.is_done or len(self._finished) >= _choices(self._call)
        return bool(self._finished) and self._begun <= self._finished.keys() and enough

    @property
    def said(self) -> Said:
        reasons = tuple(self._finished[index] for index in sorted(self._finished))
        return Said(self._id, self._model, reasons, self._chunks)

    def end(self) -> bytes:
        """The provider has closed the stream: what is left to pass on. Raises Broken unless the answer is complete."""
        rest = self._splitter.end().rstrip(b"\r\n")
        passed = b""
        if rest and _is_whole(rest):
            event = rest + b"\n\n"
            passed = self._passed(event)
        if self.is_done and not self.is_complete:
            raise Broken("the provider ended the answer without saying why", code="upstream_protocol_error")
        if not self.is_done and not self.is_complete:
            raise Broken("the provider's answer was cut off")
        return passed

    def cut(self) -> bytes:
        """Ends the answer before its last fresh text: the event that says of each choice that it has reached its length."""
        for index, texts in self._texts.items():
            del texts[self._before.get(index, 0) :]
        self._cut = self.is_done = True
        open_choices = sorted((self._begun or {0}) - self._finished.keys())
        self._finished |= dict.fromkeys(open_choices, "length")
        ending: dict[str, Any] = {"delta": {}} if self._call.operation is Operation.CHAT else {"text": ""}
        choices = [{"index": index, **ending, "finish_reason": "length"} for index in open_choices]
        note = {"stopped_by": "budget", "message": "The budget of this call ended before its answer did."}
        return _with(self._first, {"choices": choices, "usage": None, "llmgw": note})

    def ending(self, cost: int | None, usage: Usage) -> bytes:
        """The last events. The usage event, if the client asked for one, tells the cost (nano-USD) as well."""
        event = self._usage_event
        if self._cut and self._call.wants_usage:
            counts = {"prompt_tokens": usage.input, "completion_tokens": usage.output}
            event = _with(self._first, {"choices": [], "usage": {**counts, "total_tokens": sum(counts.values())}})
        return (event if not event or cost is None else _with_cost(event, cost)) + DONE

    def produced(self) -> list[str]:
        """The text that was generated, choice by choice, for counting tokens when the provider did not."""
        return ["".join(texts) for texts in self._texts.values()]

    def produced_length(self) -> int:
        return sum(len(text) for texts in self._texts.values() for text in texts)

    def fresh_text(self) -> str:
        """What was generated since this was last asked."""
        fresh = []
        self._before, self._fresh = self._fresh, {index: len(texts) for index, texts in self._texts.items()}
        for index, texts in self._texts.items():
            fresh += texts[self._before.get(index, 0) :]
        return "".join(fresh)

    def _events(self, data: bytes) -> Iterable[bytes]:
        block = self._splitter.feed(data)
        if not block:
            return ()
        one = block.find(b"\n\n") == len(block) - 2 and b"\r" not in block
        return (block,) if one else sse.events(block)

    def _passed(self, event: bytes) -> bytes:
        """Reads one event; what of it goes to the client."""
        if self.is_done:
            return b""
        data = event[6:] if event.startswith(b"data: {") and event.find(b"\n") == len(event) - 2 else sse.data_of(event)
        if data is None or not data.strip():
            return self._passed_nothing(event if data is None else b"")
        if data == b"[DONE]":
            self.is_done = True
            return b""
        try:
            chunk = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._odd(data, error) from None
        self._without_data = 0
        self._chunks += 1
        self._check_id(chunk.id)
        if chunk.error:
            raise self._reported()
        if chunk.choices is None and chunk.usage in (None, msgspec.UNSET):
            raise Broken("the provider sent an event that is no chunk of an answer", code="upstream_protocol_error")
        for choice in chunk.choices or ():
            self._begun.add(choice.index)
            if choice.finish_reason:
                self._finished[choice.index] = choice.finish_reason
            self._collect(choice)
        if not self.started and chunk.choices:
            self.started, self._first = True, data
            self._model = text_or_none(chunk.model)
        return event if chunk.usage is msgspec.UNSET else self._passed_usage(chunk, event, data)

    def _passed_nothing(self, event: bytes) -> bytes:
        """Comments and other events without data go to the client, unless nothing else comes."""
        self._without_data += 1
        if self._without_data > _MOST_WITHOUT_DATA:
            raise Broken("the provider sends nothing but empty events", code="upstream_too_large")
        return event

    def _passed_usage(self, chunk: _Chunk, event: bytes, data: bytes) -> bytes:
        """Counts never fall: a provider that tells its usage as it goes, or zeroes at the end, has used what it said before."""
        if chunk.usage is None:
            return _without_usage(event, data) if self._injected else event
        usage = read_usage(chunk.usage, self._call.operation)
        if usage is not None:
            self.usage_sent = chunk.usage
            self.usage = usage if self.usage is None else _most(self.usage, usage)
        if chunk.choices:
            return event
        self._usage_event = b"" if self._injected else event
        return b""

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
        for custom in [call.custom for call in delta.tool_calls or () if call.custom is not None]:
            texts += (custom.name or "", custom.input or "")

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


def _with(first: bytes, changes: Mapping[str, Any]) -> bytes:
    """An event like the answer's first, with its id and model, and these members instead of its own."""
    kept = {name: value for name, value in _members(first or b"{}").items() if name not in ("choices", "usage")}
    return b"data: " + msgspec.json.encode({**kept, **{n: v for n, v in changes.items() if v is not None}}) + b"\n\n"


def _with_cost(event: bytes, cost: int) -> bytes:
    """The usage event with `cost_usd` as the first member of its usage, every other value as it was written."""
    try:
        chunk = _members(sse.data_of(event) or b"{}")
        usage = _members(chunk["usage"]) if "usage" in chunk else {}
    except (msgspec.DecodeError, UnicodeDecodeError):
        return event  # what it counts is nothing that a cost could stand in
    told = {"cost_usd": msgspec.Raw(usd(cost).encode()), **{k: v for k, v in usage.items() if k != "cost_usd"}}
    return b"data: " + msgspec.json.encode({**chunk, "usage": told}) + b"\n\n"


def _without_usage(event: bytes, data: bytes) -> bytes:
    """The event without the `"usage":null` of its chunk; one inside a member of the chunk stays."""
    for null_usage in _NULL_USAGES:
        before, found, behind = event.rpartition(null_usage)
        if found and _USAGE not in before and _USAGE not in behind:
            return before + behind
    rest = {name: value for name, value in _members(data).items() if name != "usage"}
    return event.replace(data.strip(), msgspec.json.encode(rest))


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
        details=other.details if one.details is NO_DETAILS else _most_details(one.details, other.details),
        searches=max(one.searches, other.searches),
    )


def _most_details(one: Details, other: Details) -> Details:
    return Details(
        cache_write=max(one.cache_write, other.cache_write),
        audio_input=max(one.audio_input, other.audio_input),
        audio_output=max(one.audio_output, other.audio_output),
        image_input=max(one.image_input, other.image_input),
        image_output=max(one.image_output, other.image_output),
        cache_write_1h=max(one.cache_write_1h, other.cache_write_1h),
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
