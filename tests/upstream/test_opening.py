"""From a plan to an answer: which deployment is tried, how often, and what a client gets in the end."""

from __future__ import annotations

import asyncio
import json
from random import Random
from types import MappingProxyType
from typing import Any

import pytest

from gateway.core.attempt import Attempts
from gateway.core.call import Call, Operation
from gateway.core.clock import Clock
from gateway.core.deployment import Deployment, Provider, Retries
from gateway.core.errors import Broken, InvalidRequest, Overloaded, Rejected, Unavailable, Unsayable, UpstreamError
from gateway.core.span import SpanContext
from gateway.core.usage import Usage
from gateway.upstream.health import FAILURES_TO_REST, FIRST_REST, Health
from gateway.upstream.observed import Observed
from gateway.upstream.opening import Opening, Reach

STREAM = MappingProxyType({b"content-type": b"text/event-stream"})
CHUNK = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
LAST = b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
WHOLE = b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'


class Free:
    """Pays for every attempt."""

    async def reserve(self, deployment: Deployment) -> int | None:
        return None


class Scripted:
    """An exchange that answers with a status and pieces, or fails. Implements `upstream.wire.Exchange`."""

    def __init__(self, status: int, *pieces: bytes, headers: MappingProxyType[bytes, bytes] = STREAM) -> None:
        self.status = status
        self.headers = headers
        self.deadline = 0.0
        self.phase = ""
        self.is_whole = False
        self.is_stale = False
        self.sent = b""
        self._pieces = list(pieces)

    def send(self, request: bytes) -> None:
        self.sent = request

    def arrived(self) -> bytes:
        return b""

    async def head(self) -> Scripted:
        return self

    async def read(self) -> bytes:
        await asyncio.sleep(0)
        return self._pieces.pop(0) if self._pieces else b""


class Script:
    """A wire that hands out what was written down for each provider. Implements `upstream.wire.Wire`."""

    def __init__(self, **exchanges: list[Scripted | UpstreamError]) -> None:
        self.exchanges = exchanges
        self.open: list[object] = []
        self.calls: list[str] = []

    async def prepare(self) -> None:
        pass

    async def acquire(self, provider: Provider, *, fresh: bool = False) -> Scripted:
        self.calls.append(provider.name)
        found = self.exchanges[provider.name].pop(0)
        if isinstance(found, UpstreamError):
            raise found
        self.open.append(found)
        return found

    def release(self, provider: Provider, exchange: object) -> None:
        self.open.remove(exchange)


class Scene:
    def __init__(self, **exchanges: list[Scripted | UpstreamError]) -> None:
        self.now = 1000.0
        self.wire = Script(**exchanges)
        clock = Clock(now=lambda: self.now)
        self.health = Health(clock, lambda *_: None)
        self.reach = Reach(
            {"openai": self.wire, "anthropic": self.wire}, self.health, clock, Random(1), Observed(clock)
        )
        self.attempts = Attempts(SpanContext(1, 1, is_sampled=True))

    async def ask(self, *plan: Deployment, stream: bool = True, strict: bool = False, **more: Any) -> bytes:
        fields: dict[str, Any] = {
            "model": "m",
            "stream": stream,
            "messages": [{"role": "user", "content": "Hi"}],
            **more,
        }
        call = Call(
            id="r",
            operation=Operation.CHAT,
            received=0,
            model="m",
            body=json.dumps(fields).encode(),
            fields=fields,
            stream=stream,
            wants_usage=True,
            strict=strict,
        )
        got = b""
        async with Opening(self.reach, plan, call, self.attempts, Free()) as answer:
            async for chunk in answer.chunks():
                got += chunk
            got += answer.ending(None, Usage(0, 0))
        assert self.wire.open == []
        return got


def deployment(name: str, *, dialect: str = "openai", **retries: Any) -> Deployment:
    provider = Provider(name, dialect, host="h", port=1, retries=Retries(**{"max_wait": 0.2, **retries}))
    return Deployment(name=f"{name}/m", provider=provider, upstream_model="m", price=None)


async def test_an_answer_passes_through_and_its_exchange_is_given_back() -> None:
    scene = Scene(a=[Scripted(200, CHUNK, LAST)])

    assert await scene.ask(deployment("a")) == CHUNK + LAST
    assert [(each.reason, each.status, each.error) for each in scene.attempts] == [("primary", 200, None)]


@pytest.mark.parametrize("cut", range(1, len(CHUNK)))
async def test_a_stream_that_does_not_say_what_it_is_is_known_by_its_beginning_wherever_it_is_cut(cut: int) -> None:
    headers = MappingProxyType({b"content-type": b"application/octet-stream"})
    scene = Scene(a=[Scripted(200, CHUNK[:cut], CHUNK[cut:], LAST, headers=headers)])

    assert await scene.ask(deployment("a", attempts=1)) == CHUNK + LAST


