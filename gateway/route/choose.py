"""Who answers the calls of one route: its model, a canary, or a candidate that has shown that it may."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gateway.core.call import Call, Operation
from gateway.core.deployment import Model
from gateway.core.tenant import Tenant
from gateway.route.candidates import Candidate, Cascade, Guarantee, Learned, Standing
from gateway.route.conversation import Conversation, conversation_of, draw, system_prompt
from gateway.route.decision import Circumstances, Considered, Decision, Trial, Verdict
from gateway.route.rules import Route

_ONE_ANSWER = frozenset({"n", "logprobs", "audio"})
"""What calls must not ask for, if their answers are to be compared or checked."""


def choose(route: Route, call: Call, tenant: Tenant, given: Circumstances) -> Decision:
    """The route fits the call already."""
    if not (route.candidates or route.canary or route.mirror):
        return Decision(route.name, route.model, reason="rule", hedge=route.hedge)
    return _Choice(route, call, conversation_of(call, tenant), given).made()


class _Choice:
    def __init__(self, route: Route, call: Call, conversation: Conversation, given: Circumstances) -> None:
        self._route = route
        self._call = call
        self._conversation = conversation
        self._given = given
        self._prompt = ""
        if route.guarantee is not None and route.guarantee.per_prompt:
            self._prompt = system_prompt(call)
        self._considered = tuple(self._look(each) for each in route.candidates)
        self._verdict: Verdict | None = None

    def made(self) -> Decision:
        chosen, reason = self._pinned() or self._canary() or self._certified() or self._reference()
        return Decision(
            route=self._route.name,
            model=self._model(chosen),
            reason=reason,
            cascade=chosen if isinstance(chosen, Cascade) else None,
            candidate=chosen.name if chosen in self._route.candidates else None,
            considered=self._considered,
            verdict=self._verdict,
            trials=tuple(self._trials(chosen)),
            hedge=self._route.hedge,
            conversation=self._conversation.id,
        )

    def _look(self, candidate: Candidate) -> Considered:
        held, reason = self._given.held(self._route, candidate, self._prompt), None
        if isinstance(candidate, Cascade) and not _can_be_checked(self._call):
            reason = "a stream" if self._call.stream else "an answer that cannot be checked"
        elif isinstance(candidate, Learned) and self._given.scores is None:
            reason = "nothing is learned yet"
        elif held.standing is not Standing.CERTIFIED:
            reason = held.standing.value
        return Considered(candidate.name, held, reason)

    def _pinned(self) -> tuple[Candidate, str] | None:
        """Whoever answered in the conversation before, if that is anybody the route still knows."""
        if self._conversation.is_new or not self._route.sticky:
            return None
        name = self._given.pin(f"{self._route.name}\0{self._conversation.id}")
        for each, seen in zip(self._route.candidates, self._considered, strict=True):
            if each.name == name and seen.reason is None:
                return each, "sticky"
        canary = self._route.canary
        if canary is not None and canary.model.name == name:
            return canary.model, "sticky"
        return (self._route.model, "sticky") if self._route.model.name == name else None

    def _canary(self) -> tuple[Candidate, str] | None:
        canary = self._route.canary
        if canary is None:
            return None
        is_whole = canary.by_conversation
        drawn = draw("canary", self._route.name, self._conversation.id) if is_whole else self._given.chance()
        return (canary.model, "canary") if drawn < canary.share else None

    def _certified(self) -> tuple[Candidate, str] | None:
        """The first, which is the cheapest, that has shown that it may."""
        for candidate, seen in zip(self._route.candidates, self._considered, strict=True):
            if seen.reason is None:
                return candidate, "score" if isinstance(candidate, Learned) else "candidate"
        return None

    def _reference(self) -> tuple[Candidate, str]:
        return self._route.model, "reference" if self._route.candidates else "rule"

    def _model(self, chosen: Candidate) -> Model:
        if isinstance(chosen, Cascade):
            return chosen.model
        if isinstance(chosen, Learned):
            self._verdict = self._judged(chosen)
            return chosen.strong if self._verdict.is_strong else chosen.weak
        return chosen

    def _judged(self, candidate: Learned) -> Verdict:
        assert self._given.scores is not None
        return self._verdict or self._given.scores.judge(self._route.name, candidate, self._call)

    def _trials(self, chosen: Candidate) -> Iterator[Trial]:
        """Who else is asked: by draws of their own, so that each call is tried with a known probability, and by nothing that
        whoever calls has chosen, such as the call's id."""
        mirror, guarantee = self._route.mirror, self._route.guarantee
        if mirror is not None and self._given.chance() < mirror.share:
            yield Trial(mirror.model, mirror.share, mirror.model)
        if guarantee is None or not _is_comparable(self._call):
            return
        for candidate, seen in zip(self._route.candidates, self._considered, strict=True):
            trial = self._trial(candidate, seen, chosen, guarantee)
            if trial is not None and self._given.chance() < trial.probability:
                yield replace(trial, verdict=self._judged(candidate)) if isinstance(candidate, Learned) else trial

    def _trial(self, candidate: Candidate, seen: Considered, chosen: Candidate, guarantee: Guarantee) -> Trial | None:
        """An audit of the candidate that serves asks the reference; what is not certified yet is asked beside the reference."""
        asks = candidate
        if isinstance(candidate, Learned) and self._given.scores is None:
            return None
        if candidate is chosen and seen.held.standing is Standing.CERTIFIED:
            asks = guarantee.reference
        elif chosen is not guarantee.reference or seen.held.standing is not Standing.UNCERTIFIED:
            return None
        return Trial(asks, seen.held.share, candidate, guarantee, seen.held.certificate)


def _can_be_checked(call: Call) -> bool:
    """An answer is checked before its first byte leaves."""
    return not call.stream and _is_comparable(call)


def _is_comparable(call: Call) -> bool:
    return call.operation is Operation.CHAT and not call.has & _ONE_ANSWER
