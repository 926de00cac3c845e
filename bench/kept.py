"""What the exact cache costs: CPU per call that is answered from it, and per lookup that finds nothing."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import orjson
import uvloop

from bench.contenders import llmgw
from bench.load import Order
from bench.measures import Effort, Sample, take
from bench.stage import Stage
from bench.startup import MODEL
from bench.workload import request_body
from gateway.cache.admission import Control
from gateway.cache.keep import Keeper
from gateway.cache.purges import Purges
from gateway.cache.rules import Rule
from gateway.core.call import Call, Operation
from gateway.core.clock import Clock
from gateway.core.deployment import Deployment, Model, Provider
from gateway.core.tenant import Tenant
from gateway.store.open import open_store
from tests.redis_server import redis_server

CONNECTIONS = 64
WARM_SECONDS = 1.0
LEAST_ROUNDS = 2
LOOKUPS = 2000
POLICIES: Mapping[str, str] = {"without a cache": "", "answered from it": "cache: {default: {exact: {ttl: 1h}}}\n"}
TENANT = Tenant(org="bench", team=None, key_id="k", key_name="bench")
NAMED = Model("mock-512", (Deployment("mock/mock-512", Provider("mock", "openai"), "mock-512", None),))


@dataclass(frozen=True, slots=True)
class Kept:
    """The samples of each policy, round by round, of the same calls; CPU µs of a lookup that finds nothing, by store."""

    samples: Mapping[str, Sequence[Sample]]
    misses: Mapping[str, float]

    def cpu_us(self, kind: str) -> float:
        return median(sample.cpu_us or 0.0 for sample in self.samples[kind])


def kept(stage: Stage, effort: Effort) -> Kept:
    """Raises NotAvailable or LoadFailed."""
    with ExitStack() as open:
        servers = {}
        for kind, policy in POLICIES.items():
            contender = llmgw.prepare_with(stage.site(), workers=1, more_policy=policy)
            servers[kind] = open.enter_context(stage.start(contender))
            take(servers[kind], Order(MODEL, CONNECTIONS, WARM_SECONDS), stage.loader)
        samples: dict[str, list[Sample]] = {kind: [] for kind in POLICIES}
        for _ in range(max(effort.rounds, LEAST_ROUNDS)):
            for kind, server in servers.items():
                samples[kind].append(take(server, Order(MODEL, CONNECTIONS, effort.closed), stage.loader))
    with redis_server() as redis:
        misses = {
            store: uvloop.run(_misses(url, Path(stage.site().scratch)))
            for store, url in (("embedded", "embedded"), ("Redis", redis.url))
        }
    return Kept(samples, misses)


async def _misses(url: str, folder: Path) -> float:
    """CPU µs of a lookup that finds nothing: its key, and the store's answer."""
    clock = Clock()
    store = await open_store(url, folder, clock=clock)
    purges = Purges(store.cache)
    changes = await store.changes()
    await purges.refresh(changes.purges or 0, clock.monotonic())
    keeper = Keeper(store.cache, purges, store.pepper, clock)
    body, control, rule = request_body(MODEL), Control(), Rule(ttl=60.0)
    calls = []
    for number in range(LOOKUPS):
        fields = {**orjson.loads(body), "seed": number}
        calls.append(Call(id="r", operation=Operation.CHAT, received=0.0, model="mock-512", body=body, fields=fields))
    purges.confirm(clock.monotonic())
    began = time.process_time()
    for number, call in enumerate(calls):
        if number % 100 == 0:
            purges.confirm(clock.monotonic())
        found = await keeper.find(keeper.asked(TENANT, call, NAMED, None, rule), control)
        assert found == "new"
    took = time.process_time() - began
    await store.close()
    return took / LOOKUPS * 1e6
