"""What the parts of a worker say of themselves as metrics, whenever these are scraped, pushed or told to other workers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.budget.budgets import Budgets
from gateway.cache.semantic.asked import Meanings
from gateway.core.clock import Clock
from gateway.ingress.admin.balances import Row, rows
from gateway.policy.current import Current
from gateway.route.certificate.certificate import Standing, State, Status
from gateway.route.certificate.certificates import Certificates
from gateway.route.trials import Trials
from gateway.store.contract import CacheStore
from gateway.template.rollout.rollouts import Followed, Rollouts, shares
from gateway.trace.journal import Journal
from gateway.trace.metrics import instruments as of
from gateway.trace.metrics.names import clean
from gateway.trace.metrics.observe import Observer
from gateway.trace.metrics.push import Push
from gateway.trace.metrics.series import Reading
from gateway.trace.resource import our_version
from gateway.trace.sharing import Sharing
from gateway.trace.spans.tracer import Tracer
from gateway.upstream.health import Health

_LEVELS = frozenset({"org", "team", "model"})
"""Whose budgets are shown: those that operators have named, so that series stay few."""
SIZE_AGE = 15.0
"""Seconds for which the size of what is kept is not asked for again: Redis looks through a sample for it."""

AT_ONCE = 20
"""Certificates that are looked at before calls get their turn."""


@dataclass(slots=True)
class Parts:
    """Those that are asked. `push` is None while nothing is pushed."""

    policy: Current
    observer: Observer
    journal: Journal
    health: Health
    budgets: Budgets
    refused: Mapping[str, int]
    meanings: Meanings
    trials: Trials
    clock: Clock
    push: Push | None = None
    tracer: Tracer | None = None
    sharing: Sharing | None = None

    def readings(self) -> Iterator[Reading]:
        yield of.BUILD, (our_version(), self.policy.current.version), 1
        yield of.CALLS_ACTIVE, (), self.journal.active
        yield of.BUDGET_REJECTIONS, (), self.budgets.refused
        yield of.BUDGET_OVERDRAFTS, (), self.budgets.overdrafts
        yield of.BUDGET_THRESHOLDS, (), self.budgets.crossed
        for result, count in self.policy.reloads.items():
            yield of.RELOADS, (result,), count
        for code, count in self.refused.items():
            yield of.REFUSED, (code,), count
        for event, count in self.meanings.figures().items():
            if event == "entries":
                yield of.SEMANTIC_ENTRIES, (), count
            else:
                yield of.SEMANTIC_EVENTS, (clean(event),), count
        for (route, candidate, result), count in self.trials.counts.items():
            yield of.TRIALS, (clean(route), clean(candidate), clean(result)), count
        yield from self._resting()
        yield from self._dropped()

    async def remaining(self) -> Sequence[Reading]:
        """What is left of budgets and rates. Raises Overloaded."""
        balances, limits = await self.budgets.balances(self.policy.current.limits)
        return [each for row in rows(balances, limits, now=self.clock.now()) for each in _remaining(row)]

    def _resting(self) -> Iterator[Reading]:
        names = self.observer.names()
        for name in names.policy.deployments:
            yield of.RESTING, (names.deployment(name),), 0
        for name in self.health.resting():
            yield of.RESTING, (names.deployment(name),), 1

    def _dropped(self) -> Iterator[Reading]:
        dropped = self.journal.dropped
        yield of.DROPPED, ("records", "queue"), dropped.queue
        yield of.DROPPED, ("records", "stdout"), dropped.stdout
        yield of.DROPPED, ("records", "file"), dropped.file
        yield of.DROPPED, ("records", "spool"), dropped.spool
        if self.sharing is not None:
            yield of.DROPPED, ("records", "sharing"), self.sharing.dropped
            yield of.DROPPED, ("records", "trimmed"), self.sharing.missed
        if self.push is not None:
            yield of.DROPPED, ("metrics", "push"), self.push.dropped
        if self.tracer is not None:
            yield of.DROPPED, ("traces", "export"), self.tracer.dropped


class Kept:
    """How much is kept of answers."""

    def __init__(self, store: CacheStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: Sequence[Reading] = ()
        self._asked_at = 0.0

    async def readings(self) -> Sequence[Reading]:
        """Raises Overloaded."""
        now = self._clock.monotonic()
        if not self._known or now - self._asked_at >= SIZE_AGE:
            size = await self._store.size()
            self._known = (
                (of.CACHE_ENTRIES, (), size.entries),
                (of.CACHE_BYTES, (), size.bytes),
                (of.CACHE_DROPPED, (), size.dropped),
            )
            self._asked_at = now
        return self._known


class Shown:
    """How the candidates of routes stand."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates
        self._seen: dict[str, tuple[State, Standing]] = {}

    async def readings(self) -> Sequence[Reading]:
        """Of many, some at a time: bounds take a fifth of a millisecond each, and are kept until there is another label."""
        seen, self._seen = self._seen, {}
        standings: Counter[tuple[str, str, str]] = Counter()
        labels: Counter[tuple[str, str]] = Counter()
        losses: dict[tuple[str, str], float] = {}
        for number, known in enumerate(self._certificates):
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
            name, state = known.shared.name, known.shared.state
            before = seen.get(name)
            shown = before[1] if before is not None and before[0] is state else known.shown
            self._seen[name] = state, shown
            whose = clean(known.route.name), clean(known.candidate.name)
            standings.update({(*whose, each.value): each is shown.status for each in Status})
            labels[whose] += shown.labels
            if shown.status is Status.CERTIFIED:
                losses[whose] = max(shown.most, losses.get(whose, 0.0))
        return (
            *((of.CERTIFICATE_STANDING, key, count) for key, count in standings.items()),
            *((of.CERTIFICATE_LABELS, key, count) for key, count in labels.items()),
            *((of.CERTIFICATE_LOSS_UPPER, key, most) for key, most in losses.items()),
        )


class RolledOut:
    """Who gets which version of a template, and how far new ones are from being stepped back."""

    def __init__(self, rollouts: Rollouts) -> None:
        self._rollouts = rollouts

    async def readings(self) -> Sequence[Reading]:
        return [each for followed in self._rollouts if _is_shared_out(followed) for each in self._of(followed)]

    def _of(self, followed: Followed) -> Iterator[Reading]:
        name, template = clean(followed.template.name), followed.template
        for number, share in shares(followed).items():
            yield of.ROLLOUT_SHARE, (name, str(number)), share
        for number in followed.watched:
            version = (name, str(number))
            yield of.ROLLOUT_STEPPED_BACK, version, float(template.versions[number].hash in followed.standing.stepped)
            for shown in self._rollouts.shown(followed, number):
                yield of.ROLLOUT_EVIDENCE, (*version, shown.measure), shown.nearness


def _is_shared_out(followed: Followed) -> bool:
    return followed.template.rollout is not None or followed.standing.override is not None


def _remaining(row: Row) -> Iterator[Reading]:
    limit, left = row["limit"], row["left"]
    if row["level"] in _LEVELS and isinstance(limit, int) and isinstance(left, int) and limit:
        level, subject, unit, window = [str(row[name]) for name in ("level", "subject", "unit", "window")]
        models = row["models"]
        names = ",".join(map(str, models)) if isinstance(models, list) else ""
        yield of.REMAINING, (level, subject, unit, clean(names), window), left / limit
