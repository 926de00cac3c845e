"""The certificate of one candidate on one route: what labels have shown, and what follows from that.

    uncertified -> certified | refused        certified -> revoked        refused | revoked -> uncertified, in the next trial

It is plain values that are merged by `merge`, in any order and as often as one likes: labels count once each, and of two
verdicts under the same terms the stricter one holds. `decide` alone makes verdicts, and can be asked after every label.
Nothing here does I/O or knows the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from math import log

import msgspec

from gateway.core import bet
from gateway.route.certificate import drift, labels
from gateway.route.certificate.labels import Writer
from gateway.route.certificate.terms import Terms

FIRST_REST = 86_400.0
"""Seconds after which a candidate that was refused or revoked is tried again for the first time; doubled each time."""
LONGEST_REST = 32 * 86_400.0
PATIENCE = 2_000
"""Labels without a verdict after which drawing more as often is not worth it."""


class Status(Enum):
    UNCERTIFIED = "uncertified"
    CERTIFIED = "certified"
    REFUSED = "refused"
    REVOKED = "revoked"


_STRICTNESS = (Status.UNCERTIFIED, Status.CERTIFIED, Status.REFUSED, Status.REVOKED)


class Verdict(msgspec.Struct, frozen=True):
    """`since` in UTC seconds. From block `audit` on, labels were drawn while the candidate served."""

    status: Status = Status.UNCERTIFIED
    since: float = 0.0
    why: str = "no label yet shows enough"
    audit: int = 0


class State(msgspec.Struct, frozen=True):
    """All that is kept. `verdicts` are by the key of their terms; `began` is when the trial did. A state of another version is
    none."""

    version: int = 1
    trial: int = 1
    began: float = 0.0
    verdicts: dict[str, Verdict] = {}
    writers: dict[str, Writer] = {}


@dataclass(frozen=True, slots=True)
class Standing:
    """A certificate as an admin reads it. The loss was `mean` in `labels`, and is from `least` to `most`, each with
    `confidence`, as long as neither the candidate nor its calls change. `audited` labels came since it was certified."""

    status: Status
    since: float
    why: str
    trial: int
    labels: int
    audited: int
    mean: float
    least: float
    most: float
    confidence: float
    suspicious: bool


@dataclass(frozen=True, slots=True)
class Shares:
    """Of the calls of a route, how many are labelled: `shadow` while that is to decide something, else `audit`."""

    shadow: float = 0.25
    audit: float = 0.02


def verdict(state: State, terms: Terms) -> Verdict:
    return state.verdicts.get(terms.key, Verdict())


def learn(state: State, terms: Terms, *, cell: int, writer: str, at: float) -> State:
    """With one more label, a cell of core.bet, of a call that was drawn at random. Raises ValueError for one of a reference
    that is not as good as can be, where the terms do not say that it is graded."""
    if not terms.graded and bet.qualities(cell)[0] < 1:
        raise ValueError("The reference was graded, and the terms do not say so.")
    now = verdict(state, terms)
    block = _block(state, now.audit) if now.status is Status.CERTIFIED else 0
    return msgspec.structs.replace(state, writers=labels.add(state.writers, writer, cell=cell, block=block, at=at))


def decide(state: State, terms: Terms, now: float) -> State:
    """With the verdict that the labels allow. Refused and revoked are final: see `retry`."""
    held = verdict(state, terms)
    if not state.writers or held.status in (Status.REFUSED, Status.REVOKED):
        return state
    found = _revoked(state, terms, held) if held.status is Status.CERTIFIED else _judged(state, terms)
    if found is None:
        return state
    found = msgspec.structs.replace(found, since=now)
    return msgspec.structs.replace(state, verdicts={**state.verdicts, terms.key: found})


def retry(state: State, terms: Terms, now: float) -> State:
    """A new trial without labels, once a candidate that was refused or revoked has rested; else the same."""
    held = verdict(state, terms)
    if held.status not in (Status.REFUSED, Status.REVOKED) or now < held.since + rest(state.trial):
        return state
    return State(trial=state.trial + 1, began=now)


def begin_anew(state: State, terms: Terms, now: float, why: str) -> State:
    """The next trial, without labels, whatever this one has shown."""
    found = Verdict(since=now, why=why)
    return State(trial=state.trial + 1, began=now, verdicts={terms.key: found})


def rest(trial: int) -> float:
    """Seconds between the end of this trial and the next."""
    return min(FIRST_REST * 2.0 ** min(trial - 1, 10), LONGEST_REST)


def merge(one: State, other: State) -> State:
    """What both know. Of two trials, the later one."""
    if one.trial != other.trial:
        return one if one.trial > other.trial else other
    verdicts = {**one.verdicts, **other.verdicts}
    for key in one.verdicts.keys() & other.verdicts.keys():
        verdicts[key] = _stricter(one.verdicts[key], other.verdicts[key])
    return State(
        version=one.version,
        trial=one.trial,
        began=min(one.began, other.began),
        verdicts=verdicts,
        writers=labels.merge(one.writers, other.writers),
    )


def standing(state: State, terms: Terms) -> Standing:
    held = verdict(state, terms)
    blocks = labels.blocks(state.writers)
    counts = labels.total(blocks)
    certified = held.status in (Status.CERTIFIED, Status.REVOKED)
    least, most = _bounds(counts, terms, terms.alpha(state.trial))
    return Standing(
        status=held.status,
        since=held.since or state.began,
        why=held.why,
        trial=state.trial,
        labels=counts.total(),
        audited=labels.total(blocks, since=held.audit).total() if certified else 0,
        mean=bet.loss(counts),
        least=least,
        most=most,
        confidence=terms.confidence,
        suspicious=held.status is Status.CERTIFIED and _suspicion(state, terms, held)[0] >= drift.SUSPECTS_AT,
    )


def share(state: State, terms: Terms, shares: Shares) -> float:
    """Of the calls that come now, the share to be labelled. It depends on earlier labels alone, as it must: a call is drawn by
    this chance whatever it asks."""
    held = verdict(state, terms)
    if held.status is Status.CERTIFIED:
        return shares.shadow if _suspicion(state, terms, held)[0] >= drift.SUSPECTS_AT else shares.audit
    if held.status is Status.UNCERTIFIED:
        return shares.shadow if labels.total(labels.blocks(state.writers)).total() < PATIENCE else shares.audit
    return 0.0


def _judged(state: State, terms: Terms) -> Verdict | None:
    counts = labels.total(labels.blocks(state.writers))
    alpha = terms.alpha(state.trial)
    if bet.below(counts, terms.certifies_below) >= log(1 / alpha):
        why = f"the loss is at most {_percent(_bounds(counts, terms, alpha)[1])}, {_evidence(counts.total(), terms)}"
        return Verdict(Status.CERTIFIED, why=why, audit=max(_numbers(state), default=0) + 1)
    if bet.above(counts, terms.refuses_above, graded=terms.graded) >= log(1 / (1 - terms.confidence)):
        why = f"the loss is at least {_percent(_bounds(counts, terms, alpha)[0])}, {_evidence(counts.total(), terms)}"
        return Verdict(Status.REFUSED, why=why)
    return None


def _revoked(state: State, terms: Terms, held: Verdict) -> Verdict | None:
    stake, start = _suspicion(state, terms, held)
    if stake < drift.REVOKES_AT:
        return None
    lately = labels.total(labels.blocks(state.writers), since=start)
    shown, allowed = _percent(bet.loss(lately)), _percent(terms.max_loss)
    why = f"the last {lately.total()} labels show a loss of {shown}, where {allowed} is allowed"
    return Verdict(Status.REVOKED, why=why, audit=held.audit)


def _suspicion(state: State, terms: Terms, held: Verdict) -> tuple[float, int]:
    blocks = labels.blocks(state.writers)
    return drift.suspicion(blocks, since=held.audit, limit=terms.refuses_above, graded=terms.graded)


def _bounds(counts: labels.Counts, terms: Terms, alpha: float) -> tuple[float, float]:
    """Of the true loss, where scores may err."""
    least = bet.lower_bound(counts, 1 - terms.confidence, graded=terms.graded)
    most = bet.upper_bound(counts, alpha)
    return max(0.0, (least - terms.judge_error) / (1 - terms.judge_error)), min(1.0, most / (1 - 2 * terms.judge_error))


def _block(state: State, audit: int) -> int:
    """Where a label counts that comes now."""
    newest = max(_numbers(state), default=0)
    if newest < audit:
        return audit
    size = sum(sum(writer.blocks.get(newest, {}).values()) for writer in state.writers.values())
    return newest if size < labels.BLOCK else newest + 1


def _numbers(state: State) -> Iterator[int]:
    return (block for writer in state.writers.values() for block in writer.blocks)


def _stricter(one: Verdict, other: Verdict) -> Verdict:
    """Of two that are as strict, the earlier; what is left is decided by whatever is the same everywhere."""
    return min(one, other, key=lambda each: (-_STRICTNESS.index(each.status), each.since, each.audit, each.why))


def _evidence(count: int, terms: Terms) -> str:
    return f"with {_percent(terms.confidence)} confidence, after {count} labels"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
