"""Gemini's answers in chat's terms, as they come."""

from __future__ import annotations

import jiter
import msgspec

from gateway.core.call import Call
from gateway.core.errors import Broken, Unavailable, UpstreamError
from gateway.upstream.dialects import sse
from gateway.upstream.dialects.chunks import DONE, Chunks, completion
from gateway.upstream.dialects.gemini import answer
from gateway.upstream.dialects.gemini.answer import Candidate, Response, UsageMetadata
from gateway.upstream.dialects.gemini.usage import is_longer, read_usage, usage

_BLOCKED = {"role": "assistant", "content": ""}


class Translation:
    """Implements `dialects.dialect.Translation` for chats.

    A stream has no end mark of its own: it is over with its HTTP body, and complete if each candidate has told why it ended.
    """

    __slots__ = (
        "_calls",
        "_chunks",
        "_created",
        "_failure",
        "_finished",
        "_seed",
        "_splitter",
        "_told",
        "_untold",
        "_without_id",
    )

    def __init__(self, call: Call, created: int) -> None:
        self._without_id = f"chatcmpl-{call.id}"
        self._created = created
        self._chunks = Chunks(self._without_id, call.model, created)
        self._splitter = sse.Splitter()
        self._calls: dict[int, int] = {}
        self._finished: set[int] = set()
        self._failure: UpstreamError | None = None
        self._told: UsageMetadata | None = None
        self._untold: UsageMetadata | None = None
        self._seed = call.id

    def feed(self, data: bytes) -> bytes:
        """An error that follows other events is raised by the next call, so that these are not lost."""
        return self._read(self._splitter.feed(data))

    def end(self) -> bytes:
        passed = self._read(self._splitter.end(), is_last=True) + self._tell()
        if self._failure is not None:
            raise self._failure
        is_complete = bool(self._calls) and self._finished >= self._calls.keys()
        return passed + DONE if is_complete else passed

    def whole(self, body: bytes) -> bytes:
        try:
            response = answer.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise _invalid("is no answer of Gemini's") from None
        if (failure := answer.wrong(response, started=False)) is not None:
            raise failure
        if not response.candidates and not answer.is_blocked(response):
            raise _invalid("has no candidates")
        return self._completion(response)

    def unfinished(self, body: bytes) -> bytes:
        try:
            read = jiter.from_json(body, partial_mode="trailing-strings")
            return self._completion(answer.decode(msgspec.json.encode(read)))
        except (ValueError, TypeError, RecursionError):  # msgspec's errors are ValueErrors
            return b"{}"

    def closing(self) -> bytes:
        return b""  # no client speaks Gemini's dialect

    def _read(self, block: bytes, *, is_last: bool = False) -> bytes:
        if self._failure is not None:
            raise self._failure
        passed = b""
        try:
            for event in sse.events(block) if block else ():
                passed += self._event(sse.data_of(event), is_last=is_last)
        except UpstreamError as error:
            if not passed:
                raise
            self._failure = error
        return passed

    def _event(self, data: bytes | None, *, is_last: bool) -> bytes:
        if data is None or not data.strip():
            return b": \n\n"
        try:
            response = answer.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if is_last:  # the beginning of an event
                return b""
            raise Broken("the provider sent an event that is no answer", code="upstream_protocol_error") from None
        if response.response_id and self._chunks.id == self._without_id:
            self._seed = self._chunks.id = response.response_id
        if response.model_version:
            self._chunks.model = response.model_version
        failure = answer.wrong(response, started=bool(self._calls))
        if failure is not None:
            raise failure
        passed = b"".join([self._candidate(each) for each in response.candidates or ()])
        if answer.is_blocked(response) and not self._calls:
            self._calls[0] = 0
            self._finished.add(0)
            passed = self._chunks.choice(0, _BLOCKED, finish="content_filter")
        return passed + self._told_usage(response)

    def _candidate(self, candidate: Candidate) -> bytes:
        index = candidate.index
        before = self._calls.get(index)
        parts = (candidate.content.parts if candidate.content else None) or ()
        delta, calls = answer.content(parts, seed=f"{self._seed}/{index}", calls=before or 0)
        if before is None:
            delta = {"role": "assistant", "content": "", **delta}
        self._calls[index] = calls
        reason = None if index in self._finished else answer.finish(candidate.finish_reason, calls=calls)
        if reason is not None:
            self._finished.add(index)
        told = answer.logprobs(candidate.logprobs_result)
        if not delta and reason is None and told is None:
            return b""
        return self._chunks.choice(index, delta, finish=reason, logprobs=told)

    def _told_usage(self, response: Response) -> bytes:
        """Each event tells it as far as it has come, and what a stream that is cut has used is to be known. Text that was made is
        counted by whoever gets it: as long as nothing else was added, it is told with the end."""
        told = read_usage(response.usage_metadata)
        if told is None or told == self._told:
            return b""
        self._untold = told
        is_over = bool(self._calls) and self._finished >= self._calls.keys()
        return b"" if self._told is not None and not is_over and is_longer(told, self._told) else self._tell()

    def _tell(self) -> bytes:
        """What was not told yet."""
        counted, self._untold = self._untold, None
        if counted is None or (told := usage(counted)) is None:
            return b""
        self._told = counted
        return self._chunks.usage(told)

    def _completion(self, response: Response) -> bytes:
        seed = response.response_id or self._seed
        choices = []
        for candidate in response.candidates or ():
            parts = (candidate.content.parts if candidate.content else None) or ()
            message, calls = answer.content(parts, seed=f"{seed}/{candidate.index}", calls=0)
            for call in message.get("tool_calls", ()):
                del call["index"]
            choices.append(
                {
                    "index": candidate.index,
                    "message": {"role": "assistant", "content": None, "refusal": None, **message},
                    "logprobs": answer.logprobs(candidate.logprobs_result),
                    "finish_reason": answer.finish(candidate.finish_reason, calls=calls),
                }
            )
        if answer.is_blocked(response):
            choices.append({"index": 0, "message": _BLOCKED, "logprobs": None, "finish_reason": "content_filter"})
        id, model = response.response_id or self._chunks.id, response.model_version or self._chunks.model
        return completion(id, model, self._created, choices, usage(read_usage(response.usage_metadata)))


def _invalid(what: str) -> Unavailable:
    """It has answered, and so may have worked: asking again may cost again."""
    return Unavailable(f"the provider's answer {what}", code="upstream_invalid_response", retriable=False)
