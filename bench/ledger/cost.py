"""What reserving and settling costs a worker: CPU per call and latency, without a budget and with each kind of ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.contender import Contender, Site, free_port
from bench.contenders.llmgw import GATEWAY, create_key, policy
from bench.load import Order
from bench.machine import choose_cores
from bench.measures import Sample, take
from bench.programs import compile_programs
from bench.stage import Stage, set_stage
from bench.startup import MODEL, Running
from tests.ledger.finding import Finding, at_most, figure
from tests.redis_server import redis_server

BUDGETS = """\
tenants:
  default: {budget: [{usd: 100000, per: day}], keys: [{name: "*", budget: [{usd: 50000, per: day}]}]}
"""
CONNECTIONS = 64
CPU_DIRECT, CPU_ESCROW = 60.0, 15.0
"""µs of a worker per call that a ledger in Redis may cost, without slices and with them."""


@dataclass(frozen=True, slots=True)
class Kind:
    """`aim` is in µs per call; None where nothing is asked."""

    name: str
    has_budget: bool
    is_redis: bool = False
    escrow: bool = False
    aim: float | None = None


KINDS = (
    Kind("no budget", False),
    Kind("embedded", True),
    Kind("embedded, slices", True, escrow=True),
    Kind("Redis", True, is_redis=True, aim=CPU_DIRECT),
    Kind("Redis, slices", True, is_redis=True, escrow=True, aim=CPU_ESCROW),
)


def cost(build: Path, *, rounds: int, seconds: float) -> list[Finding]:
    """All kinds one after the other, round by round, against the same mock provider; medians."""
    samples: dict[str, list[Sample]] = {kind.name: [] for kind in KINDS}
    with (
        set_stage(build, compile_programs(build), choose_cores()) as stage,
        redis_server() as redis,
        ExitStack() as open,
    ):
        running = {kind: open.enter_context(_started(stage, kind, redis.url)) for kind in KINDS}
        for kind in KINDS:
            take(running[kind], Order(MODEL, CONNECTIONS, 1.0), stage.loader)
        for _ in range(rounds):
            for kind in KINDS:
                samples[kind.name].append(take(running[kind], Order(MODEL, CONNECTIONS, seconds), stage.loader))
    return [finding for kind in KINDS for finding in _compared(kind, samples)]


def _compared(kind: Kind, samples: dict[str, list[Sample]]) -> Iterator[Finding]:
    taken, base = samples[kind.name], samples[KINDS[0].name]
    cpu, cpu_base = _middle([each.cpu_us for each in taken]), _middle([each.cpu_us for each in base])
    name = f"{kind.name}: CPU per call above no budget, µs"
    yield figure(f"{kind.name}: calls/s, CPU µs per call, p50 and p99 ms", _figures(taken, cpu))
    if kind.aim is not None:
        yield at_most(name, kind.aim, round(cpu - cpu_base, 1), is_timing=True)
    elif kind.has_budget:
        yield figure(name, f"{cpu - cpu_base:.1f}")
    yield at_most(f"{kind.name}: calls that failed", 0, sum(each.errors for each in taken))


def _figures(taken: Sequence[Sample], cpu: float) -> str:
    rate, p50, p99 = (
        _middle(values)
        for values in (
            [each.per_second for each in taken],
            [each.p50_ms for each in taken],
            [each.p99_ms for each in taken],
        )
    )
    return f"{rate:,.0f}, {cpu:.0f}, {p50:.1f}, {p99:.1f}"


def _middle(values: Sequence[float | None]) -> float:
    return median([value for value in values if value is not None])


@contextmanager
def _started(stage: Stage, kind: Kind, redis: str) -> Iterator[Running]:
    with stage.start(_prepare(stage.site(), kind, redis)) as running:
        yield running


def _prepare(site: Site, kind: Kind, redis: str) -> Contender:
    """Keys are read from the same store as the ledger; each kind has a database of its own there."""
    policies, data, port = site.scratch / "policies", site.scratch / "data", free_port()
    policies.mkdir(parents=True)
    (policies / "bench.yaml").write_text(policy(site.mock_url) + (BUDGETS if kind.has_budget else ""))
    number = KINDS.index(kind)
    store = redis.rpartition("/")[0] + f"/{number}" if kind.is_redis else "embedded"
    serve = [*GATEWAY, "serve", "--policies", str(policies), "--data", str(data), "--store", store]
    serve += ["--shared-records", "0"]  # records of other replicas are no part of a reservation
    serve += ["--port", str(port), "--admin-port", str(free_port()), "--escrow", "yes" if kind.escrow else "no"]
    key = create_key(data, "--store", store)
    return Contender(
        name="llmgw", version="", port=port, command=tuple(serve), headers=(("Authorization", f"Bearer {key}"),)
    )
