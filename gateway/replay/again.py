"""A decision made once more, under any policy, by the code that decides about real calls."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from gateway.auth.tenants import tenant_of
from gateway.core.call import Call
from gateway.core.errors import CallerError
from gateway.core.prompt import ByRoute
from gateway.core.tenant import Tenant
from gateway.policy.snapshot import Snapshot
from gateway.replay.recorded import Recorded, Unrecorded
from gateway.route import plan
from gateway.route.candidates import Candidate, Learned, Standing
from gateway.route.certificate.certificates import described, subject_of
from gateway.route.conversation import Conversation, draw
from gateway.route.decision import Circumstances, Decision, Held, Pin, Scores, Verdict
from gateway.route.rules import Route, Routes

_TENANTS = 10_000
_KNOWN = 10_000
_PINS = 100_000
"""Conversations in which somebody else answers than did then."""


@dataclass(frozen=True, slots=True)
class Answered:
    """`answers` says who would, by the deployments that are asked, whatever a policy calls them; `by` is the same, but for a
    learned candidate, which is told as such and not as the one of its models that it chose."""

    decision: Decision
    tenant: Tenant
    answers: str
    by: str


@dataclass(frozen=True, slots=True)
class Refused:
    """By the policy, with this code."""

    code: str


Outcome = Answered | Refused


class Again:
    """One policy. `recorded_by` is the one that records' candidates are named after: what stands is taken for a candidate that
    is the same in both. `states` says how the candidates of a route stand, whatever was recorded."""

    def __init__(self, snapshot: Snapshot, recorded_by: Snapshot, states: Mapping[str, Standing]) -> None:
        self.snapshot = snapshot
        self._routes = snapshot.routes
        self._rules = {rule.name: rule for rule in snapshot.routes.rules}
        self._same = _same_candidates(snapshot.routes, recorded_by.routes)
        self._states = states
        self._canaries = {
            rule.name: rule.canary.share
            for rule in recorded_by.routes.rules
            if rule.canary is not None and not rule.canary.by_conversation
        }
        self._looks_at_features = any(_looks_at_features(rule) for rule in snapshot.routes.rules)
        self.tenant = lru_cache(_TENANTS)(lambda key: tenant_of(key, snapshot.tenants))
        self._written: dict[Candidate, str] = {}
        self._pins: OrderedDict[str, Pin] = OrderedDict()
        self.approximated: dict[str, int] = {}
        """How many decisions rest on something that stands for what was not recorded."""

    def decide(self, recorded: Recorded) -> Outcome:
        """Raises Unrecorded."""
        if recorded.has is None and self._looks_at_features:
            raise Unrecorded("the features of the call")
        try:
            tenant, given = self.tenant(recorded.key), self._given(recorded)
            conversation = recorded.conversation or Conversation(recorded.call.id)
            found = plan.find(recorded.call, tenant, self._routes, given)
            if recorded.call.prompt is not None:
                plan.check_template(found, recorded.call)
            decision = plan.settle(found, recorded.call, tenant, given, conversation)
        except CallerError as error:
            return Refused(error.code)
        if decision.conversation is not None and recorded.conversation is None and self._is_by_conversation(decision):
            self._note("the conversation was not recorded, and each call drawn by itself")
        answers = self.written(decision.cascade or decision.model)
        return Answered(decision, tenant, answers, self._by(decision) or answers)

    def template(self, recorded: Recorded) -> ByRoute | None:
        """The template that a route puts round the call, as far as the call without one is known. Raises Unrecorded,
        CallerError."""
        if not self._routes.puts_templates:
            return None
        call = replace(recorded.call, prompt=None)
        return plan.template(call, self.tenant(recorded.key), self._routes, self._given(recorded))

    def _given(self, recorded: Recorded) -> Circumstances:
        return Circumstances(
            tokens_in=lambda: self._tokens_in(recorded),
            now=recorded.at,
            chance=lambda: self._chance(recorded),
            held=lambda route, candidate, _: self._held(recorded, route, candidate),
            pin=lambda key: self._pin(recorded, key),
            sent=_sent(recorded),
            scores=None if recorded.nothing_learned else _Recalled(recorded),
        )

    def _chance(self, recorded: Recorded) -> float:
        """What was drawn for the call then, as far as its record tells: under or over the share of its route's canary."""
        share = self._canaries.get(recorded.route or "", 0.0)
        drawn = draw("replay", recorded.call.id)
        return drawn * share if recorded.reason == "canary" else share + drawn * (1 - share)

    def route(self, name: str | None) -> Route | None:
        return None if name is None else self._rules.get(name)

    def written(self, candidate: Candidate) -> str:
        found = self._written.get(candidate)
        if found is None:
            if len(self._written) >= _KNOWN:
                self._written.clear()
            found = self._written[candidate] = described(candidate)
        return found

    def _by(self, decision: Decision) -> str | None:
        route = self.route(decision.route)
        candidates = () if route is None else route.candidates
        return next((self.written(each) for each in candidates if each.name == decision.candidate), None)

    def remember(self, recorded: Recorded, mine: Outcome, other: Outcome) -> None:
        """Who answered, for the rest of the conversation: where that is the `other` policy's too, the records say it."""
        if isinstance(mine, Refused) or mine.decision.memory is None or recorded.conversation is None:
            return
        key, decision = mine.decision.memory.key, mine.decision
        if recorded.usage is None or (isinstance(other, Answered) and other.answers == mine.answers):
            self._pins.pop(key, None)
            return
        deployments = decision.model.deployments
        name = decision.candidate or decision.model.name
        self._pins[key] = Pin(name, decision.model.name, deployments[0].name if deployments else "")
        if len(self._pins) > _PINS:
            self._pins.popitem(last=False)

    def _pin(self, recorded: Recorded, key: str) -> Pin | None:
        """Who answered before in the conversation under this policy, as far as that is not who did then."""
        if key in self._pins:
            return self._pins[key]
        route, _, conversation = key.rpartition("\0")
        is_same = recorded.conversation is not None and conversation == recorded.conversation.id
        return recorded.pin if is_same and route == (recorded.route or "") else None

    def _tokens_in(self, recorded: Recorded) -> int:
        if recorded.tokens_in is not None:
            return recorded.tokens_in
        if recorded.usage is None:
            raise Unrecorded("the number of input tokens")
        self._note("the input tokens were not counted, and the billed ones taken")
        return recorded.usage.input

    def _held(self, recorded: Recorded, route: Route, candidate: Candidate) -> Held:
        if route.name in self._states:
            return Held(self._states[route.name])
        if recorded.route != route.name or (route.name, candidate.name) not in self._same:
            return Held()
        standing = recorded.standings.get(candidate.name, Standing.UNCERTIFIED)
        return Held(standing, recorded.offered.get(candidate.name, 0.0))

    def _is_by_conversation(self, decision: Decision) -> bool:
        route = self.route(decision.route)
        return route is not None and route.canary is not None and route.canary.by_conversation

    def _note(self, what: str) -> None:
        self.approximated[what] = self.approximated.get(what, 0) + 1


