"""What telling of calls costs: CPU per call with nothing exported, and with metrics and traces."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from bench.contender import free_port
from bench.contenders import llmgw
from bench.load import Order
from bench.measures import Effort, Sample, take
from bench.process import running
from bench.stage import Stage
from bench.startup import MODEL

CONNECTIONS = 64
WARM_SECONDS = 1.0
LEAST_ROUNDS = 2
PUSHED = {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_METRIC_EXPORT_INTERVAL": "1000"}
KINDS: Mapping[str, Mapping[str, str]] = {
    "nothing exported": {"OTEL_SDK_DISABLED": "true"},
    "metrics every second": {"OTEL_TRACES_EXPORTER": "none", **PUSHED},
    "and every trace": PUSHED,
    "and one trace in a hundred": {
        "OTEL_TRACES_SAMPLER": "traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.01",
        **PUSHED,
    },
}


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The samples of each kind, round by round, of the same calls."""

    samples: Mapping[str, Sequence[Sample]]

    def cpu_us(self, kind: str) -> float:
        return median(sample.cpu_us or 0.0 for sample in self.samples[kind])

    def added_us(self, kind: str) -> float:
        """CPU per call above the first kind's."""
        return self.cpu_us(kind) - self.cpu_us(next(iter(self.samples)))


def telemetry(stage: Stage, effort: Effort) -> Telemetry:
    """All kinds at once, measured one after the other in every round. Raises NotAvailable or LoadFailed."""
    port = free_port()
    with ExitStack() as open:
        log = Path(stage.site().scratch) / "collector.log"
        command = [sys.executable, "-m", "bench.collector", str(port)]
        open.enter_context(running(command, cores=stage.cores.clients, log=log))
        servers = {}
        for kind, variables in KINDS.items():
            environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", **variables}
            contender = replace(llmgw.prepare(stage.site()), environment=environment)
            servers[kind] = open.enter_context(stage.start(contender))
            take(servers[kind], Order(MODEL, CONNECTIONS, WARM_SECONDS), stage.loader)
        samples: dict[str, list[Sample]] = {kind: [] for kind in KINDS}
        for _ in range(max(effort.rounds, LEAST_ROUNDS)):
            for kind, server in servers.items():
                samples[kind].append(take(server, Order(MODEL, CONNECTIONS, effort.closed), stage.loader))
    return Telemetry(samples)
