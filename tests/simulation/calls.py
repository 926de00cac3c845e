"""One call as flow.py makes it: attempts with fallbacks, an answer that streams, a bill; and clients may leave at any time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from random import Random

from gateway.budget.budgets import Budgets
from gateway.budget.hold import Hold
from gateway.budget.limits import Kind, Limits, Orphan, Unit
from gateway.core.call import Call
from gateway.core.deployment import Deployment, Model, Provider
from gateway.core.errors import CallerError, Overloaded
from gateway.core.money import Price
from gateway.core.tasks import Tasks
from gateway.core.tenant import Tenant
from gateway.core.usage import Usage
from tests.simulation.estimates import CAP, CHOICES, SENT, Bounds, Charge
from tests.simulation.invariants import Broken
from tests.simulation.oracle import Toll

WITHOUT_CAP = 1500
"""Tokens that a provider makes at most when nobody gives it a cap."""
TOKEN = "word"


def _deployment(name: str, *, input: int, output: int) -> Deployment:
    return Deployment(name, Provider(name, "simulated"), "model", Price(input, output))


MODEL = Model(
    "model",
    deployments=(_deployment("one", input=1, output=3),),
    fallbacks=(_deployment("two", input=2, output=5), _deployment("three", input=1, output=1)),
    max_output=800,
)


class Failed(Exception):
    """The provider failed."""


class Answer:
    """hold.Watched. Makes `total` tokens for each choice unless it is closed before; fails after `breaks_after` of them."""

    def __init__(
        self, deployment: Deployment, random: Random, *, stream: bool, sent: int, total: int, breaks: bool
    ) -> None:
        self.deployment = deployment
        self.is_stream = stream
        self.sent = sent
        self.made = 0
        self._random = random
        self._total = total
        self._breaks_after = random.randint(0, total) if breaks else None
        self._fresh = 0

    async def chunks(self, *, single: bool = False) -> AsyncIterator[bytes]:
        pace = self._random.choice((0.0, 0.02, 0.02, 0.3, 3.0))
        while self.made < self._total:
            most = max(1, self._total // 8) if self.is_stream else self._total
            size = min(self._random.randint(1, max(1, most)), self._total - self.made)
            await asyncio.sleep(pace * self._random.random())
            self.made += size
            self._fresh += size
            yield b""
            if self._breaks_after is not None and self.made >= self._breaks_after:
                raise Failed

    def produced_length(self) -> int:
        return self.made * len(TOKEN)

    def produced(self) -> list[str]:
        return [TOKEN * self.made]

    def fresh_text(self) -> str:
        fresh, self._fresh = self._fresh, 0
        return TOKEN * fresh

    def cut(self) -> bytes:
        self._total = self.made  # the connection is closed, and what came on it is billed
        return b""


class CallUnderWay:
    """`run` is the call. `toll` is what it has used so far, by account, or what it came to."""

    def __init__(
        self, call: Call, tenant: Tenant, budgets: Budgets, tasks: Tasks, *, bounds: Bounds, random: Random
    ) -> None:
        self._call = call
        self._tenant = tenant
        self._budgets = budgets
        self._tasks = tasks
        self._bounds = bounds
        self._random = random
        self._hold: Hold | None = None
        self._answer: Answer | None = None
        self.attempts = 0
        self.refused: str | None = None
        self.toll: Toll | None = None

    async def run(self, limits: Limits) -> None:
        with self._budgets.hold(self._tenant, self._call, limits) as hold:
            self._hold = hold
            try:
                await self._answered(hold.of(MODEL))
            except (CallerError, Overloaded) as error:
                self.refused = error.code
            except Failed:
                self.refused = "failed"
            except asyncio.CancelledError:
                self.refused = "left"
                raise
            finally:
                self.toll = self._reckoned(settled=True)

    @property
    def name(self) -> str:
        return f"{self._call.id} of {self._tenant.name}"

    def under_way(self) -> Toll:
        """What it has used by now, and holds where the policy charges orphans for that."""
        return self._reckoned(settled=False)

    async def _answered(self, hold: Hold) -> None:
        answer = await self._opened(hold)
        await hold.admit()
        try:
            async for _ in hold.within(answer):
                await asyncio.sleep(0)
        finally:
            hold.settle(await self._tasks.finish(self._bill(answer), name="bill"))

    async def _opened(self, hold: Hold) -> Answer:
        for deployment in (*MODEL.deployments, *MODEL.fallbacks):
            cap = await hold.reserve(deployment)
            self._check_is_reserved(hold)
            self.attempts += 1
            with suppress(Failed):
                return await self._started(deployment, cap)
        raise Failed

    async def _started(self, deployment: Deployment, cap: int | None) -> Answer:
        await asyncio.sleep(self._random.choice((0.01, 0.1, 0.5)))
        if self._random.random() < 0.15:
            raise Failed
        fields = self._call.fields
        most = cap or fields[CAP] or WITHOUT_CAP
        share = self._random.choice((0, 0.1, 0.5, 1, 1, *([1.5, 3] if self._random.random() < 0.1 else [])))
        total = int(most * share) * int(fields[CHOICES])
        sent = int(fields[SENT])
        breaks = self._random.random() < 0.05
        self._answer = Answer(deployment, self._random, stream=self._call.stream, sent=sent, total=total, breaks=breaks)
        return self._answer

    async def _bill(self, answer: Answer) -> Charge:
        await asyncio.sleep(self._random.choice((0, 0, 0.001, 0.2)))
        cost = self._bounds.cost(answer.deployment, sent=answer.sent, made=answer.made)
        return Charge(Usage(answer.sent, answer.made), cost)

    def _check_is_reserved(self, hold: Hold) -> None:
        """I7 and I8: one reservation for each attempt, in every account; a hard budget's in the ledger or in a slice of it."""
        assert hold.own.needs is not None
        if len(hold.reservations) != 1:
            raise Broken(f"I7: {len(hold.reservations)} reservations for one attempt")
        (reservation,) = hold.reservations
        parts = {part.account.name: part for part in reservation.parts}
        for account in hold.own.needs.accounts:
            part = parts.get(account.name)
            is_sure = part is not None and (reservation.is_direct or part.slice is not None)
            if part is None or (not is_sure and account.limit.hard and account.limit.kind is Kind.BUDGET):
                raise Broken(f"I8: a call is served without a reservation in {account.name}")
            if not is_sure and not hold.degraded:
                raise Broken(f"I8: nobody is told that {account.name} was not asked")

    def _reckoned(self, *, settled: bool) -> Toll:
        used: Counter[str] = Counter()
        held: Counter[str] = Counter()
        if self._hold is None:
            return Toll(0.0, used, held)
        amounts = self._used()
        for name, unit, amount, orphan in self._parts(self._hold):
            used[name] = amounts.get(unit, 0)
            if settled or orphan is Orphan.RESERVED:
                held[name] += amount
        return Toll(0.0, used, held)

    def _used(self) -> dict[Unit, int]:
        if self._answer is None:
            return {Unit.REQUESTS: 1}
        answer = self._answer
        cost = self._bounds.cost(answer.deployment, sent=answer.sent, made=answer.made)
        return {Unit.USD: cost, Unit.TOKENS: answer.sent + answer.made, Unit.REQUESTS: 1}

    @staticmethod
    def _parts(hold: Hold) -> Iterator[tuple[str, Unit, int, Orphan]]:
        """What it holds, but for rates that this worker counts by itself."""
        for reservation in hold.reservations:
            for part in reservation.parts:
                if not part.is_local:
                    limit = part.account.limit
                    yield part.account.name, limit.unit, part.amount, limit.orphan
