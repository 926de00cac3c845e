"""A session under way: what either side says is passed on to the other, until one of them, the budget or the time ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.errors import (
    Broken,
    BudgetExhausted,
    CallerError,
    GatewayError,
    InvalidRequest,
    Overloaded,
    RateLimited,
)
from gateway.core.peer import FAILED, GOING_AWAY, LOST, REFUSED, Closed, Peer
from gateway.core.session import SessionLimits
from gateway.core.tasks import Tasks
from gateway.realtime.capped import capped, update
from gateway.realtime.events import Event, checked, error_event, read
from gateway.realtime.spending import Spending
from gateway.upstream.sessions import Session
from gateway.websocket.framing import sendable

_PROPER = (1000, 1001, 1005)
"""Codes of a session that was meant to end."""
_GOODBYE = 1.0
"""Seconds that a client has to take note of the end."""
PING = 20.0
"""Seconds between two signs of life that are asked for."""
SILENT = 60.0
"""Seconds without any sign of life after which a side is taken to be gone."""


@dataclass(frozen=True, slots=True)
class Ending:
    """`by` is client, provider or gateway; `error` is what the client is told besides."""

    by: str
    code: int
    reason: str = ""
    error: GatewayError | None = None

    @property
    def is_for_money(self) -> bool:
        return isinstance(self.error, BudgetExhausted | RateLimited)

    def check(self) -> None:
        """Raises Broken where the provider did not end the session properly."""
        if self.by == "provider" and self.code not in _PROPER:
            error = Broken(f"the provider broke the session off ({self.code})")
            error.detail = f"{self.code} {self.reason}"[:200]
            raise error

    @property
    def for_provider(self) -> int:
        return sendable(self.code) if self.by == "client" and self.code != LOST else GOING_AWAY

    @property
    def for_client(self) -> int:
        return sendable(self.code)


class Relay:
    """Neither side is read faster than the other takes it; nothing waits here but the message in hand.

    `ending` is how it ended, and until then how it would if the gateway went.
    """

    def __init__(
        self,
        client: Peer,
        provider: Session,
        spending: Spending,
        *,
        call: Call,
        limits: SessionLimits,
        clock: Clock,
        tasks: Tasks,
    ) -> None:
        self._client = client
        self._provider = provider.peer
        self._spending = spending
        self._call = call
        self._upstream_model = provider.deployment.upstream_model
        self._limits = limits
        self._clock = clock
        self._tasks = tasks
        self._spoke_at = clock.monotonic()
        self.ending = Ending("gateway", GOING_AWAY, "the gateway is shutting down")

    async def run(self) -> Ending:
        """How it ended: both sides have been told by then, and what was under way is settled."""
        try:
            self.ending = await self._run()
        finally:
            ending = self.ending
            await self._provider.close(ending.for_provider)
            self._spending.settle()
            if ending.error is not None:
                await self._say(error_event(ending.error))
            await self._client.close(ending.for_client, ending.reason, wait=_GOODBYE)
        return self.ending

    async def _run(self) -> Ending:
        running = [
            self._start(self._from_client(), "realtime client"),
            self._start(self._from_provider(), "realtime provider"),
            self._start(self._watch(), "realtime watch"),
        ]
        try:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            return next(task for task in running if task in done).result()
        finally:
            for task in running:
                task.cancel()
            await self._tasks.finish(_ended(running), name="realtime end")

    def _start(self, work: Coroutine[Any, Any, Ending], name: str) -> asyncio.Task[Ending]:
        return self._tasks.start(work, name=name)

    async def _from_client(self) -> Ending:
        while True:
            try:
                message = await self._client.receive()
            except Closed as closed:
                return Ending("client", closed.code, closed.reason)
            self._spoke_at = self._clock.monotonic()
            event = Event()
            try:
                event = read(message)
                message = checked(message, event, model=self._call.model, upstream_model=self._upstream_model)
                if (cap := self._spending.cap) is not None:
                    message = capped(message, event, cap)
                    event = read(message)
            except InvalidRequest as error:
                if (ending := await self._tell(error_event(error, event.event_id))) is not None:
                    return ending
                continue
            try:
                await self._spending.before(event, len(message))
            except (CallerError, Overloaded) as error:
                return Ending("gateway", REFUSED, error.code, error)
            try:
                await self._provider.send(message)
            except Closed as closed:
                return Ending("provider", closed.code, closed.reason)

    async def _from_provider(self) -> Ending:
        while True:
            try:
                message = await self._provider.receive()
            except Closed as closed:
                return Ending("provider", closed.code, closed.reason)
            self._spoke_at = self._clock.monotonic()
            try:
                event = read(message)
            except InvalidRequest:
                return Ending("provider", FAILED, "the provider said something that is no event")
            await self._spending.heard(event)
            if (ending := await self._cap(event) or await self._tell(message)) is not None:
                return ending
            try:
                await self._spending.ahead()
            except (CallerError, Overloaded) as error:
                return Ending("gateway", REFUSED, error.code, error)

    async def _cap(self, event: Event) -> Ending | None:
        """Says to the provider how long its responses may be, also those that it begins by itself."""
        cap = self._spending.cap
        message = None if cap is None else update(event, cap)
        try:
            if message is not None:
                await self._provider.send(message)
        except Closed as closed:
            return Ending("provider", closed.code, closed.reason)
        return None

    async def _tell(self, message: bytes) -> Ending | None:
        try:
            await self._client.send(message)
        except Closed as closed:
            return Ending("client", closed.code, closed.reason)
        return None

    async def _say(self, message: bytes) -> None:
        """To a client who may have stopped listening."""
        with suppress(Closed, TimeoutError):
            async with asyncio.timeout(_GOODBYE):
                await self._client.send(message)

    async def _watch(self) -> Ending:
        until, pinged = self._clock.monotonic() + self._limits.longest, self._clock.monotonic()
        while True:
            now = self._clock.monotonic()
            idle_at = self._spoke_at + self._limits.idle
            if now >= until:
                return _over(f"a session lasts at most {self._limits.longest:g} seconds", "session_expired")
            if now >= idle_at:
                return _over(f"nobody said anything for {self._limits.idle:g} seconds", "session_idle")
            if now - pinged >= PING:
                pinged = now
                for by, peer in (("client", self._client), ("provider", self._provider)):
                    if peer.ping() > SILENT:
                        return Ending(by, LOST, "no sign of life")
            await asyncio.sleep(max(0.01, min(until - now, idle_at - now, pinged + PING - now)))


def _over(message: str, code: str) -> Ending:
    return Ending("gateway", GOING_AWAY, code, CallerError(message, code=code))


async def _ended(tasks: list[asyncio.Task[Ending]]) -> None:
    await asyncio.wait(tasks)
