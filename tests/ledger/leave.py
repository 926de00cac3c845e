"""R3: a client that leaves, in whatever phase and manner, frees the provider at once and pays for what was made for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.faults.chaosprov import Chaosprov
from tests.faults.oracle import Call
from tests.faults.steps import DONE, HANG, Finish, Head, Say, Step, Usage
from tests.ledger import oracle
from tests.ledger.clients import CHAT, Key, Request, chat
from tests.ledger.finding import Finding, at_most, equal, nothing
from tests.ledger.gateway import Gateway, Row, Wanted, serving, sum_of
from tests.ledger.sampler import at_rest, held

POLICY = """\
version: 1
providers:
  chaos: {{dialect: openai, base_url: "{base_url}", key: sk-chaos-canary, allow_private: true, retry: {{attempts: 1}}}}
  deaf: {{dialect: openai, base_url: "http://127.0.0.1:{deaf}/v1", key: sk-chaos-canary, allow_private: true}}
models:
  scripted: {{use: chaos/ok, price: {price}}}
  hanging: {{use: chaos/fault/hang-before-headers, price: {price}}}
  unreachable: {{use: deaf/ok, price: {price}}}
tenants:
  acme: {{keys: [{{name: "*", budget: [{{usd: 100, per: day}}]}}]}}
"""
WORDS = tuple(Say("word ") for _ in range(200))
SSE = Head(headers=(("Content-Type", "text/event-stream"),))
CLOSED_P99, CLOSED_MAX = 0.25, 1.0
SLACK_TOKENS, SLACK_SHARE = 8, 0.02
READ = 0.02
"""Seconds in which the gateway reads what the provider has written."""
PERHAPS = 0.2
"""Seconds after which a call that may come to the provider has come."""
ENDED = 1.0
"""Seconds within which what a call held has been settled."""


@dataclass(frozen=True, slots=True)
class Phase:
    """`waits_for`: the client leaves once it has read this. `reaches`: whether the provider hears of the call; None: perhaps.

    `slack`: by how much an estimate may be off. Of a document that was cut only its length says how much text was to come.
    """

    steps: tuple[Step, ...] = ()
    stream: bool = True
    model: str = "scripted"
    waits_for: bytes = b""
    reaches: bool | None = True
    slack: float = SLACK_SHARE


PHASES: Mapping[str, Phase] = {
    "auth": Phase(model="hanging", reaches=None),
    "connect": Phase(model="unreachable", reaches=False),
    "waiting for headers": Phase((HANG,)),
    "mid-stream": Phase((SSE, *WORDS, Say("last"), HANG), waits_for=b"last"),
    "after the last frame": Phase((SSE, *WORDS, Say("last"), Finish(), Usage(57, 201), HANG), waits_for=b"last"),
    "after DONE": Phase((SSE, *WORDS, Say("last"), Finish(), Usage(57, 201), DONE, HANG), waits_for=b"last"),
    "non-stream, waiting": Phase((HANG,), stream=False),
    "non-stream, within the body": Phase((*WORDS, Finish(), HANG), stream=False, slack=0.1),
}
MANNERS = ("FIN", "RST")


@dataclass(slots=True)
class Left:
    """What has become of the calls of one phase: seconds until the provider's connection was closed, and its calls."""

    closed: list[float] = field(default_factory=list)
    calls: dict[str, Call] = field(default_factory=dict)
    odd: list[str] = field(default_factory=list)
    times: int = 0
    slack: float = SLACK_SHARE
    is_certain: bool = True

    def count(self, records: int) -> int:
        """How many records there must be: a reset may overtake a request, which then never was one."""
        return self.times if self.is_certain else min(self.times, max(records, len(self.calls)))


async def leave(folder: Path, *, times: int, wanted: Wanted, phases: Mapping[str, Phase] = PHASES) -> list[Finding]:
    """In each phase and manner, so many times. The policy in `wanted` is replaced by the scenario's own."""
    async with Chaosprov() as provider:
        with _deaf() as deaf:
            policy = POLICY.format(base_url=provider.base_url, deaf=deaf, price=oracle.PRICE)
            async with serving(folder, replace(wanted, policy=policy)) as gateway:
                return await _leave_all(gateway, provider, times, phases)


async def _leave_all(gateway: Gateway, provider: Chaosprov, times: int, phases: Mapping[str, Phase]) -> list[Finding]:
    left: dict[str, Left] = {}
    for name, phase in phases.items():
        for manner in MANNERS:
            key = Key(f"{name} {manner}", await gateway.create_key(f"{name} {manner}", "acme"))
            left[key.name] = await _leave_often(gateway, provider, key, phase, manner=manner, times=times)
    began = time.monotonic()
    rest = await at_rest(gateway)
    ended = time.monotonic() - began
    records = await gateway.settled_records(sum(each.times for each in left.values() if each.is_certain))
    spent = sum(account.spent for account in rest.values())
    findings = [finding for name, each in left.items() for finding in _judge(name, each, records)]
    return [
        *findings,
        equal("sum of all call records, nano-USD", sum_of(records), spent),
        nothing("still held afterwards", held(rest.values())),
        at_most("until nothing is held, slices included, s", ENDED + 4, ended, is_timing=True),
    ]


