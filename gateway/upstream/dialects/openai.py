"""OpenAI's wire format as providers speak it: requests spliced from the client's bytes, answers passed on as they came."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, TypeGuard

import msgspec
import orjson

from gateway.core.call import Call, Operation
from gateway.core.deployment import Deployment
from gateway.core.errors import Broken, Rejected, Unavailable, UpstreamError
from gateway.core.money import usd
from gateway.core.usage import Usage
from gateway.upstream.dialects import sse

PATHS = {
    Operation.CHAT: "/chat/completions",
    Operation.COMPLETION: "/completions",
    Operation.EMBEDDINGS: "/embeddings",
}

DONE = b"data: [DONE]\n\n"
_KEPT = 256 * 1024
_LONGEST_WAIT = 120.0
_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_OWN_FIELD = "llmgw"

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


def request_body(call: Call, deployment: Deployment) -> bytes:
    """The client's JSON with the provider's model name, usage asked for on streams, and our own field taken out.

    Every other value stays as it was written, byte for byte.
    """
    changes: dict[str, bytes | msgspec.Raw] = {}
    if deployment.upstream_model != call.model:
        changes["model"] = orjson.dumps(deployment.upstream_model)
    if call.stream and not call.wants_usage and deployment.provider.stream_usage:
        options = call.fields.get("stream_options") or {}
        changes["stream_options"] = orjson.dumps({**options, "include_usage": True})
    if not changes and _OWN_FIELD not in call.fields:
        return call.body
    parts = []
    for name, value in _members.decode(call.body).items():
        if name != _OWN_FIELD:
            parts.append(b"%b:%b" % (orjson.dumps(name), changes.pop(name, value)))
    parts += [b"%b:%b" % (orjson.dumps(name), value) for name, value in changes.items()]
    return b"{" + b",".join(parts) + b"}"


class WholeAnswer:
    """An answer that comes in one piece."""

    __slots__ = ("_answer", "_call", "body", "usage")

    def __init__(self, call: Call, body: bytes) -> None:
        """Raises Unavailable when `body` is not a complete answer to `call`."""
        self._call = call
        self.body = body
        self._answer = _parse_answer(body, call.operation)
        self.usage = read_usage(self._answer.get("usage"), call.operation)

    def produced(self) -> str:
        """All text that was generated, for counting tokens when the provider did not."""
        return "".join(text for choice in self._answer.get("choices") or () for text in _texts(choice, "message"))


class StreamedAnswer:
    """A stream of events, passed on byte for byte but for the usage that only we asked for.

    `feed` gives what may go to the client: complete events only, so that what is cut never looks like an event. The last
    ones, usage and `[DONE]`, are kept back for `ending`.
    """

    __slots__ = (
        "_call",
        "_done",
        "_finished",
        "_injected",
        "_kept",
        "_kept_size",
        "_produced",
        "_splitter",
        "_usage_event",
        "started",
        "usage",
    )

    def __init__(self, call: Call, *, injected: bool) -> None:
        self._call = call
        self._injected = injected
        self._splitter = sse.Splitter()
        self._finished: set[int] = set()
        self._done = False
        self._kept: list[bytes] = []
        self._kept_size = 0
        self._produced: list[str] = []
        self._usage_event = b""
        self.started = False
        self.usage: Usage | None = None

    def feed(self, data: bytes) -> bytes:
        """Raises UpstreamError when the provider reports an error or sends what is no event of this dialect."""
        block = self._splitter.feed(data)
        if not block or self._done:
            return b""
        if self._injected and b',"usage":null' in block:
            block = block.replace(b',"usage":null', b"")
        if self.started and _is_plain(block):
            self._keep(block)
            return block
        return b"".join([self._event(event) for event in sse.events(block)])

    def end(self) -> bytes:
        """The provider has closed the stream: what is left to pass on. Raises Broken unless the answer is complete."""
        rest = self._splitter.end()
        passed = b""
        if rest.strip():
            data = sse.data_of(rest)
            if data is not None and (data == b"[DONE]" or _is_json(data)):
                passed = self._event(rest.rstrip(b"\r\n") + b"\n\n")
        if self._call.operation is not Operation.EMBEDDINGS and not self._finished:
            if self._done:
                raise Broken("the provider ended the answer without saying why", code="upstream_protocol_error")
            raise Broken("the provider's answer was cut off")
        if not self._done and len(self._finished) < (self._call.fields.get("n") or 1):
            raise Broken("the provider's answer was cut off")
        return passed

    def ending(self, cost: int | None) -> bytes:
        """The last events. The usage event, if the client asked for one, tells the cost (nano-USD) as well."""
        event = self._usage_event
        if event and cost is not None:
            event = _USAGE.sub(b'"usage":{"cost_usd":' + usd(cost).encode() + b",", event, count=1)
        return event + DONE

    def produced(self) -> str:
        self._fold()
        return "".join(self._produced)

    def _event(self, event: bytes) -> bytes:
        if self._done:
            return b""
        data = sse.data_of(event)
        if data is None:
            return event
        if data == b"[DONE]":
            self._done = True
            return b""
        if not data:
            return b""
        chunk = _parse_chunk(data)
        if chunk.get("error"):
            raise self._reported(chunk["error"])
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            raise Broken("the provider sent an event that is no chunk of an answer", code="upstream_protocol_error")
        self._finished.update(choice.get("index", 0) for choice in choices if _is_finished(choice))
        usage = read_usage(chunk.get("usage"), self._call.operation)
        if usage is not None:
            self.usage = usage
            if not choices:
                self._usage_event = b"" if self._injected else event
                return b""
        self.started = self.started or bool(choices)
        self._keep(event)
        return event

    def _reported(self, error: Any) -> UpstreamError:
        message = error.get("message") if isinstance(error, dict) else None
        text = f"the provider reported an error: {str(message)[:200]}" if message else "the provider reported an error"
        return Broken(text, code="upstream_error") if self.started else Unavailable(text)

    def _keep(self, block: bytes) -> None:
        self._kept.append(block)
        self._kept_size += len(block)
        if self._kept_size > _KEPT:
            self._fold()

    def _fold(self) -> None:
        """Reduces the kept events to the text they carry."""
        for event in sse.events(b"".join(self._kept)):
            data = sse.data_of(event)
            if data and _is_json(data):
                chunk = orjson.loads(data)
                for choice in (chunk.get("choices") if isinstance(chunk, dict) else None) or ():
                    self._produced += _texts(choice, "delta")
        self._kept.clear()
        self._kept_size = 0


def read_usage(usage: Any, operation: Operation) -> Usage | None:
    """The provider's own count, or None when it gave none that can be true."""
    if not isinstance(usage, dict):
        return None
    sent = usage.get("prompt_tokens")
    made = usage.get("completion_tokens", 0 if operation is Operation.EMBEDDINGS else None)
    if not _is_count(sent) or not _is_count(made):
        return None
    return Usage(
        input=sent,
        output=made,
        cached=min(sent, _detail(usage, "prompt_tokens_details", "cached_tokens")),
        reasoning=min(made, _detail(usage, "completion_tokens_details", "reasoning_tokens")),
    )