async def test_a_failed_deployment_falls_back_to_the_next_in_the_plan() -> None:
    scene = Scene(a=[Scripted(500)], b=[Unavailable("no")], c=[Scripted(200, WHOLE)])

    assert await scene.ask(*map(deployment, "abc"), stream=False) == WHOLE
    assert [each.reason for each in scene.attempts] == ["primary", "fallback", "fallback"]


async def test_what_one_dialect_cannot_say_goes_on_to_the_next_deployment() -> None:
    scene = Scene(b=[Scripted(200, WHOLE)])

    assert await scene.ask(deployment("a", dialect="anthropic"), deployment("b"), stream=False, n=2) == WHOLE
    assert [(each.reason, each.error, each.is_sent) for each in scene.attempts] == [
        ("primary", "unsupported_parameter", False),
        ("fallback", None, True),
    ]
    assert scene.wire.calls == ["b"]


async def test_what_nobody_can_say_is_the_caller_s_to_mend() -> None:
    scene = Scene()

    with pytest.raises(Unsayable, match="n: Anthropic's dialect gives one answer only"):
        await scene.ask(*[deployment(name, dialect="anthropic", attempts=1) for name in "ab"], n=2)
    assert len(scene.attempts) == 2


async def test_whoever_could_have_said_it_and_failed_is_the_one_that_is_told_of() -> None:
    scene = Scene(a=[Scripted(500)])

    with pytest.raises(Unavailable):
        await scene.ask(deployment("a"), deployment("b", dialect="anthropic"), n=2)


async def test_what_has_to_be_said_wholly_is_said_to_nobody_else() -> None:
    scene = Scene(b=[Scripted(200, WHOLE)])

    with pytest.raises(InvalidRequest, match="seed cannot be said to a/m"):
        await scene.ask(deployment("a", dialect="anthropic"), deployment("b"), strict=True, seed=1)
    assert scene.wire.calls == []


async def test_the_last_deployment_is_tried_again_when_that_is_safe() -> None:
    scene = Scene(a=[Scripted(503), Scripted(200, CHUNK, LAST)])

    assert await scene.ask(deployment("a")) == CHUNK + LAST
    assert [each.reason for each in scene.attempts] == ["primary", "retry"]
    assert scene.attempts.waited >= 0.02
    assert scene.attempts[0].ended + scene.attempts.waited <= scene.attempts[1].started


@pytest.mark.parametrize(
    ("first", "error"),
    [
        (Scripted(400, b"{}"), Rejected),
        (Scripted(302), Unavailable),
        (Unavailable("reset", code="upstream_reset", retriable=False), Unavailable),
        (Scripted(200, CHUNK), Broken),
    ],
    ids=["rejected", "redirect", "perhaps done", "after its first chunk"],
)
async def test_what_may_have_been_done_or_said_is_not_tried_again(
    first: Scripted | UpstreamError, error: type[UpstreamError]
) -> None:
    scene = Scene(a=[first], b=[Scripted(200, CHUNK, LAST)])

    with pytest.raises(error):
        await scene.ask(deployment("a"), deployment("b"))
    assert scene.wire.calls == ["a"]
    assert scene.wire.open == []


async def test_no_call_takes_more_tries_than_its_policy_allows() -> None:
    scene = Scene(a=[Scripted(500) for _ in range(9)])

    with pytest.raises(Unavailable):
        await scene.ask(deployment("a", attempts=2))
    assert len(scene.attempts) == 2


async def test_when_all_rest_the_caller_is_told_when_to_come_back() -> None:
    scene = Scene(a=[])
    a = deployment("a")
    for _ in range(FAILURES_TO_REST):
        scene.health.failed(a, Unavailable("no"))

    with pytest.raises(Overloaded) as refused:
        await scene.ask(a)
    assert refused.value.retry_after == FIRST_REST


async def test_a_retry_that_cannot_be_afforded_is_not_made_and_the_next_call_may_try_at_once() -> None:
    scene = Scene(a=[Unavailable("no"), Scripted(200, CHUNK, LAST)])
    a = deployment("a")
    while scene.reach.budget.spend("a"):
        pass

    with pytest.raises(Unavailable):
        await scene.ask(a)

    assert await scene.ask(a) == CHUNK + LAST


async def test_a_client_that_leaves_before_the_answer_gives_everything_back() -> None:
    scene = Scene(a=[Scripted(200, *[b": ping\n\n"] * 1000)])
    asking = asyncio.ensure_future(scene.ask(deployment("a")))
    for _ in range(5):
        await asyncio.sleep(0)

    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking
    assert scene.wire.open == []
    assert (scene.attempts[0].error, scene.attempts[0].fault) == ("client_disconnected", "caller")
