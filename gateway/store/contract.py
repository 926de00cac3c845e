"""What workers and replicas share, and what every store promises about it.

Every method raises Overloaded (`store_unavailable`) when the store is away or too slow; nobody waits longer than the
store's limit. A command that has been sent is never cancelled, whoever gave up waiting for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.core.boarding import Boarded
from gateway.core.claim import Claim, Conflict, Fresh, Pending, Stored
from gateway.core.errors import Overloaded
from gateway.core.ledger.operations import Applied, Balance, Operation
from gateway.core.neighbour import Logged, Versioned
from gateway.core.purge import Purge
from gateway.core.secret import Secret
from gateway.core.tenant import VirtualKey
from gateway.store.kinds.pins import PinStore
from gateway.store.kinds.responses import ResponseStore
from gateway.store.kinds.templates import TemplateStore

REPLAY_TTL = 24 * 3600.0
"""Seconds for which an answer is kept for its Idempotency-Key."""
CLAIM_LEASE = 60.0
"""Seconds after which the claim of a worker that died is free again; renew it before."""
REPLAY_LIMIT = 1024 * 1024
"""Bytes of the largest body that is kept."""
OWNER_TTL = 10.0
"""Seconds after which an owner of reservations that announced nothing is not waited for when the ledger is rebuilt."""
PURGE_TTL = 31 * 86_400.0
"""Seconds for which an order to forget answers is kept: no answer is kept for longer."""
PURGES = 1000
"""Orders that are kept; of more, the oldest become one order to forget all that was made before them."""
INSTANCE_TTL = 30.0
"""Seconds after which an instance that announced nothing is taken for gone."""
NEIGHBOURS = 50_000
"""Entries that the log of neighbours holds; of more, those added longest ago are gone."""
REMOVAL_TTL = 3600.0
"""Seconds for which the log tells that an entry was removed."""
FLIGHT_LEASE = 30.0
"""Seconds after which the mark of a call that a worker leads is gone; renew it before."""
POLICIES = 50
"""Policies that are kept."""
FILES = "files"
"""Who has changed a policy that was found in its folder."""
EARNED_TTL = 90 * 86_400.0
"""Seconds after its last change for which what a route has earned is kept."""


@dataclass(frozen=True, slots=True)
class Changes:
    """How often each kind of thing has changed; a number that differs from the last one says: read again."""

    keys: int
    cooldowns: int
    purges: int | None = 0
    """The number of the last order to forget answers; None: it cannot be told now."""
    templates: int = 0


class KeyStore(Protocol):
    async def load(self, *, since: int) -> tuple[int, Sequence[VirtualKey]]:
        """The number of the last change, and the keys changed after change `since` (0: all)."""
        ...

    async def create(self, key: VirtualKey) -> None: ...

    async def revoke(self, id: str) -> bool:
        """Whether there is such a key. Once this has returned, the revocation survives a power cut."""
        ...


class CooldownStore(Protocol):
    async def publish(self, deployment: str, until_utc: float, reason: str) -> None:
        """Lets the deployment rest until then on every worker; a time that has passed ends the rest."""
        ...

    async def cooldowns(self) -> Mapping[str, float]:
        """The deployments at rest, and until when (UTC seconds)."""
        ...

    async def reasons(self) -> Mapping[str, str]:
        """Why each of them rests."""
        ...


class ReplayStore(Protocol):
    async def claim(self, scope: str, key: str, body_hash: str) -> Fresh | Pending | Conflict | Stored: ...

    async def renew(self, claim: Claim) -> bool:
        """Holds the claim for another lease; False: it was lost."""
        ...

    async def finish(self, claim: Claim, answer: Stored) -> None:
        """Keeps the answer, or frees the claim when the body is larger than REPLAY_LIMIT."""
        ...

    async def abandon(self, claim: Claim) -> None:
        """Frees the claim, so that the call can be tried again."""
        ...


class VersionStore(Protocol):
    async def announce(self, instance: str, version: str) -> None:
        """Says that this instance runs this policy version; repeat within INSTANCE_TTL."""
        ...

    async def versions(self) -> Mapping[str, str]:
        """Which instance runs which policy version."""
        ...


class PolicyStore(Protocol):
    """The policies that were in force, the last POLICIES of them."""

    async def keep(self, version: str, who: str, value: bytes) -> None:
        """Adds one, unless the last has the same version: then it stays, but for one of FILES, which gives way to somebody's.

        Neither `version` nor `who` has a space in it. Once this has returned, it survives a power cut.
        """
        ...

    async def kept(self) -> Sequence[bytes]:
        """The values, the last one first."""
        ...


class LedgerStore(Protocol):
    """Operations are applied in order, each whole or not at all, in one round trip.

    Every worker announces itself within OWNER_TTL, so that a ledger that has lost something knows whom to wait for.
    """

    async def apply(self, operations: Sequence[Operation]) -> Applied:
        """Raises Rebuilding, having done nothing; and Overloaded `budget_store_corrupt` when nothing can be read at all."""
        ...

    async def balances(self) -> Sequence[Balance]:
        """Every account that can be read."""
        ...

    async def open_reservations(self) -> Mapping[str, str]:
        """The id of each, and whose it is."""
        ...

    async def announce(self, owner: str) -> None:
        """Raises Rebuilding as `apply` does: a worker that has nothing to do is waited for all the same."""
        ...

    async def restore(self, owner: str, operations: Sequence[Operation], balances: Sequence[Balance]) -> bool:
        """Tells a ledger that is being rebuilt what this owner knows; whether it is whole now. Repeat until it is.

        `operations`: what had an effect lately, as it was granted, in order; what the ledger still knows is skipped. What
        was granted is held again whatever the limit. `balances`: how accounts stood before the first of them; after a
        flush alone, an account counts as spent the most that any owner has seen.
        """
        ...


class CallStream(Protocol):
    """The records of the calls of all replicas, lately; a place in it is `milliseconds-number`, `0-0` before all."""

    async def append(self, origin: str, records: Sequence[bytes], *, keep: int) -> None:
        """JSON from one replica; of all that there are, about the last `keep` are kept."""
        ...

    async def after(self, place: str, *, limit: int) -> Sequence[tuple[str, str, bytes]]:
        """The next ones: place, origin, JSON, which may be anything."""
        ...

    async def end(self) -> tuple[str, int]:
        """The place of the newest, and how many there have ever been up to there."""
        ...


@dataclass(frozen=True, slots=True)
class CacheSize:
    """`bytes` is an estimate; `dropped` counts the answers that gave way to newer ones before their time, or found no room."""

    entries: int
    bytes: int
    dropped: int


class CacheStore(Protocol):
    """Answers for a time, under names `<16 hex digits>:<64 hex digits>`, the first part of which stands for an organisation.

    It may forget any of them at any time. What it gives is for the caller to check.

    Orders are numbered upwards, and no number is given twice. Where the store has no list of orders, or one that ends before
    a number it has once told this worker (it lost the last ones), the list begins anew with an order to forget everything,
    under a number that is larger than any before: the milliseconds since 1970, or one more than the last that is known.
    Nobody may use an answer that carries a larger number than the last order it knows.
    """

    async def get(self, name: str) -> bytes | None: ...

    async def put(self, name: str, value: bytes, *, ttl: float) -> None:
        """For `ttl` seconds, PURGE_TTL at most; not at all if there is no room. Raises Overloaded."""
        ...

    async def remove(self, names: Collection[str]) -> int:
        """How many of them there were."""
        ...

    async def page(
        self, *, org: str = "", after: str = "", limit: int = 100
    ) -> tuple[Sequence[tuple[str, bytes]], str]:
        """Some answers with their names, of the organisation whose digest is given or of all; and where to go on, "" at the end.

        About `limit` of them, or none although it goes on. An answer that is kept throughout is met at least once.
        """
        ...

    async def size(self) -> CacheSize: ...

    async def order(self, purge: Purge) -> int:
        """Numbers an order, and makes it known through `Store.changes`. Its number."""
        ...

    async def orders(self) -> Sequence[Purge]:
        """Those of the last PURGE_TTL seconds, by number."""
        ...


class FlightStore(Protocol):
    """Who gets an answer from a provider, by the name that it would be kept under, and letters between workers.

    A mark begins with a decimal number and a space; it gives way to one with a larger number. A letter may be lost, or come
    more than once. Workers are named by hexadecimal digits. Nothing here is to be trusted more than the rest of the store.
    """

    async def board(self, name: str, mark: bytes, *, gone: bytes = b"", kept: bool = True) -> Boarded:
        """In one round trip: the answer that CacheStore keeps, unless `kept` is false; else the mark of the call that gets it.

        That is `mark` if there was none, or it was `gone`; neither answer nor mark, where the store takes no writes.
        """
        ...

    async def renew(self, name: str, mark: bytes) -> None:
        """Keeps the mark for another FLIGHT_LEASE, if it is still there."""
        ...

    async def release(self, name: str, mark: bytes) -> None: ...

    async def send(self, workers: Collection[str], letter: bytes) -> bool:
        """False: certainly none of them hears it."""
        ...

    async def hear(self, worker: str, told: Callable[[bytes], None], listening: Callable[[bool], None]) -> None:
        """Gives the letters to this worker, and says when it begins and ceases to hear any. Until it is cancelled."""
        ...


class NeighbourStore(Protocol):
    """The log of the entries that can be found by meaning, which every worker follows to keep an index of its own.

    Names are those of CacheStore; a name has one value at most, the last that was added.
    """

    async def add(self, name: str, value: bytes, *, expires: float) -> None:
        """Until `expires`, UTC seconds."""
        ...

    async def remove(self, names: Collection[str]) -> None:
        """Takes their values from the log, and tells those who follow it."""
        ...

    async def remove_org(self, org: str) -> None:
        """All whose names begin with this organisation's digest."""
        ...

    async def after(self, place: str, *, limit: int) -> tuple[Sequence[Logged], str]:
        """The next changes, in order, and the place behind them; "" is before all."""
        ...

    async def sweep(self) -> None:
        """Takes away some of what has expired; call it now and then."""
        ...


