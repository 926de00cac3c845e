"""What is measured of llmgw alone, each time freshly started: cold starts, a soak, two workers against one, telemetry."""

import http.client
from dataclasses import dataclass

from bench.contenders import llmgw
from bench.kept import Kept, kept
from bench.load import Order
from bench.measures import Effort, Sample, take
from bench.scaling import WORKERS, Scaling
from bench.soak import Soak, soak
from bench.stage import Stage
from bench.startup import MODEL, Running, call
from bench.telemetry import Telemetry, telemetry

WARM_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Alone:
    """`notes` tell what was not switched on, though every call was to be paid for with it."""

    cold_starts: list[float]
    soaked: Soak
    scaling: Scaling
    telemetry: Telemetry
    kept: Kept
    notes: list[str]


def measure_alone(stage: Stage, effort: Effort) -> Alone:
    """Raises NotAvailable or LoadFailed."""
    cold_starts = [_cold_start(stage) for _ in range(effort.starts)]
    with stage.start(llmgw.prepare(stage.site())) as running:
        notes = _switched_off(running, stage)
        soaked = soak(running, calls=effort.soak_calls, loader=stage.loader)
        one = _closed(running, stage, effort)
    pair = llmgw.prepare_with(stage.site(), workers=WORKERS)
    with stage.start(pair, cores=stage.cores.server_pair) as running:
        two = _closed(running, stage, effort)
    scaling = Scaling(one, two, overlapping=stage.cores.overlapping)
    return Alone(cold_starts, soaked, scaling, telemetry(stage, effort), kept(stage, effort), notes)


def _cold_start(stage: Stage) -> float:
    with stage.start(llmgw.prepare(stage.site())) as running:
        if running.cold_start is None:
            raise ValueError("the gateway is a process of its own")
        return running.cold_start


def _closed(running: Running, stage: Stage, effort: Effort) -> Sample:
    connections = running.contender.pace.connections
    take(running, Order(MODEL, connections, WARM_SECONDS), stage.loader)
    return take(running, Order(MODEL, connections, effort.closed), stage.loader)


def _switched_off(running: Running, stage: Stage) -> list[str]:
    """Asks the gateway itself: no key must be a 401, and an answer must carry its policy and its price."""
    body = stage.loader.bodies[MODEL].read_bytes()
    refused = call(running.contender, body, authenticated=False)
    answered = call(running.contender, body)
    notes = [] if refused.status == http.client.UNAUTHORIZED else [f"llmgw answered {refused.status} without a key"]
    wanted = ("x-llmgw-policy", "x-llmgw-cost-usd")
    return notes + [f"llmgw's answer has no {name}" for name in wanted if answered.getheader(name) is None]
