"""The cast of the matrix: a gateway that exports its spans, a scripted provider, and one client per outcome."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import openai

from tests.faults.chaosprov import Chaosprov
from tests.ledger.gateway import Account, Gateway, Row, Wanted, serving
from tests.ports import free_port
from tests.trace.receiver import Receiver, Span, receiving

PROMPT = "Say hello to prompt-canary-7f3a"
HELLO: Any = [{"role": "user", "content": PROMPT}]
LATE = 0.3
"""Seconds after which the hasty provider's deadlines have passed."""

POLICY = """
version: 1
providers:
  chaos: {{dialect: openai, base_url: {provider}, key: sk-chaos-canary, allow_private: true}}
  ours: {{dialect: openai, base_url: {provider}, key: sk-chaos-canary, allow_private: true, propagate_trace: true}}
  hasty:
    dialect: openai
    base_url: {provider}
    allow_private: true
    timeouts: {{headers: {late}s, whole: {late}s, first_token: {late}s, idle: {late}s}}
  gone: {{dialect: openai, base_url: "http://127.0.0.1:{closed}/v1", allow_private: true, retry: {{attempts: 1}}}}
models:
  ok: {{use: chaos/ok, price: {{in: 1, out: 2}}}}
  "ok-*": {{use: "chaos/ok-*", price: {{in: 1, out: 2}}}}
  "fault/*": {{use: "chaos/fault/*", price: {{in: 1, out: 2}}}}
  "late/*": {{use: "hasty/*", price: {{in: 1, out: 2}}}}
  ours: {{use: ours/ok, price: {{in: 1, out: 2}}}}
  gone: {{use: gone/ok, price: {{in: 1, out: 2}}}}
  flaky: {{use: chaos/ok@flaky, price: {{in: 1, out: 2}}}}
  second: {{use: chaos/fault/status-500@first, fallback: [chaos/ok@second], price: {{in: 1, out: 2}}}}
  unpriced: {{use: chaos/ok@nobody-knows}}
  cheap: {{use: chaos/ok@cheap, price: {{in: 1, out: 2}}}}
  opinion: {{use: chaos/ok@opinion, price: {{in: 0.5, out: 1}}}}
  strong: {{use: chaos/ok@strong, price: {{in: 30, out: 60}}}}
  silent: {{use: chaos/fault/hang-before-headers@first, fallback: [ok], price: {{in: 3, out: 4}}}}
  late: {{use: chaos/fault/first-token-after-400ms@first, fallback: [unheard], price: {{in: 3, out: 4}}}}
  unheard: {{use: chaos/fault/hang-before-headers@unheard, price: {{in: 1, out: 2}}}}
policies:
  cascade: {{try: cheap, escalate_to: strong, when: [schema_invalid]}}
  compared: {{try: cheap, escalate_to: strong, when: [{{disagrees_with: opinion, on: text_exact}}]}}
routes:
  - {{name: cascaded, match: {{model: cascaded}}, candidates: [cascade], model: strong}}
  - {{name: compared, match: {{model: compare}}, candidates: [compared], model: strong}}
  - {{name: hedged, match: {{model: silent}}, model: silent, hedge: {{after: 30ms, share: 100%}}}}
  - {{name: late, match: {{model: late}}, model: late, hedge: {{after: 30ms, share: 100%}}}}
  - {{name: ruled, match: {{model: auto}}, model: ok}}
tenants:
  llmgw: {{}}
  acme: {{budget: [{{usd: 1000, per: ever}}]}}
  free: {{}}
  narrow: {{models: [ok]}}
  blocked: {{blocked: true}}
  spent: {{budget: [{{usd: 0.01, per: ever}}]}}
  short: {{budget: [{{usd: 0.001, per: ever}}]}}
  clamped: {{budget: [{{usd: 0.002, per: ever, on_insufficient: clamp}}]}}
  tried: {{budget: [{{usd: 0.001, per: ever}}]}}
  streaming: {{budget: [{{usd: 0.01, per: ever}}]}}
  fast: {{rate: {{rpm: 1}}}}
  single: {{rate: {{concurrent: 1}}}}
  read: {{budget: [{{usd: 1, per: ever}}]}}
trace: {{inbound: {inbound}, capture: {{to: spans, tenants: [read]}}}}
"""
TENANTS = (
    "acme",
    "free",
    "narrow",
    "blocked",
    "spent",
    "short",
    "clamped",
    "tried",
    "streaming",
    "fast",
    "single",
    "read",
)


@dataclass
class House:
    """A gateway, the provider behind it, the receiver of its spans, and a key for each tenant."""

    gateway: Gateway
    provider: Chaosprov
    receiver: Receiver
    closed: int
    keys: dict[str, str] = field(default_factory=dict)
    expired_at: float = 0.0

    def policy(self, inbound: str = "parent") -> str:
        return POLICY.format(provider=self.provider.base_url, late=LATE, closed=self.closed, inbound=inbound)

    @asynccontextmanager
    async def inbound(self, kind: str) -> AsyncIterator[None]:
        """For a time, callers' traces are treated that way."""
        await self.gateway.adopt(self.policy(kind))
        try:
            yield
        finally:
            await self.gateway.adopt(self.policy())

    async def records(self, id: str) -> list[Row]:
        """Every record of that call, once it has ended."""
        async with asyncio.timeout(10):
            while not (found := [record for record in await self.gateway.records() if record["id"] == id]):
                await asyncio.sleep(0.02)
        return found

    async def settled(self, tenant: str) -> Account | None:
        """The tenant's budget in money once nothing is held under it; None where it has none."""
        name = f"org:{tenant}:usd/ever|"
        async with asyncio.timeout(10):
            while (account := (await self.gateway.accounts()).get(name)) is not None and account.held:
                await asyncio.sleep(0.02)
        return account

    async def trace(self, id: str) -> list[Span]:
        """The spans of the trace of that call, once they have arrived, its SERVER span first."""
        await self.receiver.until(lambda receiver: any(is_of(span, id) for span in receiver.spans))
        (root,) = [span for span in self.receiver.spans if is_of(span, id)]
        others = [each for each in self.receiver.spans if each.parent == root.span_id]
        return [root, *sorted(others, key=lambda each: each.begin)]

    async def flushed(self) -> None:
        """Waits until the spans of everything that has ended have arrived: they come in the order of the records."""
        client = Client(self, f"flushed-{time.monotonic_ns()}", "acme")
        await client.chat()
        await self.trace(client.id)


