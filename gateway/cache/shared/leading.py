"""A flight of this worker as those of other workers hear it. Nothing is told until one of them asks."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from gateway.cache.flights import Flight
from gateway.cache.shared.letter import Landed, Letter, Lost, Part, Settled, failure_from
from gateway.cache.shared.post import Post
from gateway.core.errors import Overloaded

BEAT = 1.0
"""Seconds between two letters, even if there is no news."""
LEASE = 5.0
"""Seconds after which a worker that said nothing is not told any more."""
GATHERED = 0.01
"""Seconds for which chunks are gathered to be told together; the first are told at once."""
LARGEST = 256 * 1024
"""Bytes of an answer in one letter."""
AGAIN = 0.2
"""Seconds before a letter is sent again that the store did not take."""


@dataclass(slots=True)
class _Follower:
    """What a worker was told: `place`, bytes of the answer. `told` and `heard`: when it was told, and said, anything."""

    place: int
    heard: float
    told: float
    knows_landed: bool = False
    knows_end: bool = False


@dataclass(frozen=True, slots=True)
class _News:
    """What followers with the same needs are told next."""

    place: int
    lacks: str


class Leading:
    """For the flight, all workers that follow it are one listener."""

    def __init__(self, flight: Flight, id: str, post: Post, monotonic: Callable[[], float]) -> None:
        """`id` is the one in the flight's Mark."""
        self._flight = flight
        self._id = id
        self._post = post
        self._monotonic = monotonic
        self._followers: dict[str, _Follower] = {}
        self._ends: list[int] = []
        self.is_telling = False

    def follow(self, worker: str, place: int | None) -> None:
        """The worker listens, and has so many bytes of the answer; None: as many as it was told."""
        now = self._monotonic()
        follower = self._followers.get(worker)
        if follower is None or place is not None:
            self._followers[worker] = _Follower(place or 0, heard=now, told=now)
            self._flight.wake()
        else:
            follower.heard = now

    def leave(self, worker: str) -> None:
        self._followers.pop(worker, None)
        self._flight.wake()

    async def tell(self) -> None:
        """Until all know the end, or nobody follows."""
        self._flight.enter()
        self.is_telling = True
        try:
            while self._drop_silent():
                await self._tell_more()
        finally:
            self.is_telling = False
            self._flight.exit()

    async def _tell_more(self) -> None:
        flight = self._flight
        news = self._news()
        try:
            for each, workers in news.items():
                await self._send(each, workers)
        except Overloaded:
            await asyncio.sleep(AGAIN)
            return
        if news and not flight.has_landed and not flight.is_lost:
            await asyncio.sleep(GATHERED)
        elif not news:
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT):
                    await flight.changes()

    def _drop_silent(self) -> bool:
        """Whether anybody is left who does not know the end."""
        heard_since = self._monotonic() - LEASE
        self._followers = {
            worker: each for worker, each in self._followers.items() if each.heard >= heard_since and not each.knows_end
        }
        return bool(self._followers)

    def _news(self) -> Mapping[_News, Sequence[str]]:
        total, now = self._total(), self._monotonic()
        news: dict[_News, list[str]] = defaultdict(list)
        for worker, each in self._followers.items():
            if (lacks := self._lacks(each, total, now)) is not None:
                news[_News(each.place, lacks)].append(worker)
        return news

    def _lacks(self, follower: _Follower, total: int, now: float) -> str | None:
        flight = self._flight
        if follower.place < total:
            return "part"
        if flight.has_landed and not follower.knows_landed:
            return "landed"
        if flight.is_settled and not follower.knows_end:
            return "end"
        return "beat" if now - follower.told >= BEAT else None

    def _total(self) -> int:
        """Bytes there are to tell. What is no stream is told once it is whole."""
        flight = self._flight
        for chunk in flight.chunks[len(self._ends) :]:
            self._ends.append((self._ends[-1] if self._ends else 0) + len(chunk))
        is_told_now = flight.form[0] or flight.has_landed
        return self._ends[-1] if self._ends and is_told_now else 0

    async def _send(self, news: _News, workers: Sequence[str]) -> None:
        """Raises Overloaded."""
        letter = self._letter(news)
        told = {worker: self._followers[worker] for worker in workers if worker in self._followers}
        await self._post.send(workers, letter)
        for each in told.values():  # one that has asked anew meanwhile is another
            each.told = self._monotonic()
            if isinstance(letter, Part):
                each.place = letter.place + len(letter.piece)
            each.knows_landed = each.knows_landed or isinstance(letter, Landed)
            each.knows_end = news.lacks == "end"

    def _letter(self, news: _News) -> Letter:
        flight = self._flight
        if news.lacks == "part":
            piece, is_whole = self._after(news.place)
            return Part(self._id, news.place, piece, is_whole)
        if flight.has_landed and news.lacks != "end":
            return Landed(self._id, news.place, flight.last, flight.cost, flight.took)
        if news.lacks == "beat":
            return Part(self._id, news.place, b"", True)
        return Settled(self._id) if flight.has_landed else Lost(self._id, failure_from(flight.failure))

    def _after(self, place: int) -> tuple[bytes, bool]:
        """What comes after so many bytes, and whether it ends with a chunk."""
        chunks, index = self._flight.chunks, bisect_right(self._ends, place)
        begin = place - (self._ends[index - 1] if index else 0)
        first = chunks[index][begin : begin + LARGEST]
        if begin + len(first) < len(chunks[index]):
            return first, False
        end = max(index + 1, bisect_right(self._ends, place + LARGEST))
        return b"".join([first, *chunks[index + 1 : end]]), True
