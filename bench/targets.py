"""What llmgw is to reach: a target and a moonshot for each figure, and how far it has come."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.kept import Kept
from bench.scaling import Scaling
from bench.soak import Soak
from bench.summary import Life, Summary, summarize


@dataclass(frozen=True, slots=True)
class Target:
    """`at_most`: less is better. A goal or a figure that another contender's absence leaves open is None."""

    name: str
    reached: float | None
    target: float | None
    moonshot: float | None = None
    at_most: bool = True

    @property
    def verdict(self) -> str:
        if self.reached is None:
            return "not measured"
        if self._meets(self.moonshot):
            return "moonshot"
        if self._meets(self.target):
            return "reached"
        return "MISSED" if self.target is not None else "missed the moonshot"

    def _meets(self, goal: float | None) -> bool:
        if goal is None or self.reached is None:
            return False
        return self.reached <= goal if self.at_most else self.reached >= goal


def assess(
    summaries: Mapping[str, Summary],
    *,
    cold_start: float | None,
    soaked: Soak | None,
    scaling: Scaling | None,
    traced: float | None = None,
    kept: Kept | None = None,
) -> list[Target]:
    """The rows of the table of targets, in its order; none without a measured llmgw."""
    ours = summaries.get("llmgw")
    if ours is None:
        return []
    return [
        *_against_peers(ours, summaries),
        *_absolute(ours),
        Target("two workers against one, times", scaling.reached if scaling else None, 1.8, 1.95, at_most=False),
        Target("RSS idle, MB", soaked.idle_mb if soaked else None, 80, 50),
        Target(
            f"RSS growth over {soaked.calls if soaked else 0:,} calls, MB", soaked.growth_mb if soaked else None, 5, 0
        ),
        Target("CPU µs per call for exporting every trace", traced, 30),
        Target("CPU µs per call answered from the exact cache", kept.cpu_us("answered from it") if kept else None, 150),
        *(
            Target(f"CPU µs of a lookup that finds nothing, {store}", kept.misses[store] if kept else None, most)
            for store, most in (("embedded", 40), ("Redis", 60))
        ),
        Target("cold start, process to first 200, s", cold_start, 1.0, 0.4),
    ]


def ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below is not None and below > 0 else None


def _against_peers(ours: Summary, summaries: Mapping[str, Summary]) -> list[Target]:
    envoy, litellm, portkey = (summaries.get(name, _absent(name)) for name in ("envoy", "litellm", "portkey"))
    relay = "moonshot: envoy's plain relay"
    return [
        Target(f"CPU µs per call, 0.5 KB ({relay})", ours.cpu_small, 120, envoy.cpu_small),
        Target("LiteLLM's CPU per call ÷ ours", ratio(litellm.cpu_small, ours.cpu_small), 95, at_most=False),
        Target("Portkey's CPU per call ÷ ours", ratio(portkey.cpu_small, ours.cpu_small), 16, at_most=False),
        Target("req/s ÷ LiteLLM's", ratio(ours.rate_small, litellm.rate_small), 60, 150, at_most=False),
        Target("req/s ÷ Portkey's", ratio(ours.rate_small, portkey.rate_small), 12, at_most=False),
        Target(f"CPU µs per call, 100 KB ({relay})", ours.cpu_large, 260, envoy.cpu_large),
        Target(f"CPU µs per chunk, unpaced ({relay})", ours.cpu_chunk, 6, envoy.cpu_chunk),
        Target(f"CPU µs per chunk, 20 ms paced ({relay})", ours.cpu_paced_chunk, 65, envoy.cpu_paced_chunk),
    ]


def _absent(name: str) -> Summary:
    return summarize(name, {}, direct={}, life=Life())


def _absolute(ours: Summary) -> list[Target]:
    return [
        Target("added p50 at 100 req/s, ms", ours.added_p50, 0.8, 0.5),
        Target("added p99 at 100 req/s, ms", ours.added_p99, 2, 1),
        Target("TTFT added p50, ms", ours.added_ttft, 0.6, 0.3),
    ]
