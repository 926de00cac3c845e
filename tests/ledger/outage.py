"""R6: whatever happens to Redis, calls are answered as docs/budgets.md says, at once, and nothing is lost or held in the end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from tests.faults.chaosprov import Chaosprov
from tests.faults.toxi import BlackHole, Clean, Latency, Toxi
from tests.ledger import oracle
from tests.ledger.clients import Key, Replies, Reply, chat, open_loop
from tests.ledger.finding import Finding, at_most, equal, figure, nothing
from tests.ledger.gateway import Account, Gateway, Row, Wanted, serving, sum_of
from tests.ledger.sampler import at_rest, held
from tests.redis_server import RedisServer, redis_sentinel, redis_server

POLICY = """\
version: 1
providers:
  chaos: {{dialect: openai, base_url: "{base_url}", key: sk-chaos-canary, allow_private: true}}
models:
  random: {{use: chaos/ok-random, price: {price}, max_output: 32}}
tenants:
  hard: {{budget: [{{usd: 100, per: day}}]}}
  soft: {{budget: [{{usd: 100, per: day, mode: soft}}], rate: {{rpm: 1M}}}}
"""
AWAY = "503 budget_store_unavailable"
SLOWER = 0.1
RECOVERED = 2.0
LINES = 20
WARM, CALM = 2.0, 4.0
"""Seconds of load before the fault and after it."""
DOUBTED = 1.0
NOTICED = 0.25
"""Seconds after a fault begins, within which a call of a soft budget may be answered from what was known before."""


@dataclass(frozen=True, slots=True)
class Size:
    """`away` seconds of the fault; with slices, hard budgets are served that long."""

    per_second: float
    away: float


@dataclass(slots=True)
class Stage:
    """What a fault may act upon. `toxi` stands between the workers and Redis."""

    redis: RedisServer
    replica: RedisServer
    sentinel: RedisServer
    toxi: Toxi


Act = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """`begin`, and `end` when Redis is to answer again. `is_flush`: all data is gone; `is_short`: it ends by itself soon."""

    begin: Act
    end: Act
    is_flush: bool = False
    is_short: bool = False
    by_sentinel: bool = False

    @property
    def is_away(self) -> bool:
        """Whether Redis does not answer in between, so that 503 and `x-llmgw-degraded` are expected."""
        return not (self.is_flush or self.is_short)


@dataclass(frozen=True, slots=True)
class Times:
    """Monotonic seconds."""

    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Afterwards:
    """What there is to be seen when everything is over; `logged` during the run."""

    times: Times
    rest: Mapping[str, Account]
    records: Sequence[Row]
    logged: Sequence[Row]


async def _kill(stage: Stage) -> None:
    stage.redis.kill()


async def _start(stage: Stage) -> None:
    await asyncio.to_thread(stage.redis.start)


async def _pause(stage: Stage) -> None:
    stage.redis.pause()


async def _resume(stage: Stage) -> None:
    stage.redis.resume()


async def _black_hole(stage: Stage) -> None:
    stage.toxi.toxic = BlackHole()


async def _slow(stage: Stage) -> None:
    stage.toxi.toxic = Latency(2.0)


async def _clean(stage: Stage) -> None:
    stage.toxi.toxic = Clean()


async def _nothing(stage: Stage) -> None:
    """It ends by itself."""


async def _obey(stage: Stage) -> None:
    stage.redis.send("REPLICAOF", "127.0.0.1", str(stage.replica.port))


async def _rule(stage: Stage) -> None:
    stage.redis.send("REPLICAOF", "NO", "ONE")


async def _fill(stage: Stage) -> None:
    stage.redis.send("CONFIG", "SET", "maxmemory", "1")


async def _empty(stage: Stage) -> None:
    stage.redis.send("CONFIG", "SET", "maxmemory", "0")


async def _flush(stage: Stage) -> None:
    stage.redis.send("FLUSHALL")


async def _fail_over(stage: Stage) -> None:
    stage.sentinel.send("SENTINEL", "FAILOVER", "ledger")


FAULTS: Mapping[str, Fault] = {
    "kill -9 and restart": Fault(_kill, _start),
    "SIGSTOP": Fault(_pause, _resume),
    "black hole": Fault(_black_hole, _clean),
    "slow 2 s": Fault(_slow, _clean),
    "OOM": Fault(_fill, _empty),
    "READONLY": Fault(_obey, _rule),
    "FLUSHALL": Fault(_flush, _nothing, is_flush=True),
    "failover": Fault(_fail_over, _nothing, is_short=True, by_sentinel=True),
}


async def outage(folder: Path, fault: Fault, size: Size, wanted: Wanted) -> list[Finding]:
    """The policy and the store in `wanted` are replaced by the scenario's own."""
    async with Chaosprov() as provider, _stage() as stage:
        policy = POLICY.format(base_url=provider.base_url, price=oracle.PRICE)
        store = f"redis://127.0.0.1:{stage.toxi.port}/0"
        if fault.by_sentinel:
            store = f"redis+sentinel://127.0.0.1:{stage.sentinel.port}/ledger/0"
            await _replicated(stage)
        async with serving(folder, Wanted(policy, store, wanted.workers, wanted.escrow)) as gateway:
            keys = [Key(name, await gateway.create_key(name, name)) for name in ("hard", "soft")]
            quiet = len(gateway.logged())
            loading = asyncio.create_task(_load(gateway, keys, size))
            await asyncio.sleep(WARM)
            times = await _suffer(stage, fault, size)
            replies = await loading
            rest = await at_rest(gateway, patience=8)
            records = await gateway.settled_records(len(replies.all))
            logged = gateway.logged()[quiet:]
            return judge(fault, wanted, replies, Afterwards(times, rest, records, logged), provider)