def failure(status: int, body: bytes, headers: Mapping[bytes, bytes], secrets: tuple[str, ...]) -> UpstreamError:
    """What a status other than 200 means. The provider's words are passed on only for errors in the call itself."""
    if status in (401, 403):
        return Unavailable(
            "the provider refused the gateway's credential", code="upstream_auth_failed", should_retry=False
        )
    if status == 429:
        return Unavailable(
            "the provider is limiting the rate of calls",
            code="upstream_rate_limited",
            status=429,
            type="rate_limit_error",
            retry_after=retry_after(headers),
            should_retry=True,
        )
    if 300 <= status < 400:
        return Unavailable("the provider answered with a redirect", code="upstream_redirect", retriable=False)
    if 400 <= status < 500:
        return _rejected(status, body, secrets)
    if status >= 500:
        return Unavailable("the provider failed", retry_after=retry_after(headers))
    return Unavailable("the provider answered without content", code="upstream_invalid_response", retriable=False)


def retry_after(headers: Mapping[bytes, bytes]) -> float | None:
    """Seconds the provider asked us to wait, from 0 to 120; None when it said nothing we understand."""
    for name, unit in ((b"retry-after-ms", 1000.0), (b"retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, b"")) / unit
        except ValueError:
            continue
        if seconds >= 0:
            return min(seconds, _LONGEST_WAIT)
    return _until(headers.get(b"retry-after", b""), headers.get(b"date", b""))


def _until(then: bytes, now: bytes) -> float | None:
    """Seconds between two HTTP dates, both the provider's own, so that our clocks need not agree."""
    try:
        seconds = (parsedate_to_datetime(then.decode()) - parsedate_to_datetime(now.decode())).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(seconds, 0.0), _LONGEST_WAIT)


def _is_plain(block: bytes) -> bool:
    """Whether no event of the block can be one that we act on. May say no too often, never yes too often."""
    if b"[DONE]" in block or b'"error"' in block:
        return False
    if b"finish_reason" in block and block.count(b"finish_reason") != block.count(b'finish_reason":null'):
        return False
    return b'"usage"' not in block or block.count(b'"usage"') == block.count(b'"usage":null')


def _is_finished(choice: Any) -> bool:
    return isinstance(choice, dict) and choice.get("finish_reason") is not None


def _parse_chunk(data: bytes) -> dict[str, Any]:
    try:
        chunk = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise Broken("the provider sent an event that is not JSON", code="upstream_protocol_error") from None
    if not isinstance(chunk, dict):
        raise Broken("the provider sent an event that is not an object", code="upstream_protocol_error")
    return chunk


def _parse_answer(body: bytes, operation: Operation) -> dict[str, Any]:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _invalid("is not JSON") from None
    if not isinstance(answer, dict):
        raise _invalid("is not an object")
    if answer.get("error"):
        raise Unavailable("the provider answered 200 with an error", code="upstream_invalid_response")
    if operation is Operation.EMBEDDINGS:
        if not isinstance(answer.get("data"), list):
            raise _invalid("has no data")
        return answer
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices:
        raise _invalid("has no choices")
    content = "message" if operation is Operation.CHAT else "text"
    for choice in choices:
        _check_choice(choice, content)
    return answer


def _check_choice(choice: Any, content: str) -> None:
    if not isinstance(choice, dict) or not isinstance(choice.get(content), dict if content == "message" else str):
        raise _invalid(f"has a choice without {content}")
    if choice.get("finish_reason") is None:
        raise Broken("the provider's answer was cut off")
    if content != "message":
        return
    message = choice["message"]
    text = message.get("content")
    if text is not None and not isinstance(text, str | list):
        raise _invalid("has content that is not text")
    for call in message.get("tool_calls") or ():
        function = call.get("function") if isinstance(call, dict) else None
        if function is not None and not isinstance(function.get("arguments"), str):
            raise _invalid("has a tool call whose arguments are not text", "upstream_invalid_tool_call")


def _texts(choice: Any, content: str) -> list[str]:
    """The generated texts of one choice: content, reasoning, refusal, and the names and arguments of tool calls."""
    if not isinstance(choice, dict):
        return []
    message = choice.get(content)
    if not isinstance(message, dict):
        return [text] if isinstance(text := choice.get("text"), str) else []
    texts = [message.get(name) for name in ("content", "reasoning_content", "reasoning", "refusal")]
    for call in message.get("tool_calls") or ():
        if isinstance(call, dict) and isinstance(function := call.get("function"), dict):
            texts += [function.get("name"), function.get("arguments")]
    return [text for text in texts if isinstance(text, str)]


def _rejected(status: int, body: bytes, secrets: tuple[str, ...]) -> Rejected:
    error: Any = None
    try:
        error = orjson.loads(body).get("error")
    except (orjson.JSONDecodeError, AttributeError):
        error = None
    if not isinstance(error, dict):
        error = {"message": error} if isinstance(error, str) else {}
    message = str(error.get("message") or "the provider refused the call")
    for secret in secrets:
        message = message.replace(secret, "***")
    message = _CREDENTIAL.sub("***", message)
    code = error.get("code")
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        code = str(status)
    param = error.get("param")
    return Rejected(
        message[:2048],
        status=status if status in (400, 404, 408, 409, 413, 422) else 400,
        code=f"upstream_{code}",
        param=param[:256] if isinstance(param, str) else None,
    )


_CODE = re.compile(r"[a-z0-9_]{1,64}")
_CREDENTIAL = re.compile(r"\b(?:sk|pk|key|rk|gsk|xai)[-_][A-Za-z0-9_*.-]{6,}|\bBearer\s+\S+")


def _detail(usage: Mapping[str, Any], group: str, name: str) -> int:
    details = usage.get(group)
    count = details.get(name) if isinstance(details, dict) else None
    return count if _is_count(count) else 0


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40


def _is_json(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True


def _invalid(what: str, code: str = "upstream_invalid_response") -> Unavailable:
    return Unavailable(f"the provider's answer {what}", code=code)