class NearestStore(Protocol):
    """An index that the server searches itself: for partitions too large to be kept by every worker.

    Vectors are little-endian 32-bit floats of length 1. A partition, hexadecimal, belongs to one organisation. What has
    expired may still be found, as may what the cache has lost.
    """

    async def add(self, partition: str, name: str, vector: bytes, value: bytes, *, expires: float) -> None:
        """`expires` in UTC seconds."""
        ...

    async def search(self, partition: str, org: str, vector: bytes, *, most: int) -> Sequence[tuple[str, bytes]]:
        """The names and values of about the nearest `most`."""
        ...

    async def remove(self, names: Collection[str]) -> None: ...

    async def remove_org(self, org: str) -> None: ...


class EarnedStore(Protocol):
    """What routes have earned, each under a name of its own."""

    async def get(self, name: str) -> Versioned | None: ...

    async def put(self, name: str, value: bytes, *, version: int) -> bool:
        """Keeps the value if it was not changed since `version` (0: there was none); whether it did."""
        ...


class MeaningStore(Protocol):
    """What the semantic cache shares. Slow answers here make no call think that the store is away."""

    @property
    def neighbours(self) -> NeighbourStore: ...

    @property
    def earned(self) -> EarnedStore: ...

    async def nearest(self) -> NearestStore | None:
        """None where the server has no search of its own. It is asked once."""
        ...


