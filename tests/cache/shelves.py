"""What the cache stage works with, in memory: a store, orders to forget, a way back to the client, answers."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.cache.admission import Rules as Admission
from gateway.cache.claim import Cache
from gateway.cache.hits import STREAM, Hit
from gateway.cache.keep import Keeper
from gateway.cache.key import Sharing
from gateway.cache.replay import Replays, Unclaimed
from gateway.cache.rules import CacheRules, Rule
from gateway.cache.shared.flights import SharedFlights
from gateway.core.arrival import Audience, Headers, Native
from gateway.core.bill import Bill
from gateway.core.call import Call, Operation
from gateway.core.clock import Clock
from gateway.core.deployment import Deployment, Model, Provider
from gateway.core.errors import Overloaded
from gateway.core.purge import Marked, Purge
from gateway.core.secret import Secret
from gateway.core.tasks import Tasks
from gateway.core.tenant import Tenant
from gateway.core.usage import Usage
from gateway.route.decision import Decision
from gateway.store.contract import Store
from tests.cache.test_replay import Shelf

PROVIDER = Provider("lab", "openai", host="lab.example")
DEPLOYMENT = Deployment("lab/small", PROVIDER, "small-1", None)
ELSEWHERE = Deployment("other/big", Provider("other", "openai"), "big", None)
MODEL = Model("small", (DEPLOYMENT,), fallbacks=(ELSEWHERE,))
ACME = Tenant(org="acme", team="search", key_id="k1", key_name="ci")
DOCUMENT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "small-1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Paris"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
}
BODY = orjson.dumps(DOCUMENT)
CHUNKS = tuple(
    b"data: " + orjson.dumps({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}) + b"\n\n"
    for head in ({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "small-1"},)
    for delta, reason in (({"role": "assistant", "content": ""}, None), ({"content": "Paris"}, None), ({}, "stop"))
)
DONE = b"data: [DONE]\n\n"
BILL = Bill(Usage(9, 1), 50)


@dataclass
class Drawer:
    """A CacheStore. While `away` it does not answer; what is put into it waits for `is_kept`."""

    kept: dict[str, bytes] = field(default_factory=dict)
    away: bool = False
    is_kept: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.is_kept.set()

    async def get(self, name: str) -> bytes | None:
        await self._answer()
        return self.kept.get(name)

    async def put(self, name: str, value: bytes, *, ttl: float) -> None:
        await self._answer()
        await self.is_kept.wait()
        self.kept[name] = value

    async def remove(self, names: Collection[str]) -> int:
        await self._answer()
        return sum(self.kept.pop(name, None) is not None for name in names)

    async def _answer(self) -> None:
        await asyncio.sleep(0)
        if self.away:
            raise Overloaded("away")


@dataclass
class Told:
    """Orders to forget."""

    orders: list[Purge] = field(default_factory=list)
    current: bool = True

    @property
    def number(self) -> int:
        return len(self.orders)

    def order(self, **marks: str) -> None:
        self.orders.append(Purge(**marks, number=len(self.orders) + 1))

    def kills(self, entry: Marked) -> bool:
        return any(order.kills(entry) for order in self.orders)

    def is_current(self, now: float) -> bool:
        return self.current


class Back:
    """A Reply."""

    def __init__(self) -> None:
        self.audience: Audience | None = None

    def share(self, audience: Audience | None) -> None:
        self.audience = audience

    def begin(self, content_type: str, *, stream: bool, headers: Headers, native: Native | None) -> None: ...

    async def send(self, chunk: bytes) -> None: ...

    def end(self, last: bytes, *, headers: Headers) -> None: ...


class Upstreamed(Hit):
    """An answer by the deployment."""

    deployment = DEPLOYMENT

    def __init__(
        self, call: Call, deployment: Deployment = DEPLOYMENT, usage_sent: Mapping[str, Any] | None = None
    ) -> None:
        self.deployment = deployment
        self.usage_sent = usage_sent
        self.is_stream = call.stream
        self.content_type = STREAM if call.stream else "application/json"

    def ending(self, cost: int | None, usage: Usage) -> bytes:
        return DONE if self.is_stream else b""


@dataclass
class Held:
    is_clamped: bool = False
    is_stopped: bool = False


def call(**fields: Any) -> Call:
    """A chat; `headers` and what begins with a capital letter is no member of it."""
    headers = fields.pop("headers", {})
    body = {"model": "small", "messages": [{"role": "user", "content": "Capital of France?"}], **fields}
    options = body.get("stream_options") or {}
    return Call(
        id="r",
        operation=Operation.CHAT,
        received=0.0,
        model="small",
        body=orjson.dumps(body),
        fields=body,
        stream=bool(body.get("stream")),
        wants_usage=bool(options.get("include_usage")),
        headers=headers,
    )


class Stage:
    """A worker's cache stage; with a `store`, it keeps its answers there, and shares its flights."""

    def __init__(self, drawer: Drawer | None = None, told: Told | None = None, store: Store | None = None) -> None:
        self.drawer, self.told, self.tasks = drawer or Drawer(), told or Told(), Tasks()
        secret, clock = Secret("s" * 64), Clock()
        flights = None if store is None else store.flights
        self.shared = None if flights is None else SharedFlights(flights, secret, self.tasks, clock)
        answers = self.drawer if store is None else store.cache
        keeper = Keeper(answers, self.told, secret, clock)
        self.cache = Cache(Replays(Shelf(), self.tasks), keeper, self.tasks, clock, shared=self.shared)
        self.rules = CacheRules(default=Rule(ttl=60.0))
        self.asked = 0

    def rule(self, **changes: Any) -> None:
        admits = Admission(
            **{name: changes.pop(name) for name in ("tools", "several", "hottest", "largest") if name in changes}
        )
        self.rules = CacheRules(default=Rule(ttl=60.0, admits=admits, **changes))

    def claim(self, asked: Call, tenant: Tenant = ACME, reply: Back | None = None, model: Model = MODEL) -> Unclaimed:
        return self.cache.claim(tenant, asked, Decision("default", model), self.rules, reply or Back())

    async def answer(
        self,
        asked: Call | None = None,
        tenant: Tenant = ACME,
        *,
        body: bytes = BODY,
        held: Held | None = None,
        deployment: Deployment = DEPLOYMENT,
        pause: asyncio.Event | None = None,
    ) -> tuple[Unclaimed, bytes]:
        """As the flow does it; the claim, and what the client got. Waits after the first chunk until `pause` is set."""
        asked = asked or call()
        async with self.claim(asked, tenant) as claim:
            got = []
            if claim.hit is not None:
                got = [chunk async for chunk in claim.hit.chunks()]
                claim.keep(b"".join(got))
                got.append(claim.hit.ending(0, Usage(0, 0)))
                await claim.complete(got[-1], claim.hit, Bill(Usage(0, 0), 0))
            else:
                self.asked += 1
                answer = Upstreamed(asked, deployment)
                claim.begin(answer, held or Held())
                for chunk in CHUNKS if asked.stream else (body,):
                    claim.keep(chunk)
                    got.append(chunk)
                    if pause is not None:
                        await pause.wait()
                got.append(answer.ending(BILL.cost, BILL.usage))
                await claim.complete(got[-1], answer, BILL)
        return claim, b"".join(got)

    async def settled(self) -> None:
        while len(self.tasks):
            await asyncio.sleep(0)


SHARINGS = tuple(Sharing)