def _judge(name: str, left: Left, records: Sequence[Row]) -> list[Finding]:
    mine = [record for record in records if record["key_name"] == name]
    closed = sorted(left.closed)
    findings = [
        equal(f"{name}: records", left.count(len(mine)), len(mine)),
        nothing(f"{name}: provider's calls that were not closed", left.odd),
        nothing(f"{name}: records that are neither 499 nor complete", _wrong_statuses(mine)),
        nothing(f"{name}: bills that are not the provider's count", _wrong_bills(left, mine)),
    ]
    if closed:
        p99 = closed[min(len(closed) - 1, int(len(closed) * 0.99))]
        findings.append(at_most(f"{name}: client's end to provider's, p99 s", CLOSED_P99, p99, is_timing=True))
        findings.append(
            at_most(f"{name}: client's end to provider's, at most s", CLOSED_MAX, closed[-1], is_timing=True)
        )
    return findings


def _wrong_statuses(records: Sequence[Row]) -> list[str]:
    return [f"{each['status']} {each['outcome']}" for each in records if each["status"] not in (200, 499)]


def _wrong_bills(left: Left, records: Sequence[Row]) -> list[str]:
    """The records beside the provider's calls, in their order: exact where a usage was told, near where it was not.

    Of a call that never came to the provider nothing is billed.
    """
    calls = left.calls
    wrong = [f"{each['cost_nano_usd']} nano-USD for nothing" for each in records if not calls and each["cost_nano_usd"]]
    for call, record in zip(calls.values(), reversed(records), strict=False):
        billed = record["output_tokens"] or 0
        if call.usage is not None:
            if record["cost_nano_usd"] != oracle.cost(call):
                wrong.append(f"{record['cost_nano_usd']} nano-USD for {oracle.cost(call)}")
        elif abs(billed - call.produced) > max(SLACK_TOKENS, left.slack * call.produced):
            wrong.append(f"{billed} tokens of output for {call.produced}")
    return wrong


async def _leave_often(
    gateway: Gateway, provider: Chaosprov, key: Key, phase: Phase, *, manner: str, times: int
) -> Left:
    left = Left(times=times, is_certain=phase.reaches is not None, slack=phase.slack)
    for number in range(times):
        text = f"leaves {number}."
        if phase.steps:
            provider.will(*phase.steps)
        async with _connected(gateway) as connection:
            request = chat(key, text, model=phase.model, stream=phase.stream)
            await asyncio.get_running_loop().sock_sendall(connection, _bytes(request, key))
            if phase.reaches:
                await _until_said(await _asked(provider, key, text), phase)
                await _read_until(connection, phase.waits_for)
            elif phase.reaches is False:
                await asyncio.sleep(0.02)
            left_at = time.monotonic()
            _go(connection, manner)
        await _follow(provider, key, text, phase, left, left_at=left_at)
    return left


async def _follow(provider: Chaosprov, key: Key, text: str, phase: Phase, left: Left, *, left_at: float) -> None:
    """Waits for the provider's end of the call, if it has heard of it."""
    if phase.reaches is None:
        await asyncio.sleep(PERHAPS)
    call = _find(provider, key, text)
    if call is None:
        return
    left.calls[text] = call
    try:
        async with asyncio.timeout(5):
            await provider.ended(call)
    except TimeoutError:
        left.odd.append(f"call {call.number} goes on")
    if call.closed_at is not None:
        left.closed.append(max(0.0, call.closed_at - left_at))


def _find(provider: Chaosprov, key: Key, text: str) -> Call | None:
    """The provider's end of a call of ours."""
    mark = oracle.marked(key.name, text).encode()
    return next((call for call in reversed(provider.calls) if mark in call.body), None)


async def _asked(provider: Chaosprov, key: Key, text: str) -> Call:
    async with asyncio.timeout(5):
        while (call := _find(provider, key, text)) is None:
            await provider.asked(len(provider.calls) + 1)
    return call


async def _until_said(call: Call, phase: Phase) -> None:
    """The provider has said all it is going to say, and the gateway has had the time to read it."""
    words = sum(step.tokens for step in phase.steps if isinstance(step, Say))
    tells_usage = any(isinstance(step, Usage) for step in phase.steps)
    async with asyncio.timeout(5):
        while call.produced < words or (tells_usage and call.usage is None):
            await asyncio.sleep(0.002)
    if words:
        await asyncio.sleep(READ)


async def _read_until(connection: socket.socket, words: bytes) -> None:
    received = b""
    while words not in received:
        data = await asyncio.get_running_loop().sock_recv(connection, 1 << 16)
        assert data, f"the gateway closed first, after {received[-200:]!r}"
        received += data


def _bytes(request: Request, key: Key) -> bytes:
    body = json.dumps(request.body).encode()
    head = f"POST /v1{CHAT} HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer {key.text}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _go(connection: socket.socket, manner: str) -> None:
    if manner == "RST":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@contextlib.asynccontextmanager
async def _connected(gateway: Gateway) -> AsyncIterator[socket.socket]:
    with socket.socket() as connection:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", gateway.port))
        yield connection


@contextlib.contextmanager
def _deaf() -> Iterator[int]:
    """A port on which a connect gets no answer: its queue of connections is full, and nobody accepts one."""
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = sockets.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
