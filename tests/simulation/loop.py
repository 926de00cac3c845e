"""Event loops in simulated time: one for each worker, so that a worker can be stopped or killed between two callbacks.

Nothing here knows the real time. Everything that will happen stands in one agenda; what is due at the same time happens
in an order that the seed decides.
"""

from __future__ import annotations

import asyncio
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from random import Random
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

TURN = 0.000_05
"""Seconds after which a worker that has something to do does it, on average."""
WRITTEN = 0.004
"""Seconds that a write to the disk takes, on average."""
ENDED = 5


class Agenda:
    """What will happen, and the time."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.time = 0.0
        self._count = 0
        self._entries: list[tuple[float, float, int, Callable[[], object]]] = []

    def at(self, when: float, happens: Callable[[], object]) -> None:
        self._count += 1
        heapq.heappush(self._entries, (max(when, self.time), self.random.random(), self._count, happens))

    def after(self, seconds: float, happens: Callable[[], object]) -> None:
        self.at(self.time + seconds, happens)

    def step(self) -> None:
        """Lets the next thing happen."""
        self.time, _, _, happens = heapq.heappop(self._entries)
        happens()


class WorkerLoop(asyncio.BaseEventLoop):
    """One process. `written`: when the last write that has reached the disk was begun."""

    def __init__(self, agenda: Agenda, failed: Callable[[str], None]) -> None:
        super().__init__()
        self._agenda = agenda
        self._failed = failed
        self._todo: deque[events.Handle] = deque()
        self._is_armed = False
        self._began = agenda.time
        self._stopped_until = 0.0
        self.is_dead = False
        self.written = 0.0

    def time(self) -> float:
        return self._agenda.time

    def stop_until(self, when: float) -> None:
        """Does nothing before: the machine has suspended it."""
        self._stopped_until = max(self._stopped_until, when)

    def go_on(self) -> None:
        """Ends a suspension."""
        self._stopped_until = self._agenda.time

    @property
    def running_since(self) -> float:
        return max(self._began, self._stopped_until)

    @property
    def is_stopped(self) -> bool:
        return self._stopped_until > self._agenda.time

    def kill(self) -> None:
        """Nothing of it happens any more."""
        self.is_dead = True
        self._todo.clear()
        events._set_running_loop(self)
        ended: set[asyncio.Task[Any]] = set()
        while begun := asyncio.all_tasks(self) - ended:  # ending one may begin another
            for task in begun:
                _end(task)
            ended |= begun
        events._set_running_loop(None)
        self.close()

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> events.Handle:
        handle = events.Handle(callback, args, self, context)
        if not self.is_dead:
            self._todo.append(handle)
            self._arm()
        return handle

    def call_later(
        self, delay: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> events.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> events.TimerHandle:
        handle = events.TimerHandle(when, callback, args, self, context)
        if not self.is_dead:
            self._agenda.at(when, lambda: self._due(handle))
        return handle

    def run_in_executor(  # type: ignore[override]
        self, executor: None, function: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Only journals use it."""
        done: asyncio.Future[T] = self.create_future()
        begun = self.time()

        def write() -> None:
            if self.is_dead:
                return
            try:
                result = function(*args)
            except (OSError, ValueError) as error:
                self._failed(f"a write to the disk failed: {error!r}")
            else:
                self.written = begun
                self.call_soon(give, done, result)

        self._agenda.after(self._agenda.random.expovariate(1 / WRITTEN), write)
        return done

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.is_dead:
            self._failed(f"{context.get('message')}: {context.get('exception')!r}")

    def _due(self, handle: events.TimerHandle) -> None:
        if not (self.is_dead or handle.cancelled()):
            self._todo.append(handle)
            self._arm()

    def _arm(self) -> None:
        if not self._is_armed:
            self._is_armed = True
            wait = self._agenda.random.expovariate(1 / TURN)
            self._agenda.at(max(self._agenda.time + wait, self._stopped_until), self._turn)

    def _turn(self) -> None:
        """What one turn of an event loop does."""
        self._is_armed = False
        if self.is_dead:
            return
        if self.is_stopped:
            self._arm()
            return
        events._set_running_loop(self)
        try:
            for _ in range(len(self._todo)):
                handle = self._todo.popleft()
                if not handle.cancelled():
                    handle._run()
                if self.is_dead:
                    return
        finally:
            events._set_running_loop(None)
        if self._todo:
            self._arm()


def give(waiting: asyncio.Future[T], result: T) -> None:
    """Unless whoever waited has left."""
    if not waiting.done():
        waiting.set_result(result)


def _end(task: asyncio.Task[Any]) -> None:
    """Closes its coroutine, once more for each `finally` in which it waits."""
    coroutine = task.get_coro()
    for _ in range(ENDED):
        with suppress(RuntimeError):
            coroutine.close()
            return