def judge(fault: Fault, wanted: Wanted, replies: Replies, seen: Afterwards, provider: Chaosprov) -> list[Finding]:
    times = seen.times
    before, during, after = _parts(replies, times)
    findings = [
        figure("calls before, during, after", f"{len(before):,}, {len(during):,}, {len(after):,}"),
        figure("hard budgets while it is away", _words(_of("hard", during))),
        figure("soft budgets while it is away", _words(_of("soft", during))),
        nothing("hard budgets: neither 200 nor 503", _others(_of("hard", during), "200", AWAY)),
        nothing("soft budgets: not 200", _others([*_of("soft", during), *_of("soft", after)], "200")),
        nothing("afterwards: not 200", _others(after, "200")),
        *_degraded(fault, during, has_slices=wanted.escrow),
        *_latencies(before, during),
        at_most("until no call is refused or degraded, s", RECOVERED, _recovered(replies, times), is_timing=True),
        at_most("log lines", LINES, len(seen.logged)),
        equal("sum of the call records, nano-USD", oracle.costs(provider.calls), sum_of(seen.records)),
        *(_compared(name, seen.rest, provider, fault) for name in ("hard", "soft")),
        nothing("still held afterwards", held(seen.rest.values())),
    ]
    if wanted.escrow and fault.is_away:
        findings.append(nothing("hard budgets with slices: refused", _others(_of("hard", during), "200")))
    return findings


def _compared(name: str, rest: Mapping[str, Account], provider: Chaosprov, fault: Fault) -> Finding:
    """The ledger beside the provider's count; after a flush it may have a little more: what was spent in DOUBTED seconds."""
    truth = oracle.costs(call for call in provider.calls if oracle.key_of(call) == name)
    spent = sum(account.spent for key, account in rest.items() if key.startswith(f"org:{name}:usd"))
    if fault.is_flush:
        more = truth * DOUBTED / (WARM + CALM)
        promise = f"{name} budget: the ledger is the provider's own count or a little more, nano-USD"
        return Finding(promise, f"{truth:,} to {truth + more:,.0f}", f"{spent:,}", truth <= spent <= truth + more)
    return equal(f"{name} budget: the ledger is the provider's own count, nano-USD", truth, spent)


