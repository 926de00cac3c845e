"""What lies between workers and the ledger: messages are late, overtake each other, and get lost on either way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.store.contract import away
from gateway.store.redis.server import LIMIT, Script, Server
from tests.simulation.ledger import Shared
from tests.simulation.loop import Agenda, WorkerLoop, give


@dataclass(slots=True)
class Weather:
    """Shares of messages that are lost on their way there, or back, and that are late. `late` in seconds, at most."""

    lost: float = 0.0
    unanswered: float = 0.0
    slow: float = 0.0
    late: float = 0.05


class Network:
    def __init__(self, agenda: Agenda, shared: Shared, weather: Weather) -> None:
        self._agenda = agenda
        self._random = agenda.random
        self._shared = shared
        self.weather = weather
        self.away_until = 0.0

    @property
    def is_away(self) -> bool:
        return self._agenda.time < self.away_until

    def send(self, argument: bytes, is_cut: Callable[[], bool], answered: Callable[[bytes], None]) -> None:
        """`is_cut`: the worker is cut off. What is on its way arrives all the same."""
        if self._random.random() < self.weather.lost or self.is_away or is_cut():
            return

        def arrive() -> None:
            if self.is_away:
                return
            answer = self._shared.answer(argument)
            if self._random.random() >= self.weather.unanswered and not is_cut():
                self._agenda.after(self._delay(), lambda: answered(answer))

        self._agenda.after(self._delay(), arrive)

    def _delay(self) -> float:
        if self._random.random() < self.weather.slow:
            return self._random.random() * self.weather.late
        return 0.000_1 + self._random.expovariate(1 / 0.000_3)


class Link(Server):
    """The server as the workers' own clients see it."""

    def __init__(self, network: Network, loop: WorkerLoop) -> None:
        self._network = network
        self._loop = loop
        self.cut_until = 0.0

    async def kept_script(self, script: Script, keys: Sequence[bytes | str], *arguments: bytes | str | int) -> bytes:
        (argument,) = arguments
        assert isinstance(argument, bytes)
        answer: asyncio.Future[bytes] = self._loop.create_future()

        def answered(reply: bytes) -> None:
            if not self._loop.is_dead:
                self._loop.call_soon(give, answer, reply)

        self._network.send(argument, lambda: self._loop.time() < self.cut_until, answered)
        try:
            async with asyncio.timeout(LIMIT):
                return await answer
        except TimeoutError:
            raise away() from None