def is_of(span: Span, id: str) -> bool:
    return span.kind == "SERVER" and span.attributes.get("llmgw.request.id") == id


class Client:
    """Makes one call under the id `id` with the official SDK. What it was told is in `response` and `usage`."""

    def __init__(self, house: House, id: str, tenant: str) -> None:
        self.house = house
        self.id = id
        self.tenant = tenant
        self.response: httpx.Response | None = None
        self.usage: Mapping[str, Any] | None = None
        self.headers = {"x-request-id": id}
        self.provider_calls: list[int] = []

    @property
    def provider(self) -> Chaosprov:
        return self.house.provider

    def other(self, tenant: str | None = None) -> Client:
        """Somebody who makes another call, under an id of its own."""
        return Client(self.house, f"{self.id}-before-{time.monotonic_ns()}", tenant or self.tenant)

    async def chat(self, *, key: str | None = None, **fields: Any) -> None:
        """A whole answer; an error is noted and no more."""
        async with self._sdk(key) as sdk:
            with suppress(openai.APIStatusError):
                answer = await sdk.chat.completions.create(**{"model": "ok", "messages": HELLO, **fields})
                self.usage = answer.usage.model_dump() if answer.usage else None

    async def stream(self, *, chunks: int | None = None, begun: asyncio.Event | None = None, **fields: Any) -> None:
        """A stream, read to its end or for so many chunks. `begun` is set when its first one is there."""
        async with self._sdk() as sdk:
            with suppress(openai.APIError):
                asked = {"model": "ok", "messages": HELLO, "stream": True, **fields}
                stream = await sdk.chat.completions.create(**asked)
                async for chunk in stream:
                    if begun is not None:
                        begun.set()
                    self.usage = chunk.usage.model_dump() if chunk.usage else self.usage
                    chunks = None if chunks is None else chunks - 1
                    if chunks == 0:
                        await stream.close()
                        break

    async def complete(self, **fields: Any) -> None:
        async with self._sdk() as sdk:
            answer = await sdk.completions.create(**{"model": "ok", "prompt": PROMPT, **fields})
            self.usage = answer.usage.model_dump() if answer.usage else None

    async def embed(self, **fields: Any) -> None:
        async with self._sdk() as sdk:
            answer = await sdk.embeddings.create(**{"model": "ok", "input": PROMPT, **fields})
            self.usage = {**answer.usage.model_dump(), "completion_tokens": 0}

    async def post(self, content: bytes, *, media: str = "application/json", key: str | None = None) -> None:
        """Exactly these bytes; `key` "" sends no credential."""
        key = self.house.keys[self.tenant] if key is None else key
        headers = {**self.headers, "content-type": media, **({"authorization": f"Bearer {key}"} if key else {})}
        async with httpx.AsyncClient(timeout=20) as client:
            url = f"{self.house.gateway.url}/chat/completions"
            self.response = await client.post(url, content=content, headers=headers)

    async def leave(self, **fields: Any) -> None:
        """Asks, and leaves once the provider has been asked."""
        count = len(self.provider.calls) + 1
        asking = asyncio.create_task(self.chat(**fields))
        await self.provider.asked(count)
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking

    def _sdk(self, key: str | None = None) -> openai.AsyncOpenAI:
        hooks = {"response": [self._note]}
        return openai.AsyncOpenAI(
            base_url=self.house.gateway.url,
            api_key=key or self.house.keys[self.tenant],
            max_retries=0,
            default_headers=self.headers,
            http_client=httpx.AsyncClient(event_hooks=hooks, timeout=20),
        )

    async def _note(self, response: httpx.Response) -> None:
        self.response = response


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "ok", "messages": HELLO, **fields}).encode()


@asynccontextmanager
async def opened(folder: Path, **environment: str) -> AsyncIterator[House]:
    async with receiving() as receiver, Chaosprov() as provider:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "OTEL_BSP_SCHEDULE_DELAY": "20",
            "OTEL_METRICS_EXPORTER": "none",
            **environment,
        }
        closed = free_port()
        policy = House(None, provider, receiver, closed).policy()  # type: ignore[arg-type]
        async with serving(
            folder,
            Wanted(policy, workers=1, escrow=False, environment=variables, module="tests.trace.matrix.certified"),
        ) as gateway:
            house = House(gateway, provider, receiver, closed)
            for tenant in TENANTS:
                house.keys[tenant] = await gateway.create_key(f"key-of-{tenant}", tenant)
            house.keys["expired"] = await gateway.create_key("expired", "acme", expires="1s")
            house.expired_at = time.monotonic() + 1.1
            yield house
