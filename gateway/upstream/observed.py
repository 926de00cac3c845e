"""What a worker sees of deployments: how many calls are under way there, and how soon their answers begin.

Kept by deployment name, so that it survives a reload of the policy. Of a call that wants no stream the answer begins when all
of it has been generated, so the two kinds are kept apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.clock import Clock

NEWEST = 0.2
"""The weight of the newest answer in the average."""
FRESH = 60.0
"""Seconds for which an average says how fast a deployment is now."""
MOST = 2048
"""Averages that are kept; a policy with `*` has as many deployments as its clients name."""


@dataclass(slots=True)
class _Average:
    seconds: float
    at: float


class Observed:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._under_way: Counter[str] = Counter()
        self._averages: dict[tuple[str, bool], _Average] = {}

    def began(self, deployment: str) -> None:
        self._under_way[deployment] += 1

    def ended(self, deployment: str) -> None:
        self._under_way[deployment] -= 1
        if self._under_way[deployment] <= 0:
            del self._under_way[deployment]

    def answered(self, deployment: str, seconds: float, *, stream: bool) -> None:
        """The answer began so many seconds after it was asked for, or did not although so many were waited for."""
        key, now = (deployment, stream), self._clock.monotonic()
        average = self._averages.pop(key, None)
        if average is None:
            average = _Average(seconds, now)
        else:
            average.seconds += NEWEST * (seconds - average.seconds)
            average.at = now
        self._averages[key] = average
        if len(self._averages) > MOST:
            del self._averages[next(iter(self._averages))]

    def outlasted(self, deployment: str, seconds: float, *, stream: bool) -> None:
        """Nobody waited for the answer any longer than this: a lower bound, which says something where it is above average."""
        known = self.first_token(deployment, stream=stream)
        if known is not None and seconds > known:
            self.answered(deployment, seconds, stream=stream)

    def busy(self, deployment: str) -> int:
        """Calls under way."""
        return self._under_way.get(deployment, 0)

    def first_token(self, deployment: str, *, stream: bool) -> float | None:
        """Seconds, newer answers counting more; None for a deployment of which nothing was seen."""
        average = self._averages.get((deployment, stream))
        return None if average is None else average.seconds

    def is_fresh(self, deployment: str, *, stream: bool) -> bool:
        """Whether `first_token` is known, and of late."""
        average = self._averages.get((deployment, stream))
        return average is not None and self._clock.monotonic() - average.at <= FRESH

    def all(self) -> Mapping[str, tuple[int, float | None]]:
        """For each deployment the calls under way, and the seconds until a stream from it begins."""
        names = {name for name, _ in self._averages} | set(self._under_way)
        return {name: (self.busy(name), self.first_token(name, stream=True)) for name in names}
