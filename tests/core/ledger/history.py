"""Random histories of a ledger: mostly at the limit, with repeats, late comers, and workers that die."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from gateway.core.ledger.operations import (
    NEVER,
    Draw,
    Line,
    Once,
    Operation,
    Renew,
    Reserve,
    Settle,
    Sweep,
)

WINDOW = 400
"""Milliseconds of a calendar window."""


class History:
    """Operations of a few workers on a few accounts, some of them rolling, at the times that it is asked for them."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._count = 0
        self._open: list[Reserve] = []
        self._slices: list[Draw] = []
        self._ended: list[Operation] = []
        self._limits = {"org": 3000, "team": 900, "rate": 500, "burst": 200}

    def batch(self, now: int) -> Sequence[Operation]:
        return [self._operation(now) for _ in range(self._random.choice((1, 1, 2, 8, 30)))]

    def _operation(self, now: int) -> Operation:
        kinds: Sequence[tuple[int, Callable[[int], Operation]]] = (
            (30, self._reserve),
            (22, self._settle),
            (12, self._renew),
            (18, self._draw),
            (6, self._again),
            (4, self._unknown),
            (3, self._once),
            (5, self._sweep),
        )
        (chosen,) = self._random.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])
        return chosen(now)

    def _reserve(self, now: int) -> Operation:
        accounts = self._random.sample(("org", "team", "rate", "burst", "count", "life"), self._random.randint(1, 4))
        amount = self._amount()
        lines = tuple(self._line(account, amount, now) for account in accounts)
        asked = Reserve(self._id(), self._owner(), self._lease(), lines)
        self._open.append(asked)
        return asked

    def _settle(self, now: int) -> Operation:
        if self._slices and self._random.random() < 0.2:
            drawn = self._slices.pop(self._random.randrange(len(self._slices)))
            used = drawn.line.used + self._random.choice((0, 0, 5, 400))
            return self._end(Settle(drawn.id, (self._changed(drawn.line, used),)))
        if not self._open:
            return self._unknown(now)
        asked = self._open.pop(self._random.randrange(len(self._open)))
        share = self._random.choice((0, 1, 0.5, 0.9, 1.2, 4))
        lines = [self._changed(line, int(line.amount * share)) for line in asked.lines]
        if len(lines) > 1 and self._random.random() < 0.1:
            lines.pop()
        return self._end(Settle(asked.id, tuple(lines)))

    def _renew(self, now: int) -> Operation:
        if not self._open:
            return self._reserve(now)
        asked = self._random.choice(self._open)
        more = self._random.choice((0, 0, 10, 200))
        lines = tuple(self._changed(line, line.amount + more, observed=self._amount()) for line in asked.lines)
        return Renew(asked.id, self._lease(), lines)

    def _draw(self, now: int) -> Operation:
        if not self._slices or self._random.random() < 0.4:
            account = self._random.choice(("org", "team", "rate", "life"))
            drawn = Draw(self._id(), self._owner(), self._lease(), self._line(account, self._amount() * 4, now))
            self._slices.append(drawn)
            return drawn
        place = self._random.randrange(len(self._slices))
        before = self._slices[place]
        used = before.line.used + self._random.choice((0, 1, 20, 300))
        line = self._changed(before.line, self._amount() * 3, observed=self._amount(), used=used)
        self._slices[place] = Draw(before.id, before.owner, self._lease(), line)
        return self._slices[place]

    def _again(self, now: int) -> Operation:
        known = [*self._open[-5:], *self._slices[-5:], *self._ended[-20:]]
        return self._random.choice(known) if known else self._sweep(now)

    def _unknown(self, now: int) -> Operation:
        return self._end(Settle(self._id(), (self._line(self._random.choice(("org", "rate")), self._amount(), now),)))

    def _once(self, now: int) -> Operation:
        return Once(f"once {self._random.randrange(50)}")

    def _sweep(self, now: int) -> Operation:
        return Sweep(self._random.choice((1, 5, 200)))

    def _end(self, operation: Operation) -> Operation:
        self._ended.append(operation)
        return operation

    def _line(self, account: str, amount: int, now: int) -> Line:
        limit = self._limits.get(account)
        if self._random.random() < 0.02 and limit is not None:
            self._limits[account] = limit = self._random.choice((limit // 2, limit * 2, 1000))
        match account:
            case "rate":
                return Line("rate", amount, limit, bucket=20)
            case "burst":
                return Line("burst", amount, limit, bucket=3)
            case "life":
                return Line("life", amount, 100_000)
            case "count":
                return Line("count", amount, None, end=NEVER)
        skew = self._random.choice((0, 0, 0, 0, 0, 0, 0, -WINDOW, WINDOW))
        begin = (now + skew) // WINDOW * WINDOW
        return Line(f"{account}@{begin}", amount, limit, begin=begin, end=begin + WINDOW, observed=amount // 3)

    def _changed(self, line: Line, amount: int, *, observed: int = 0, used: int = 0) -> Line:
        return Line(line.account, amount, line.limit, line.begin, line.end, line.bucket, observed, used)

    def _amount(self) -> int:
        return self._random.choice((0, 1, 7, 40, 40, 100, 333))

    def _lease(self) -> int:
        return self._random.choice((0, 20, 200, 5000))

    def _owner(self) -> str:
        return self._random.choice(("worker 1", "worker 2", "worker 3"))

    def _id(self) -> str:
        self._count += 1
        return f"r{self._count}"
