"""What one call holds: a place in the rates of its tenant, and for each of its answers what that can cost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Protocol

from gateway.budget.headers import rate_headers
from gateway.budget.limits import Limits
from gateway.budget.needs import Estimates
from gateway.budget.purse import Bill, Purse, Watched
from gateway.budget.reserve import Reservation, Reserver
from gateway.core import bill as core
from gateway.core.arrival import Headers
from gateway.core.call import Call
from gateway.core.clock import Clock
from gateway.core.deployment import Deployment, Model
from gateway.core.tenant import Tenant


class Joined(Protocol):
    """Who knows which calls are under way."""

    def enter(self, hold: Hold) -> None: ...

    def leave(self, hold: Hold, bill: Bill | None) -> None: ...


class Hold:
    """A context manager; leaving it settles what the call has cost, or nothing, however it ends.

    `own` pays for the call's answer and takes its place in the rates; further answers have purses of their own. What is said
    of an answer is said of the one that is served. `is_refused` is known once the hold has been left.
    """

    __slots__ = (
        "_beside",
        "_call",
        "_clock",
        "_estimates",
        "_joined",
        "_limits",
        "_reserver",
        "is_refused",
        "own",
        "tenant",
    )

    def __init__(
        self,
        call: Call,
        tenant: Tenant,
        limits: Limits,
        *,
        reserver: Reserver,
        estimates: Estimates,
        joined: Joined,
        clock: Clock,
    ) -> None:
        self.tenant = tenant
        self._call = call
        self._limits = limits
        self._reserver = reserver
        self._estimates = estimates
        self._joined = joined
        self._clock = clock
        self.own = Purse(call, reserver=reserver, estimates=estimates, clock=clock)
        self._beside: list[Purse] = []
        self.is_refused = False

    def __enter__(self) -> Hold:
        self._joined.enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for purse in self._purses():
            purse.close()
            self.is_refused = self.is_refused or (error is not None and purse.refusal is error)
        self._joined.leave(self, self.bill)

    @property
    def id(self) -> str:
        return self._call.id

    @property
    def call(self) -> Call:
        return self._call

    @property
    def bill(self) -> Bill | None:
        """What all answers of the call have cost, as far as they are known."""
        if not self._beside:
            return self.own.bill
        return core.total(
            core.Bill(each.bill.usage, each.bill.cost) for each in self._purses() if each.bill is not None
        )

    @property
    def tokens(self) -> tuple[int, int]:
        """Input and output tokens that are held for."""
        return self._served.tokens

    @property
    def reservations(self) -> Sequence[Reservation]:
        """Of all answers."""
        if not self._beside:
            return self.own.reservations
        return [reservation for purse in self._purses() for reservation in purse.reservations]

    @property
    def reserved_usd(self) -> int | None:
        """Nano-USD, of all answers that were paid, or may still be; None where no budget in money applies."""
        if not self._beside:
            return self.own.reserved_usd
        known = [each.reserved_usd for each in self._purses() if each.reserved_usd is not None]
        return sum(known) if known else None

    @property
    def asked(self) -> Sequence[tuple[float, float, str]]:
        """See Purse. What was asked for an answer that the call could do without is not told."""
        return self.own.asked

    @property
    def refused_by(self) -> Mapping[str, object] | None:
        return next((each.refused_by for each in self._purses() if each.asked is self.own.asked and each.refusal), None)

    @property
    def degraded(self) -> frozenset[str]:
        return self.own.degraded.union(*(each.degraded for each in self._beside))

    @property
    def is_clamped(self) -> bool:
        return self._served.is_clamped

    @property
    def is_stopped(self) -> bool:
        return self._served.is_stopped

    @property
    def is_capped(self) -> bool:
        """Whether the provider of each answer knew how long it may be."""
        return all(each.is_capped for each in self._purses() if each.bill is not None)

    def of(self, model: Model) -> Hold:
        """Says which model answers, and so which accounts the call touches."""
        self.own.of(self._limits.accounts(self.tenant, self._call.user, model.name), model.max_output)
        return self

    def beside(self, model: Model, *, is_needed: bool) -> Purse:
        """What pays for a further answer, by that model. If one that is needed cannot be paid, neither can the call."""
        purse = Purse(self._call, reserver=self._reserver, estimates=self._estimates, clock=self._clock, is_beside=True)
        purse.of(self._limits.accounts(self.tenant, self._call.user, model.name), model.max_output)
        if is_needed:
            purse.asked = self.own.asked
        self._beside.append(purse)
        return purse

    def note_refusal(self, purse: Purse) -> None:
        """A further answer could not be paid, which ends the call: what was asked for it is told."""
        if purse.asked is not self.own.asked and purse.asked:
            self.own.asked.append(purse.asked[-1])
            purse.asked = self.own.asked

    async def reserve(self, deployment: Deployment) -> int | None:
        """See Purse.reserve."""
        return await self.own.reserve(deployment)

    async def admit(self) -> None:
        """See Purse.admit."""
        await self.own.admit()

    def within(self, answer: Watched) -> AsyncIterator[bytes]:
        """The answer's chunks, as far as the budget goes."""
        return self._served.within(answer)

    def settle(self, bill: Bill) -> None:
        """Says what the answer that was served has cost."""
        self._served.settle(bill)

    def headers(self) -> Headers:
        """How the rates stand, and what else the client should know."""
        if not self.reservations:
            return ()
        degraded = (("x-llmgw-degraded", ", ".join(sorted(self.degraded))),) if self.degraded else ()
        clamped = (("x-llmgw-clamped", "1"),) if self.is_clamped else ()
        return (*rate_headers(self.own.rates()), *degraded, *clamped)

    def observe(self) -> None:
        """Notes what a running answer has used so far, for whoever settles it if this worker dies."""
        self._served.observe()

    @property
    def _served(self) -> Purse:
        return next((each for each in self._beside if each.is_served), self.own) if self._beside else self.own

    def _purses(self) -> Sequence[Purse]:
        return (self.own, *self._beside)
