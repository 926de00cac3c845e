"""One try at one deployment: from the request's bytes to the first chunk of an answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote, unquote

from gateway.core.attempt import Attempt
from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.deployment import Deployment
from gateway.core.dropped import named
from gateway.core.errors import (
    CLIENT_LEFT,
    SHUTTING_DOWN,
    SUPERSEDED,
    Broken,
    CallerError,
    GatewayError,
    InvalidRequest,
    Timeout,
    Unavailable,
    Unsayable,
    UpstreamError,
)
from gateway.core.span import SpanContext
from gateway.upstream.answer import Answer, Body, Readable
from gateway.upstream.decode import Decoder
from gateway.upstream.dialects import DIALECTS, openai, serves
from gateway.upstream.dialects.dialect import Dialect, Translation
from gateway.upstream.observed import Observed
from gateway.upstream.translated import Native, Translated
from gateway.upstream.wire import Exchange, Head, Wire

_ERROR_BODY = 64 * 1024
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_ID_HEADERS = (b"x-request-id", b"request-id", b"x-amzn-requestid")
_EVENT_BEGINNINGS = (b"data:", b"event:", b"id:", b"retry:", b":", b"\xef\xbb\xbf")


class Try:
    """Owns one exchange: `start` opens it, `close` gives it back."""

    __slots__ = (
        "_call",
        "_cap",
        "_clock",
        "_context",
        "_dialect",
        "_exchange",
        "_observed",
        "_wire",
        "attempt",
        "deployment",
    )

    def __init__(
        self,
        wire: Wire,
        deployment: Deployment,
        call: Call,
        cap: int | None,
        attempt: Attempt,
        context: SpanContext | None,
        clock: Clock,
        observed: Observed,
    ) -> None:
        """`cap`: see request_body. `context` is what the provider is told of the trace."""
        self._wire = wire
        self._call = call
        self._cap = cap
        self._context = context
        self._clock = clock
        self._observed = observed
        self._exchange: Exchange | None = None
        self._dialect = DIALECTS[deployment.provider.dialect]
        self.deployment = deployment
        self.attempt = attempt

    async def start(self) -> Answer:
        """The answer, its first chunk in hand. Raises UpstreamError; nothing is left open then."""
        self._observed.began(self.deployment.name)
        try:
            answer = await self._start()
        except BaseException as error:
            if isinstance(error, Timeout):
                self._observe()  # what was waited for in vain counts as the time it took
            elif error.args == (SUPERSEDED,):
                self._observed.outlasted(self.deployment.name, self._waited, stream=self._call.stream)
            self.close(error)
            raise
        self._observe()
        return answer

    def close(self, error: BaseException | None = None) -> None:
        if not self.attempt.ended:
            self.attempt.ended = self._clock.monotonic()
            self._observed.ended(self.deployment.name)
        if error is not None:
            self.attempt.error, self.attempt.fault = blame(error)
        if isinstance(error, UpstreamError):
            self.attempt.detail = error.detail
        if self._exchange is not None:
            self._wire.release(self.deployment.provider, self._exchange)
            self._exchange = None

    @property
    def _waited(self) -> float:
        """Seconds."""
        return self._clock.monotonic() - self.attempt.started

    def _observe(self) -> None:
        self._observed.answered(self.deployment.name, self._waited, stream=self._call.stream)

    async def _start(self) -> Answer:
        provider, call = self.deployment.provider, self._call
        await self._wire.prepare()
        request = self._request()
        began = asyncio.get_running_loop().time()
        until = began + provider.deadlines.total
        wait = provider.deadlines.headers if call.stream else provider.deadlines.whole
        exchange, head = await self._head(request, began + min(wait, provider.deadlines.total))
        self.attempt.status = head.status
        secrets = secrets_of(self.deployment)
        self.attempt.request_id = request_id_of(head.headers, secrets)
        if head.status != 200:
            text = await _error_text(exchange, head.headers)
            raise self._dialect.failure(head.status, text, head.headers, secrets=secrets, now=self._clock.now())
        body = Body(exchange, _decoder(head.headers, provider.max_output_bytes), provider.max_output_bytes)
        translation = self._dialect.translation(call)
        native = None if translation is None or not self._is_native else Native(translation)
        exchange.phase = "the first token"
        read: Readable = body
        codec: openai.StreamedAnswer | openai.RelayedAnswer | openai.WholeAnswer | openai.UnfinishedAnswer
        if openai.is_relayed(call):
            exchange.deadline = min(began + provider.deadlines.first_token, until)
            codec, first = await self._relayed(body, head.headers.get(b"content-type", b"").decode("latin-1").lower())
        elif call.stream:
            exchange.deadline = min(began + provider.deadlines.first_token, until)
            is_stream = head.headers.get(b"content-type", b"").lower().startswith(self._dialect.stream_type)
            if translation is not None and not is_stream:
                raise _no_stream()
            read = body if translation is None else Translated(body, translation, native=native)
            codec, first = await self._first_chunk(read, is_stream=is_stream)
        else:
            codec, first = await self._whole(body, _length(head.headers), translation, native)
        return Answer(
            codec,
            first=first,
            body=read,
            attempt=self.attempt,
            headers=head.headers,
            until=until,
            close=self.close,
            native=native,
        )

    @property
    def _is_native(self) -> bool:
        """Whether client and provider speak the same dialect, which is not ours."""
        return self._call.native is not None and self._call.dialect == self.deployment.provider.dialect

    def _request(self) -> bytes:
        """Its bytes. Raises Unsayable for a call that the provider's dialect cannot make; InvalidRequest where not all of it can
        be said, and it must."""
        call, deployment = self._call, self.deployment
        if not serves(deployment.provider.dialect, call.operation):
            text = f"{deployment.name} cannot be asked for this: its provider's API has no {call.operation.value}"
            raise Unsayable(text, code="unsupported_operation", param="model")
        try:
            outgoing = self._dialect.request(call, deployment, self._cap, now=self._clock.now())
        except InvalidRequest as error:
            raise Unsayable(error.message, code=error.code, param=error.param, status=error.status) from None
        self.attempt.dropped = named(outgoing.dropped if self._is_native else (*call.dropped, *outgoing.dropped))
        if call.strict and self.attempt.dropped:
            lost = self.attempt.dropped[0]
            raise InvalidRequest(
                f"{lost} cannot be said to {deployment.name}", code="unsupported_parameter", param=lost
            )
        trace = b"" if self._context is None else _trace_headers(self._context)
        further = "".join([f"{name}: {value}\r\n" for name, value in outgoing.headers]).encode("latin-1")
        accept = _accepted(call, self._dialect)
        head = _request_head(deployment, outgoing.path, outgoing.media, accept)
        return b"%b%b%bcontent-length: %d\r\n\r\n%b" % (head, further, trace, len(outgoing.body), outgoing.body)

    async def _head(self, request: bytes, deadline: float) -> tuple[Exchange, Head]:
        """Sends the request; once more on a new connection when a kept one turns out to have been closed before it."""
        provider = self.deployment.provider
        for fresh in (False, True):
            exchange = self._exchange = await self._wire.acquire(provider, fresh=fresh)
            exchange.phase, exchange.deadline = "the response headers", deadline
            exchange.is_whole = not self._call.stream
            exchange.send(request)
            self.attempt.is_sent = True
            try:
                return exchange, await exchange.head()
            except UpstreamError:
                if fresh or not exchange.is_stale:  # see Connection.is_stale: nobody can have read it
                    raise
                self._wire.release(provider, exchange)
        raise AssertionError("a fresh connection is never stale")

    async def _first_chunk(self, body: Readable, *, is_stream: bool) -> tuple[openai.StreamedAnswer, bytes]:
        codec = openai.StreamedAnswer(self._call, injected=not self._call.wants_usage)
        first = begun = b""
        while not codec.started:
            data = await body.read()
            if not data:
                first += codec.end()
                break
            if not is_stream:
                begun += data
                if any(each.startswith(begun.lstrip()) for each in _EVENT_BEGINNINGS):
                    continue  # too little to tell
                if not begun.lstrip().startswith(_EVENT_BEGINNINGS):
                    raise _no_stream()
                is_stream, data = True, begun
            first += codec.feed(data)
            if codec.failure is not None and not codec.started:
                raise codec.failure
        return codec, first

    async def _relayed(self, body: Body, content_type: str) -> tuple[openai.RelayedAnswer, bytes]:
        codec = openai.RelayedAnswer(self._call, content_type)
        first = b""
        while not codec.started and (data := await body.read()):
            first += codec.feed(data)
            if codec.failure is not None and not codec.started:
                raise codec.failure
        return codec, first if codec.started else first + codec.end()

    async def _whole(
        self, body: Body, length: int | None, translation: Translation | None, native: Native | None
    ) -> tuple[openai.WholeAnswer | openai.UnfinishedAnswer, bytes]:
        pieces = []
        try:
            while data := await body.read():
                pieces.append(data)
        except (UpstreamError, asyncio.CancelledError) as error:
            text = b"".join(pieces) + (body.exchange.arrived() if body.decoder is None else b"")
            if not text or (isinstance(error, Timeout) and self.deployment.provider.retries.replay):
                raise
            if translation is not None:
                text = translation.unfinished(text)
            return openai.UnfinishedAnswer(self._call, text, error, length=length), b""
        text = b"".join(pieces)
        if native is not None:
            native.add(text)
        if translation is not None:
            text = translation.whole(text)
        return openai.WholeAnswer(self._call, text), text


def blame(error: BaseException) -> tuple[str, str]:
    """Why an attempt ended early, and whose fault that was."""
    if isinstance(error, GatewayError):
        return error.code, error.fault
    if isinstance(error, asyncio.CancelledError) and error.args == (SUPERSEDED,):
        return SUPERSEDED, GatewayError.fault
    if isinstance(error, asyncio.CancelledError) and error.args != (SHUTTING_DOWN,):
        return CLIENT_LEFT, CallerError.fault
    return "shutting_down" if isinstance(error, asyncio.CancelledError) else "internal_error", GatewayError.fault


def _no_stream() -> Unavailable:
    code = "upstream_invalid_response"
    return Unavailable("the provider did not answer with a stream", code=code, retriable=False)


def _trace_headers(context: SpanContext) -> bytes:
    state = f"tracestate: {context.state}\r\n" if context.state else ""
    return f"traceparent: {context.traceparent()}\r\n{state}".encode("latin-1")


def _accepted(call: Call, dialect: Dialect) -> str:
    if openai.is_relayed(call):
        return "*/*"
    return dialect.stream_type.decode() if call.stream else "application/json"


@lru_cache(maxsize=512)
def _request_head(deployment: Deployment, path: str, media: str, accept: str) -> bytes:
    """The request line and headers but for the length; the same for every call to a deployment."""
    provider = deployment.provider
    query = f"{'&' if '?' in path else '?'}{provider.query}" if provider.query else ""
    target = f"{provider.path}{path}{query}".replace("{model}", deployment.upstream_model)
    credentials = "".join(f"{name}: {secret.reveal()}\r\n" for name, secret in provider.headers)
    return (
        f"POST {target} HTTP/1.1\r\nhost: {provider.authority}\r\n{credentials}content-type: {media}\r\n"
        f"accept: {accept}\r\naccept-encoding: identity\r\nuser-agent: llmgw\r\n"
    ).encode("latin-1")


@lru_cache(maxsize=512)
def secrets_of(deployment: Deployment) -> tuple[str, ...]:
    """The credential texts of a provider, as they are and as URLs write them, to be taken out of its words; longest first."""
    provider = deployment.provider
    values = [secret.reveal() for _, secret in (*provider.headers, *provider.options)]
    if (signing := provider.signing) is not None:
        hidden = filter(None, (signing.secret_access_key, signing.session_token))
        values += [signing.access_key_id, *(secret.reveal() for secret in hidden)]
    texts = [*values, *(value.partition(" ")[2] for value in values)]  # what follows `Bearer` or another scheme
    for pair in provider.query.split("&"):
        name, _, value = pair.partition("=")
        if "version" not in name:
            texts.append(value)
    written = {form for text in texts for form in (text, quote(text), quote(text, safe=""), unquote(text))}
    return tuple(sorted((text for text in written if len(text) >= 6), key=len, reverse=True))


def _length(headers: Mapping[bytes, bytes]) -> int | None:
    """What the body is long, where it is not compressed."""
    length = headers.get(b"content-length", b"")
    return int(length) if length.isdigit() and b"content-encoding" not in headers else None


def _decoder(headers: Mapping[bytes, bytes], limit: int) -> Decoder | None:
    coding = headers.get(b"content-encoding")
    return None if coding is None or coding.lower() == b"identity" else Decoder(coding, limit=limit)


async def _error_text(exchange: Exchange, headers: Mapping[bytes, bytes]) -> bytes:
    """The beginning of an error's body; one that breaks off, or that we cannot inflate, is no worse than none."""
    text = b""
    try:
        body = Body(exchange, _decoder(headers, _ERROR_BODY), _ERROR_BODY)
        while len(text) < _ERROR_BODY and (data := await body.read()):
            text += data
    except (Broken, Unavailable):
        return text
    return text


def request_id_of(headers: Mapping[bytes, bytes], secrets: tuple[str, ...]) -> str | None:
    """The provider's own id of the call, unless it says more than an id should."""
    id = next((headers[name] for name in _ID_HEADERS if name in headers), b"").decode("latin-1")
    return id if _ID.fullmatch(id) and not any(secret in id for secret in secrets) else None