class Store(Protocol):
    """Everything shared. `pepper` is the secret under which keys are fingerprinted. Whoever opens it closes it."""

    @property
    def pepper(self) -> Secret: ...

    @property
    def keys(self) -> KeyStore: ...

    @property
    def cooldowns(self) -> CooldownStore: ...

    @property
    def replays(self) -> ReplayStore: ...

    @property
    def versions(self) -> VersionStore: ...

    @property
    def policies(self) -> PolicyStore: ...

    @property
    def templates(self) -> TemplateStore: ...

    @property
    def ledger(self) -> LedgerStore: ...

    @property
    def cache(self) -> CacheStore: ...

    @property
    def flights(self) -> FlightStore | None:
        """None: workers do not tell each other what they are asking providers."""
        ...

    @property
    def meanings(self) -> MeaningStore: ...

    @property
    def pins(self) -> PinStore: ...

    @property
    def responses(self) -> ResponseStore: ...

    @property
    def calls(self) -> CallStream | None:
        """None: whoever shares this store shares the file of call records too."""
        ...

    async def changes(self) -> Changes: ...

    async def pushed(self, *, within: float) -> None:
        """Waits until the store says that something changed, or for `within` seconds. Never raises."""
        ...

    async def close(self) -> None: ...


class OpenError(Exception):
    """The store cannot be opened; the text says what to do."""


def corrupt() -> Overloaded:
    """What is raised when the ledger cannot be read."""
    message = "The books cannot be read; an operator has to mend them."
    return Overloaded(message, code="budget_store_corrupt", should_retry=False)


def away() -> Overloaded:
    """What is raised when the store does not answer. Why it does not is for the log alone."""
    return Overloaded("The shared store is away; try again shortly.", code="store_unavailable")
