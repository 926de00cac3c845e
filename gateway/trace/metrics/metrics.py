"""A worker's metrics: counted from rows, asked of whoever knows them, told to the other workers, scraped and pushed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import msgspec

from gateway.core.clock import Clock
from gateway.core.errors import Overloaded
from gateway.trace.metrics.exposition import exposition
from gateway.trace.metrics.instrument import Instrument
from gateway.trace.metrics.observe import Observer
from gateway.trace.metrics.push import Gathered
from gateway.trace.metrics.series import Counter, Histogram, Labels, Reading, Totals, decoded, encode, take
from gateway.trace.metrics.shared import Share

TOLD = 1.0
"""Seconds between two times that a worker tells the others."""
PATIENCE = 2.0
"""Seconds in which whoever has to ask the store must answer."""
_SLICE = 500
"""Series encoded before the event loop gets its turn."""

Ask = Callable[[], Iterable[Reading]]
AskStore = Callable[[], Awaitable[Iterable[Reading]]]


class Metrics:
    """Start `run` as a task. Whoever has readings is added to `asked`, and to `asked_store` if it has to wait for them.

    `share` is None where there is one worker only.
    """

    def __init__(self, observer: Observer, share: Share | None, clock: Clock) -> None:
        self.asked: list[Ask] = []
        self.asked_store: list[AskStore] = []
        self.observe = observer.observe
        self._totals = observer.totals
        self._share = share
        self._clock = clock
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Tells the other workers, until it is cancelled."""
        while True:
            await self.tell()
            await asyncio.sleep(TOLD)

    async def tell(self) -> None:
        """Tells the other workers how things stand now."""
        share = self._share
        if share is None:
            return
        async with self._turn:
            own = await self._encoded()
            await asyncio.to_thread(share.write, own)

    async def exposition(self, accept: str) -> tuple[bytes, str]:
        """What is scraped, of all workers, and its content type, for this `Accept` header."""
        readings = await self._readings()
        async with self._turn:
            own = await self._encoded()
            return await asyncio.to_thread(self._write_out, own, readings, accept)

    async def counted(self, instrument: Instrument) -> Mapping[Labels, float]:
        """What a counter says now, of all workers, by the values of its labels."""
        async with self._turn:
            own = await self._encoded()
            totals = await asyncio.to_thread(self._merged, own)
        return {labels: cell.value for labels, cell in totals.counters.get(instrument.name, {}).items()}

    async def gathered(self) -> Gathered:
        """What is pushed: this worker's own."""
        return Gathered(await self._encoded(), await self._readings(), self._clock.now())

    def _write_out(self, own: bytes, readings: Sequence[Reading], accept: str) -> tuple[bytes, str]:
        totals = self._merged(own)
        take(totals, readings)
        return exposition(totals, accept)

    def _merged(self, own: bytes) -> Totals:
        if self._share is None:
            return decoded(own)
        self._share.write(own)  # first, so that what has been scraped outlives this worker
        return self._share.read()

    async def _readings(self) -> Sequence[Reading]:
        """Without those of a store that is away."""
        found: list[Reading] = []
        for ask in self.asked_store:
            try:
                async with asyncio.timeout(PATIENCE):
                    found += await ask()
            except (Overloaded, TimeoutError):
                continue
        return found

    async def _encoded(self) -> bytes:
        totals = self._totals
        totals.gauges.clear()
        for ask in self.asked:
            take(totals, ask())
        gauges = encode(totals.gauges)
        counters, histograms = await _parts(totals.counters), await _parts(totals.histograms)
        return encode({"counters": counters, "histograms": histograms, "gauges": msgspec.Raw(gauges)})


async def _parts(kind: Mapping[str, Mapping[Labels, Counter | Histogram]]) -> Mapping[str, msgspec.Raw]:
    """Each instrument encoded, with a turn for the event loop after large ones."""
    found = {}
    for name, series in tuple(kind.items()):
        found[name] = msgspec.Raw(encode(series))
        if len(series) > _SLICE:
            await asyncio.sleep(0)
    return found
