"""One model that is asked for a call, with money of its own, while others may be asked too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from gateway.core.bill import Bill
from gateway.core.call import Call
from gateway.core.deployment import Deployment
from gateway.core.errors import SUPERSEDED, GatewayError
from gateway.core.tasks import Tasks
from gateway.core.usage import Usage
from gateway.upstream.answer import Answer
from gateway.upstream.opening import Opening
from gateway.upstream.opening import Purse as Reserves


class Purse(Reserves, Protocol):
    def settle(self, bill: Bill) -> None:
        """Says what the answer has cost."""
        ...

    def release(self) -> None:
        """Gives back what is held and will not be used."""
        ...

    def serve(self) -> None:
        """The answer it pays for is the one that the client gets."""
        ...


class Meter(Protocol):
    async def bill(self, call: Call, answer: Answer | Unheard) -> Bill: ...


class Unheard:
    """An answer of which nothing was waited for: what was sent is paid for."""

    usage: Usage | None = None
    is_complete = False
    produced_share = 1.0

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment

    def produced(self) -> list[str]:
        return []


class Asked:
    """Either its answer is served, and whoever serves it leaves it and settles; or it is dropped."""

    def __init__(
        self,
        opens: Callable[[Reserves], Opening],
        purse: Purse,
        call: Call,
        *,
        meter: Meter,
        tasks: Tasks,
    ) -> None:
        """`opens` makes the opening, of what pays for its attempts."""
        self.opening = opens(self)
        self._held = asyncio.Event()
        self._purse = purse
        self._call = call
        self._meter = meter
        self._tasks = tasks
        self._task: asyncio.Task[Answer | GatewayError] | None = None

    async def reserve(self, deployment: Deployment) -> int | None:
        """For its opening alone."""
        cap = await self._purse.reserve(deployment)
        self._held.set()
        return cap

    async def holds(self) -> bool:
        """Waits until money is held for it and it is asked, and says so; or until it has ended before that."""
        self.start()
        await self._held.wait()
        return not isinstance(self.result, GatewayError)

    def start(self) -> asyncio.Task[Answer | GatewayError]:
        """The task that opens the answer; a failure is its result."""
        if self._task is None:
            self._task = self._tasks.start(self._open(), name="ask")
        return self._task

    async def answer(self) -> Answer:
        """Raises as the opening does."""
        found = await self.start()
        if isinstance(found, GatewayError):
            raise found
        return found

    @property
    def result(self) -> Answer | GatewayError | None:
        """None until it is there."""
        return self._task.result() if self._task is not None and self._task.done() else None

    def serve(self) -> None:
        """Its answer is the one that the client gets."""
        self._purse.serve()

    async def leave(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes the answer that was served."""
        await self.opening.__aexit__(kind, error, traceback)

    async def drop(self, because: str | None = None, *, error: BaseException | None = None) -> None:
        """Stops it, and pays for what was made; `error` is what ended the call, if anything did. An answer that is whole, or
        that failed, ends as it did; one that is stopped is no word on its deployment.

        Goes on when the caller is cancelled.
        """
        if self._task is not None:
            await self._tasks.finish(self._drop(self._task, because, error), name="drop")

    async def _open(self) -> Answer | GatewayError:
        try:
            return await self.opening.__aenter__()
        except GatewayError as error:
            return error
        finally:
            self._held.set()

    async def _drop(
        self, task: asyncio.Task[Answer | GatewayError], because: str | None, error: BaseException | None
    ) -> None:
        stopped = error if isinstance(error, asyncio.CancelledError) else asyncio.CancelledError(SUPERSEDED)
        if not task.done():
            task.cancel(*stopped.args)
            await asyncio.wait([task])
        is_over = task.cancelled() or task.exception() is not None  # a bug, which is told where it is raised
        answer = None if is_over else task.result()
        attempt = self.opening.attempt
        if isinstance(answer, Answer):
            await self._leave(answer, stopped)
            await self._pay(answer)
        elif attempt is not None and attempt.is_sent and attempt.error == SUPERSEDED:
            await self._pay(Unheard(attempt.target))
        if attempt is not None:
            attempt.because = because
        self._purse.release()

    async def _leave(self, answer: Answer, stopped: asyncio.CancelledError) -> None:
        failure = answer.failure or (None if answer.is_complete else stopped)
        await self.opening.__aexit__(None if failure is None else type(failure), failure, None)

    async def _pay(self, answer: Answer | Unheard) -> None:
        bill = await self._meter.bill(self._call, answer)
        self._purse.settle(bill)
        if self.opening.attempt is not None:
            self.opening.attempt.paid = bill