class _Recalled(Scores):
    """The score that was recorded."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded

    def judge(self, route: str, learned: Learned, call: Call) -> Verdict:
        recorded = self._recorded
        if recorded.verdict is None or recorded.route != route or recorded.candidate not in (None, learned.name):
            raise Unrecorded("a score of the prompt")
        return recorded.verdict


def _sent(recorded: Recorded) -> int | None:
    """The input tokens, by which a prompt may be too long."""
    if recorded.tokens_in is not None or recorded.usage is None:
        return recorded.tokens_in
    return recorded.usage.input or None


def _looks_at_features(rule: Route) -> bool:
    return bool(rule.match.has or rule.match.has_not or rule.candidates)


def _same_candidates(routes: Routes, others: Routes) -> frozenset[tuple[str, str]]:
    """Pairs of route and candidate on which labels are about the same thing under both policies."""
    before = {
        (rule.name, candidate.name): subject_of(rule, candidate, "", rule.guarantee)
        for rule in others.rules
        for candidate in rule.candidates
        if rule.guarantee is not None
    }
    return frozenset(
        (rule.name, candidate.name)
        for rule in routes.rules
        for candidate in rule.candidates
        if rule.guarantee is not None
        and before.get((rule.name, candidate.name)) == subject_of(rule, candidate, "", rule.guarantee)
    )
