"""One account: what is held and what is spent of its limit, in a calendar window or a rolling one."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.core.ledger.operations import BUCKETS, NEVER, Balance, Line

KEPT = 86_400_000
"""Milliseconds for which an account is kept after its window has ended."""


@dataclass(slots=True)
class Account:
    """`settled` and `over` are what counts against the limit now; in a rolling window `buckets`, by number, have their sum.

    `base` is what is known to have been spent by a ledger that was lost, in a rolling window in the bucket `based`.
    """

    limit: int | None = None
    base: int = 0
    settled: int = 0
    over: int = 0
    held: int = 0
    escrowed: int = 0
    begin: int = 0
    end: int = NEVER
    bucket: int = 0
    based: int = 0
    buckets: dict[int, int] = field(default_factory=dict)

    @property
    def spent(self) -> int:
        return self.base + self.settled + self.over

    @property
    def left(self) -> int:
        """What may still be held; NEVER without a limit."""
        return NEVER if self.limit is None else max(0, self.limit - self.spent - self.held)

    def enter(self, line: Line, now: int) -> None:
        """Takes the limit and the window that the line names."""
        self.limit = line.limit
        self.begin, self.end, self.bucket = line.begin, line.end, line.bucket
        self.leave(now)

    def leave(self, now: int) -> None:
        """Takes out of a rolling window what has left it."""
        if not self.bucket:
            return
        oldest = now // self.bucket - BUCKETS
        for number in [number for number in self.buckets if number < oldest]:
            self._lessen(self.buckets.pop(number))
        if self.based < oldest:
            self.base = 0

    def hold(self, amount: int, *, is_slice: bool) -> None:
        """A negative amount gives back, never more than there is: somebody may have removed the row, for what it said."""
        self.held = max(0, self.held + amount)
        self.escrowed = max(0, self.escrowed + amount * is_slice)

    def settle(self, amount: int, bucket: int) -> None:
        """Spends what was held."""
        self._add(amount, 0, bucket)

    def charge(self, amount: int, bucket: int) -> None:
        """Spends what nobody holds, in `over` where it passes the limit. A negative amount corrects an earlier charge."""
        if amount >= 0:
            within = min(amount, self.left)
            self._add(within, amount - within, bucket)
            return
        there = self.buckets.get(bucket, 0) if self.bucket else self.settled + self.over
        less = min(-amount, there)
        if less and self.bucket:
            self.buckets[bucket] -= less
        self._lessen(less)

    def fits_at(self, more: int, now: int) -> int:
        """When `more` will fit, if nobody spends and nothing that is held comes back; NEVER when that is not known."""
        if more <= self.left:
            return now
        if self.limit is None or more > self.limit:
            return NEVER
        if not self.bucket:
            return self.end if self.spent else NEVER
        missing = more - (self.limit - self.spent - self.held)
        leaving = dict(self.buckets)
        leaving[self.based] = leaving.get(self.based, 0) + self.base
        for number in sorted(leaving):
            missing -= leaving[number]
            if missing <= 0:
                return _left_at(number, self.bucket)
        return NEVER

    def due(self, now: int) -> int:
        """When it may be forgotten, as it stands; it may have to be kept for longer when that time has come."""
        if self.held:
            return now + KEPT
        if self.bucket:
            numbers = [*self.buckets, *([self.based] if self.base else [])]
            return _left_at(max(numbers), self.bucket) if numbers else now
        if self.end == NEVER:
            return now + KEPT if self.spent else now
        return self.end + KEPT

    def balance(self, name: str, now: int) -> Balance:
        """How it stands at that time."""
        self.leave(now)
        return Balance(
            account=name,
            limit=self.limit,
            settled=self.settled,
            over=self.over,
            held=self.held,
            escrowed=self.escrowed,
            begin=self.begin,
            end=self.end,
            bucket=self.bucket,
            base=self.base,
        )

    def _add(self, settled: int, over: int, bucket: int) -> None:
        if self.bucket and settled + over:
            self.buckets[bucket] = self.buckets.get(bucket, 0) + settled + over
        self.settled += settled
        self.over += over

    def _lessen(self, amount: int) -> None:
        """What leaves an account leaves its overdraft first."""
        over = min(amount, self.over)
        self.over -= over
        self.settled -= amount - over


def bucket_of(size: int, now: int) -> int:
    """The number of the bucket that a time is in."""
    return now // size if size else 0


def _left_at(number: int, size: int) -> int:
    """When a bucket has left its window."""
    return (number + BUCKETS + 1) * size
