"""Recorded calls decided about twice, under the old policy and under a new one, one after the other as they come.

What is kept grows with routes, accounts and trials under way, and not with the calls.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.deployment import Model
from gateway.meter.tokens import Tokens
from gateway.policy.snapshot import Snapshot
from gateway.replay.again import Again, Answered, Outcome, Refused
from gateway.replay.figures import Escalations, Figures
from gateway.replay.loss import Stratum
from gateway.replay.prompts import Prompts, Seen
from gateway.replay.recorded import BadLine, Left, Recorded, Tried, Unrecorded, read
from gateway.replay.spending import Budgets, Cost, cost_of, most_for_lost
from gateway.route.candidates import Cascade, Standing

_NO_MODEL = "model_not_found"
_TOO_LONG = "context_length_exceeded"
AWAITED = 200_000
"""Trials whose results may still come; the oldest are given up."""
_LONGEST_MESSAGE = 200


@dataclass(slots=True)
class _Awaited:
    stratum: Stratum
    candidate_is: str
    reference_is: str


class Comparison:
    """`take` each line in the order of time. `states` says how the candidates of routes stand under the new policy, whatever was
    recorded."""

    def __init__(
        self,
        old: Snapshot,
        new: Snapshot,
        states: Mapping[str, Standing] | None = None,
        *,
        tokens: Tokens | None = None,
    ) -> None:
        self.old = Again(old, old, {})
        self.new = Again(new, old, states or {})
        self.prompts = Prompts(self.old, self.new, tokens or Tokens())
        self.routes: dict[str, Figures] = {}
        self.escalations: dict[str, Escalations] = {}
        self.left: Counter[str] = Counter()
        self.bad_lines = 0
        self.first_bad: str | None = None
        self.lines = 0
        self.calls = 0
        self.agreed = 0
        self.of_another_policy = 0
        self.out_of_order = 0
        self.given_up = 0
        self.of_something_else = 0
        self.since: float | None = None
        self.until: float | None = None
        self._budgets = (Budgets(old.limits), Budgets(new.limits))
        self._awaited: OrderedDict[tuple[str, str], _Awaited] = OrderedDict()

    def take(self, line: bytes) -> None:
        """A line that is no record is counted, and the first one remembered."""
        self.lines += 1
        try:
            found = read(line)
        except BadLine as error:
            self.bad_lines += 1
            if self.first_bad is None:
                self.first_bad = f"line {self.lines}: {str(error)[:_LONGEST_MESSAGE]}"
            return
        match found:
            case Recorded():
                self._call(found)
            case Tried():
                self._trial(found)
            case Left(why):
                self.left[why] += 1

    def _call(self, recorded: Recorded) -> None:
        self.calls += 1
        if self.until is not None and recorded.at < self.until:
            self.out_of_order += 1
        self.since = recorded.at if self.since is None else min(self.since, recorded.at)
        self.until = recorded.at if self.until is None else max(self.until, recorded.at)
        try:
            before = self.old.decide(recorded)
            seen = self.prompts.see(recorded, _vocabulary(before, recorded))
            after = self.new.decide(seen.recorded) if seen.refused is None else Refused(seen.refused)
        except Unrecorded as missing:
            self._figures(recorded.route).unknown[str(missing.args[0])] += 1
            return
        if recorded.was_refused is not None and isinstance(before, Answered):
            if recorded.policy != self.old.snapshot.version or recorded.was_refused != _NO_MODEL:
                self._figures(recorded.route).unknown["why it was refused"] += 1
                return
            before = after = Refused(recorded.was_refused)  # by its virtual key, which no policy changes
        self.new.remember(recorded, after, before)
        self._agree(recorded, before)
        self._count(recorded, before, after, seen)

    def _agree(self, recorded: Recorded, before: Outcome) -> None:
        """Whether the old policy decides as it was decided then, if it was the same policy."""
        if recorded.policy != self.old.snapshot.version:
            self.of_another_policy += 1
        elif isinstance(before, Refused):
            self.agreed += recorded.was_refused is not None
        else:
            made = before.decision
            then = recorded.route, recorded.reason, recorded.candidate
            self.agreed += (made.route, made.reason, made.candidate) == then

    def _count(self, recorded: Recorded, before: Outcome, after: Outcome, seen: Seen) -> None:
        figures = self._figures(_route(after) or _route(before))
        figures.calls += 1
        figures.refused[0] += isinstance(before, Refused)
        figures.refused[1] += isinstance(after, Refused)
        for side, outcome in enumerate((before, after)):
            figures.too_long[side] += isinstance(outcome, Refused) and outcome.code == _TOO_LONG
        is_changed = _answers(before) != _answers(after)
        if is_changed:
            figures.changed += 1
            figures.move(_told(before), _told(after))
            if isinstance(before, Answered) and isinstance(after, Answered):
                figures.moved += 1
                self._await(recorded, before, after, figures)
        is_lost = recorded.is_hit and (is_changed or seen.is_other or _route(before) != _route(after))
        figures.hits += recorded.is_hit
        figures.lost_hits += is_lost
        for side, (outcome, call) in enumerate(((before, recorded), (after, seen.recorded))):
            if isinstance(outcome, Refused) or call.usage is None:
                continue
            if side and is_lost and isinstance(before, Answered):
                cost = most_for_lost(recorded.saved, _asked(before), _asked(outcome))
            else:
                cost = Cost(0) if recorded.is_free else cost_of(_asked(outcome), call.usage)
            self._spend(side, outcome, call, cost, figures)
        self._reword(recorded, after, seen)

    def _reword(self, recorded: Recorded, after: Outcome, seen: Seen) -> None:
        """What the other text alone costs, of whoever would answer."""
        if seen.counted is None:
            return
        if isinstance(after, Refused) or recorded.is_free or recorded.usage is None or seen.recorded.usage is None:
            return
        seen.counted.costed += 1
        for spent, usage in zip(seen.counted.spent, (recorded.usage, seen.recorded.usage), strict=True):
            spent.add(after.answers, cost_of(_asked(after), usage))

    def _spend(self, side: int, answered: Answered, recorded: Recorded, cost: Cost | None, figures: Figures) -> None:
        usage = recorded.usage
        is_refused = self._budgets[side].refuse(
            answered.tenant,
            recorded.user,
            answered.decision.model.name,
            recorded.at,
            usd=None if cost is None else cost.sure + cost.escalated,
            tokens=0 if recorded.is_free or usage is None else usage.input + usage.output,
        )
        if is_refused:
            figures.over_budget[side] += 1
        else:
            figures.spent[side].add(answered.answers, cost)

    def _await(self, recorded: Recorded, before: Answered, after: Answered, figures: Figures) -> None:
        """The result of a trial of just this change, if one could be drawn."""
        pair = self._pair(recorded, before, after)
        if pair is None:
            return
        name, candidate_is, reference_is = pair
        sign = 1 if candidate_is == after.by else -1
        stratum = figures.stratum(before.by, after.by, recorded.offered[name], sign=sign)
        if stratum is None:
            return
        stratum.calls += 1
        if name in recorded.drawn:
            self._awaited[recorded.call.id, name] = _Awaited(stratum, candidate_is, reference_is)
            if len(self._awaited) > AWAITED:
                self._awaited.popitem(last=False)[1].stratum.unscored += 1
                self.given_up += 1

    def _pair(self, recorded: Recorded, before: Answered, after: Answered) -> tuple[str, str, str] | None:
        """The candidate that was offered for a trial and is one of the two, beside its reference, which is the other."""
        route = self.old.route(recorded.route)
        if route is None or route.guarantee is None or not recorded.offered:
            return None
        reference = self.old.written(route.guarantee.reference)
        for candidate in route.candidates:
            written = self.old.written(candidate)
            if recorded.offered.get(candidate.name, 0.0) > 0 and {written, reference} == {before.by, after.by}:
                return candidate.name, written, reference
        return None

    def _trial(self, tried: Tried) -> None:
        if not tried.is_audit and tried.cell is not None:
            known = self.escalations.setdefault(tried.candidate_is, Escalations())
            known.tried += 1 / tried.probability
            known.escalated += tried.was_escalated / tried.probability
        awaited = self._awaited.pop((tried.request_id, tried.candidate), None)
        if awaited is None:
            return
        if (tried.candidate_is, tried.reference_is) != (awaited.candidate_is, awaited.reference_is):
            self.of_something_else += 1
            awaited.stratum.unscored += 1
        elif tried.cell is None:
            awaited.stratum.unscored += 1
        else:
            awaited.stratum.labels[tried.cell] += 1

    def _figures(self, route: str | None) -> Figures:
        found = self.routes.get(route or "")
        if found is None:
            found = self.routes[route or ""] = Figures()
        return found


def _route(outcome: Outcome) -> str | None:
    return outcome.decision.route if isinstance(outcome, Answered) else None


def _answers(outcome: Outcome) -> str | None:
    """None where nobody does."""
    return outcome.answers if isinstance(outcome, Answered) else None


def _told(outcome: Outcome) -> str:
    if isinstance(outcome, Refused):
        return f"refused ({outcome.code})"
    decision = outcome.decision
    return decision.model.name if decision.route is None else f"{decision.route}: {decision.model.name}"


def _vocabulary(outcome: Outcome, recorded: Recorded) -> str:
    """Of which model the tokens of prompts are counted."""
    if isinstance(outcome, Answered) and outcome.decision.model.deployments:
        return outcome.decision.model.deployments[0].upstream_model
    return recorded.call.model


def _asked(answered: Answered) -> Model | Cascade:
    return answered.decision.cascade or answered.decision.model
