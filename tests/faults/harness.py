"""Runs one case against a gateway over a raw socket, and judges every byte that comes back.

Whatever the row says, an error must have our envelope, a request id and the retry hints of its status; no answer may
hold the provider's key or the virtual one; and the next call must be answered as if nothing had happened.
"""

import asyncio
import contextlib
import fnmatch
import json
import re
import socket
import struct
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.faults.case import ANY, Case, Expect, Send, wire
from tests.faults.chaosprov import Chaosprov
from tests.faults.gateway_process import GatewayUnderTest
from tests.faults.http1 import HEAD_LIMIT, Head, read_body, read_head

CANARY = "sk-chaos-canary"
AFTERWARDS = "ok-1-tokens"
"""The model of the call that follows each case; such calls are not counted as the case's own."""
PATIENCE = 12.0
NOT_RETRIED = {400, 401, 402, 403, 404, 409, 413, 415, 422}
RETRIED = {429, 503, 504}
MESSAGE = re.compile(r"[ -~]{1,512}")


@dataclass(frozen=True, slots=True)
class Seen:
    """One response as it came off the wire."""

    status: int
    head: Head
    body: bytes
    whole: bool
    seconds: float
    bare: bool = False
    """Whether it has no body by its kind, as the answer to HEAD."""

    def header(self, name: str) -> str | None:
        return self.head.header(name)

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def events(self) -> list[str]:
        """The `data:` values of a stream, the lines of one event joined."""
        blocks = self.text.replace("\r\n", "\n").replace("\r", "\n").split("\n\n")
        data = (
            [line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:")] for block in blocks
        )
        return ["\n".join(lines) for lines in data if lines]


class Wrong(AssertionError):
    """What a response was and should not have been."""


async def run(case: Case, *, gateway: GatewayUnderTest, provider: Chaosprov, stream: bool) -> None:
    """Runs the case once. Raises Wrong."""
    model = _own_model(case, stream=stream)
    for earlier in case.before:
        await exchange(gateway, case=None, model=f"{earlier}@{case.id}" if "/" in earlier else earlier)
    start = len(provider.calls)
    expected = case.stream_expect if stream else case.expect
    if expected[0][0].status == 0:
        await _send_and_reset(gateway, wire(case.send, key=gateway.key, model=model, stream=stream))
    else:
        closed = await _converse(case, gateway=gateway, model=model, stream=stream, expected=expected)
        _require(closed or not expected[-1][0].closes, "the connection was left open")
    _check_calls(case, provider, start=start, expected=expected)
    if case.received is not None:
        body = provider.calls[start].body
        _require(case.received.encode() in body, f"the provider did not receive {case.received!r} but {body[:300]!r}")
    mine = {call.connection for call in provider.calls[start:]}
    (after,) = await exchange(gateway, case=None, model=AFTERWARDS)
    _require(after.status == 200, f"the next call was answered with {after.status}: {after.text[:300]}")
    if case.fresh_connection:
        _require(provider.calls[-1].connection not in mine, "the provider's connection was used again")


async def exchange(
    gateway: GatewayUnderTest, *, case: Case | None, model: str, stream: bool = False, count: int = 1
) -> list[Seen]:
    """Sends the case's request, or a valid one, and reads `count` responses."""
    send = case.send if case else Send()
    async with _connect(gateway) as wire_end:
        wire_end.send(wire(send, key=gateway.key, model=model, stream=stream), send=send)
        return [await wire_end.read(head_only=send.method == "HEAD") for _ in range(count)]


def judge(seen: Seen, expect: Expect, *, key: str) -> None:
    """Raises Wrong if the response is not what is expected."""
    _require(seen.status in _options(expect.status), f"status {seen.status}, not {expect.status}: {seen.text[:400]}")
    _require(seen.whole, f"the response is not whole: {seen.text[-200:]!r}")
    _require(bool(seen.header("x-request-id")), "no x-request-id")
    _check_headers(seen, expect)
    everything = seen.text + repr(seen.head)
    for secret in (CANARY, key, *expect.absent):
        _require(secret not in everything, f"the answer holds {secret[:20]!r}")
    for text in expect.contains:
        _require(text in seen.text, f"the answer does not hold {text!r}: {seen.text[:600]}")
    if expect.within is not None:
        _require(seen.seconds <= expect.within, f"it took {seen.seconds:.2f} s")
    if expect.event:
        _check_event(seen, expect)
    elif seen.status >= 400:
        _check_error(seen, expect)
    elif "event-stream" in (seen.header("content-type") or ""):
        _check_stream(seen, expect)
    elif expect.text is not None or expect.finish is not None:
        _check_document(seen, expect)


def _own_model(case: Case, *, stream: bool) -> str | None:
    """Each run has a deployment of its own, so that one row's failures do not cool down the next one's."""
    if case.upstream is None or "/" not in case.upstream:
        return case.upstream
    if case.before:
        return f"{case.upstream}@{case.id}"
    return f"{case.upstream}@{case.id}{'-stream' if stream else ''}"


async def _converse(
    case: Case, *, gateway: GatewayUnderTest, model: str | None, stream: bool, expected: Sequence[Sequence[Expect]]
) -> bool:
    """Sends the request and judges each response; whether the gateway closed the connection after the last one."""
    async with _connect(gateway) as end:
        end.send(wire(case.send, key=gateway.key, model=model, stream=stream), send=case.send)
        for alternatives in expected:
            patience = max(PATIENCE, *(expect.within or 0 for expect in alternatives)) + 3
            seen = await end.read(head_only=case.send.method == "HEAD", patience=patience)
            _judge_any(seen, alternatives, key=gateway.key)
        return await end.is_closed() if expected[-1][0].closes else True


def _judge_any(seen: Seen, alternatives: Sequence[Expect], *, key: str) -> None:
    reasons = []
    for expect in alternatives:
        try:
            return judge(seen, expect, key=key)
        except Wrong as wrong:
            reasons.append(str(wrong))
    raise Wrong(" | ".join(reasons))


def _check_calls(case: Case, provider: Chaosprov, *, start: int, expected: Sequence[Sequence[Expect]]) -> None:
    count = sum(call.model != AFTERWARDS for call in provider.calls[start:])
    wanted = case.calls
    if wanted is None:
        first = expected[0][0]
        wanted = 1 if first.event or first.status == 200 or case.upstream else 0
    least, most = wanted if isinstance(wanted, list) else (wanted, wanted)
    _require(least <= count <= most, f"{count} upstream calls, not {wanted}")


def _check_headers(seen: Seen, expect: Expect) -> None:
    for name, pattern in (expect.headers or {}).items():
        value = seen.header(name)
        fits = value is None if pattern is None else value is not None and re.fullmatch(pattern, value)
        _require(bool(fits), f"header {name}: {value!r}, not {pattern!r}")


def _check_error(seen: Seen, expect: Expect) -> None:
    if not seen.bare:
        kind = seen.header("content-type") or ""
        _require(kind.startswith("application/json"), f"content-type {kind!r}")
        _check_envelope(_json(seen.text), expect)
    _check_hints(seen, expect)
    if seen.status == 401:
        _require((seen.header("www-authenticate") or "").startswith("Bearer"), "no WWW-Authenticate: Bearer")


def _check_envelope(body: Any, expect: Expect) -> None:
    _require(isinstance(body, dict) and set(body) == {"error"}, f"no envelope: {str(body)[:300]}")
    error = body["error"]
    _require(set(error) >= {"message", "type", "param", "code"}, f"keys {sorted(error)}")
    _require(bool(MESSAGE.fullmatch(error["message"])), f"message {error['message'][:600]!r}")
    for name, wanted in (("type", expect.error_type), ("code", expect.code), ("param", expect.param)):
        if name == "code" and wanted is None:
            continue
        _require(_fits(error[name], wanted), f"{name} {error[name]!r}, not {wanted!r} ({error['message']})")


def _check_hints(seen: Seen, expect: Expect) -> None:
    hint, wait = seen.header("x-should-retry"), seen.header("retry-after")
    if expect.should_retry is not None:
        _require(hint == str(expect.should_retry).lower(), f"x-should-retry {hint!r}, not {expect.should_retry}")
    elif seen.status in NOT_RETRIED:
        _require(hint == "false", f"x-should-retry {hint!r} on {seen.status}")
    elif seen.status in RETRIED:
        _require(hint == "true", f"x-should-retry {hint!r} on {seen.status}")
        _require(bool(wait and re.fullmatch(r"\d{1,2}|1[01]\d|120", wait)), f"Retry-After {wait!r} on {seen.status}")


def _check_event(seen: Seen, expect: Expect) -> None:
    *before, last = seen.events or [""]
    _require("[DONE]" not in seen.events, f"[DONE] in a failed stream: {seen.text[-300:]!r}")
    _check_envelope(_json(last), expect)
    reasons = [choice.get("finish_reason") for value in before for choice in _json(value).get("choices", [])]
    _require(not any(reasons), f"finish_reason {reasons} in a failed stream")


def _check_stream(seen: Seen, expect: Expect) -> None:
    _require(seen.events[-1:] == ["[DONE]"], f"the stream does not end with [DONE]: {seen.text[-300:]!r}")
    choices = [choice for value in seen.events[:-1] for choice in _json(value).get("choices", [])]
    said = "".join(choice["delta"].get("content") or "" for choice in choices if choice["index"] == 0)
    reasons = [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]
    _require(bool(reasons), "a good stream without a finish_reason")
    _check_answer(said, reasons[0], expect)


def _check_document(seen: Seen, expect: Expect) -> None:
    choice = _json(seen.text)["choices"][0]
    _check_answer(choice["message"].get("content") or "", choice["finish_reason"], expect)


def _check_answer(said: str, reason: str, expect: Expect) -> None:
    _require(expect.text is None or said == expect.text, f"the answer is {said[:300]!r}")
    _require(expect.finish is None or reason == expect.finish, f"finish_reason {reason!r}")


def _fits(value: Any, wanted: Any) -> bool:
    return any(option in (value, ANY) or _is_like(value, option) for option in _options(wanted))


def _is_like(value: Any, pattern: Any) -> bool:
    return isinstance(value, str) and isinstance(pattern, str) and fnmatch.fnmatchcase(value, pattern)


def _options(wanted: Any) -> list[Any]:
    return wanted if isinstance(wanted, list) else [wanted]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise Wrong(f"not JSON: {text[:300]!r}") from None


def _require(holds: bool, complaint: str) -> None:
    if not holds:
        raise Wrong(complaint)


class _WireEnd:
    """The client's end of a connection; unlike asyncio's own streams it still gives what came before a reset."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._reader = asyncio.StreamReader(limit=HEAD_LIMIT)
        self._started = time.monotonic()
        self._pump = asyncio.create_task(self._receive())
        self._sending: asyncio.Task[None] | None = None

    def send(self, data: bytes, *, send: Send) -> None:
        """Starts sending, so that an answer to half a request can be read."""
        self._started = time.monotonic()
        self._sending = asyncio.create_task(self._send(data, send))

    async def read(self, *, head_only: bool = False, patience: float = PATIENCE) -> Seen:
        """The next final response. Raises Wrong if none comes in time."""
        try:
            async with asyncio.timeout(patience):
                return await self._read(head_only=head_only)
        except TimeoutError:
            raise Wrong(f"no whole response within {patience:.0f} s") from None

    async def is_closed(self) -> bool:
        """Whether the gateway closes within a second."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._pump), 1)
        return self._pump.done()

    async def end(self) -> None:
        for task in (self._pump, self._sending):
            if task:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _read(self, *, head_only: bool) -> Seen:
        while True:
            head = await read_head(self._reader)
            if head is None:
                raise Wrong("the connection was closed without a response")
            found = re.match(r"HTTP/1\.1 (\d{3})\b", head.start)
            if found is None:
                raise Wrong(f"no status line: {head.start[:100]!r}")
            status = int(found[1])
            if status >= 200:
                break
        bare = head_only or status in (204, 304)
        body, whole = (b"", True) if bare else await self._body(head)
        return Seen(status, head, body, whole, time.monotonic() - self._started, bare)

    async def _body(self, head: Head) -> tuple[bytes, bool]:
        body = await read_body(self._reader, head, until_close=True)
        return body.data, body.whole

    async def _receive(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):
            while data := await loop.sock_recv(self._socket, 1 << 16):
                self._reader.feed_data(data)
        self._reader.feed_eof()

    async def _send(self, data: bytes, send: Send) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):
            at_once = send.at_once if send.pace else len(data)
            await loop.sock_sendall(self._socket, data[:at_once])
            for byte in data[at_once:]:
                await asyncio.sleep(send.pace)
                await loop.sock_sendall(self._socket, bytes([byte]))
            if send.then == "fin":
                self._socket.shutdown(socket.SHUT_WR)


@contextlib.asynccontextmanager
async def _connect(gateway: GatewayUnderTest) -> AsyncIterator[_WireEnd]:
    with socket.socket() as connection:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connection, (gateway.host, gateway.port))
        end = _WireEnd(connection)
        try:
            yield end
        finally:
            await end.end()


async def _send_and_reset(gateway: GatewayUnderTest, data: bytes) -> None:
    with socket.socket() as connection:
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, (gateway.host, gateway.port))
        await loop.sock_sendall(connection, data)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