def _degraded(fault: Fault, during: Sequence[Reply], *, has_slices: bool) -> list[Finding]:
    """Once a worker has noticed, soft budgets say that nobody was asked."""
    if not fault.is_away or not during:
        return []
    start = min(reply.began for reply in during)
    late = [reply for reply in _of("soft", during) if reply.began > start + 2 * NOTICED]
    words = {"budget"} if has_slices else {"budget", "ratelimit"}  # slices hold places in the rates, too
    plain = [reply.degraded or "no header" for reply in late if not words <= set(reply.degraded.split(", "))]
    return [nothing("soft budgets and rates while it is away: without x-llmgw-degraded", plain)]


def _latencies(before: Sequence[Reply], during: Sequence[Reply]) -> list[Finding]:
    if len(before) < 2 or len(during) < 2:
        return []
    usual = quantiles([reply.seconds for reply in before], n=100)[98]
    p99 = quantiles([reply.seconds for reply in during], n=100)[98]
    most, slowest = max(reply.seconds for reply in before), max(reply.seconds for reply in during)
    return [
        at_most("p99 of calls above that before, s", SLOWER, p99 - usual, is_timing=True),
        at_most("slowest call above the slowest before, s", SLOWER, slowest - most, is_timing=True),
    ]


def _recovered(replies: Replies, times: Times) -> float:
    late = [r.began for r in replies.all if r.began > times.ended and (r.status != 200 or r.degraded)]
    return max(late, default=times.ended) - times.ended


def _parts(replies: Replies, times: Times) -> tuple[list[Reply], list[Reply], list[Reply]]:
    before = [reply for reply in replies.all if reply.began + reply.seconds < times.began]
    during = [reply for reply in replies.all if times.began <= reply.began < times.ended]
    return before, during, [reply for reply in replies.all if reply.began > times.ended + RECOVERED]


def _of(key: str, replies: Sequence[Reply]) -> list[Reply]:
    return [reply for reply in replies if reply.key == key]


def _others(replies: Sequence[Reply], *words: str) -> list[str]:
    return Replies(list(replies)).others_than(*words)


def _words(replies: Sequence[Reply]) -> str:
    return ", ".join(f"{count:,} × {word}" for word, count in Replies(list(replies)).words().most_common()) or "no call"


async def _load(gateway: Gateway, keys: Sequence[Key], size: Size) -> Replies:
    seconds = WARM + size.away + CALM
    return await open_loop(
        gateway.url,
        keys,
        per_second=size.per_second,
        seconds=seconds,
        draw=lambda key, number, dice: chat(key, f"call {number}", model="random", stream=dice.random() < 0.3),
    )


async def _suffer(stage: Stage, fault: Fault, size: Size) -> Times:
    began = time.monotonic()
    await fault.begin(stage)
    if not fault.is_flush:
        await asyncio.sleep(size.away)
        await fault.end(stage)
    return Times(began, time.monotonic())


async def _replicated(stage: Stage) -> None:
    """Waits until the sentinel knows of a replica, which it looks for every ten seconds."""
    stage.replica.send("REPLICAOF", "127.0.0.1", str(stage.redis.port))
    async with asyncio.timeout(30):
        while str(stage.replica.port).encode() not in stage.sentinel.send("SENTINEL", "REPLICAS", "ledger"):
            await asyncio.sleep(0.2)


@contextlib.asynccontextmanager
async def _stage() -> AsyncIterator[Stage]:
    with redis_server(save=True) as redis, redis_server() as replica, redis_sentinel(redis, name="ledger") as sentinel:
        async with Toxi(upstream=("127.0.0.1", redis.port)) as toxi:
            yield Stage(redis, replica, sentinel, toxi)
