"""Who answers the calls of one route: its model, a canary, or a candidate that has shown that it may."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from gateway.core.call import Call, Operation
from gateway.core.deployment import Model
from gateway.core.money import Price
from gateway.core.tenant import Tenant
from gateway.route.abilities import obstacle, refusal
from gateway.route.cache_price import pays
from gateway.route.candidates import Candidate, Cascade, Guarantee, Learned, Standing, models_of
from gateway.route.conversation import Conversation, conversation_of, draw, system_prompt
from gateway.route.decision import Circumstances, Considered, Decision, Memory, Trial, Verdict
from gateway.route.rules import Route
from gateway.route.strategies import tokens

_ONE_ANSWER = frozenset({"n", "logprobs", "audio"})
"""What calls must not ask for, if their answers are to be compared or checked."""


def choose(
    route: Route, call: Call, tenant: Tenant, given: Circumstances, conversation: Conversation | None = None
) -> Decision:
    """The route fits the call already. Raises InvalidRequest where whoever would answer surely cannot."""
    if not (route.candidates or route.canary or route.mirror):
        return plain(route.model, call, tenant, given, route)
    return _Choice(route, call, conversation or conversation_of(call, tenant), given).made()


def plain(model: Model, call: Call, tenant: Tenant, given: Circumstances, route: Route | None = None) -> Decision:
    """The model answers, without any choice, as the route says or the client. Raises InvalidRequest where it surely cannot."""
    lack = obstacle(model, call, given.sent)
    if lack is not None:
        raise refusal(model, call, lack, given.sent)
    name, reason, hedge = (None, "named", None) if route is None else (route.name, "rule", route.hedge)
    if not _goes_on(model, call):
        return Decision(name, model, reason, hedge=hedge, sent=given.sent)
    conversation = conversation_of(call, tenant)
    key = f"\0{model.name}\0{conversation.id}"
    pin = None if conversation.is_new else given.pin(key)
    memory = Memory(key, pin, conversation.is_bound)
    return Decision(name, model, reason, hedge=hedge, conversation=conversation.id, sent=given.sent, memory=memory)


def remembered(route: Route, conversation: Conversation) -> str | None:
    """The key under which workers share who answered in a conversation, where that decides about a call of the route."""
    return None if conversation.is_new or not (route.candidates or route.canary) else _key(route, conversation)


def _key(route: Route, conversation: Conversation) -> str:
    return f"{route.name}\0{conversation.id}"


def _goes_on(model: Model, call: Call) -> bool:
    """Whether it matters which deployment answered before: with tools, or at the provider's, a turn ends where it began."""
    if len(model.deployments) + len(model.fallbacks) < 2:
        return False
    return model.is_sticky or "tools" in call.has or "previous_response_id" in call.fields


class _Choice:
    def __init__(self, route: Route, call: Call, conversation: Conversation, given: Circumstances) -> None:
        self._route = route
        self._call = call
        self._conversation = conversation
        self._given = given
        self._prompt = "" if route.guarantee is None else _said(call, per_prompt=route.guarantee.per_prompt)
        self._considered = tuple(self._look(each) for each in route.candidates)
        self._verdict: Verdict | None = None
        self._verdicts: dict[str, Verdict] = {}
        self._pin = None if conversation.is_new else given.pin(_key(route, conversation))

    def made(self) -> Decision:
        chosen, reason = self._kept() or self._canary() or self._pinned() or self._certified() or self._reference()
        model = self._model(chosen, reason)
        if (kept := self._not_worth_leaving(model, reason)) is not None:
            (chosen, model), reason, self._verdict = kept, "sticky", None
        offered = tuple(self._offered(chosen))
        return Decision(
            route=self._route.name,
            model=model,
            reason=reason,
            cascade=chosen if isinstance(chosen, Cascade) else None,
            candidate=chosen.name if chosen in self._route.candidates else None,
            considered=self._considered,
            verdict=self._verdict,
            trials=tuple(self._trials(offered, chosen, model)),
            offered=offered,
            hedge=self._route.hedge,
            conversation=self._conversation.id,
            sent=self._given.sent,
            memory=Memory(
                _key(self._route, self._conversation),
                self._pin,
                self._conversation.is_bound,
                is_shared=bool(self._route.candidates or self._route.canary),
            ),
        )

    def _look(self, candidate: Candidate) -> Considered:
        held, reason = self._given.held(self._route, candidate, self._prompt), None
        if isinstance(candidate, Cascade) and not _can_be_checked(self._call):
            reason = "a stream" if self._call.stream else "an answer that cannot be checked"
        elif isinstance(candidate, Learned) and self._given.scores is None:
            reason = "nothing is learned yet"
        elif (lack := self._lack(candidate)) is not None:
            reason = f"cannot: {lack}"
        elif held.standing is not Standing.CERTIFIED:
            reason = held.standing.value
        return Considered(candidate.name, held, reason)

    def _lack(self, candidate: Candidate) -> str | None:
        """What of the call somebody lacks whom the candidate may ask."""
        lacks = (obstacle(model, self._call, self._given.sent) for model in models_of(candidate))
        return next((lack for lack in lacks if lack is not None), None)

    def _kept(self) -> tuple[Candidate, str] | None:
        """Whoever waits for a tool's result, or keeps the last answer, whatever else the route says."""
        return self._before() if self._conversation.is_bound else None

    def _pinned(self) -> tuple[Candidate, str] | None:
        """Whoever answered in the conversation before, on a route that keeps to that."""
        return self._before() if self._route.sticky else None

    def _before(self) -> tuple[Candidate, str] | None:
        """Whoever answered in the conversation before, if that is anybody the route still knows and who may still answer."""
        if self._pin is None:
            return None
        name, is_bound = self._pin.name, self._conversation.is_bound
        for each, seen in zip(self._route.candidates, self._considered, strict=True):
            if each.name == name and (seen.reason is None or (is_bound and seen.reason == seen.held.standing.value)):
                return self._who_asked_for(each) if is_bound else each, "sticky"
        canary = self._route.canary
        others = [self._route.model]
        if canary is not None and (canary.by_conversation or is_bound):
            others.append(canary.model)
        found = next((each for each in others if each.name == name and self._lack(each) is None), None)
        return None if found is None else (found, "sticky")

    def _who_asked_for(self, candidate: Candidate) -> Candidate:
        """The tool's result goes to the strong model of a cascade, if that one asked for it."""
        assert self._pin is not None
        if isinstance(candidate, Cascade):
            own = {each.name for each in (*candidate.cheap.deployments, *candidate.cheap.fallbacks)}
            return candidate if self._pin.deployment in own else candidate.strong
        return candidate

    def _canary(self) -> tuple[Candidate, str] | None:
        canary = self._route.canary
        if canary is None or self._lack(canary.model) is not None:
            return None
        if canary.by_conversation and self._route.sticky and self._pin is not None:
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
        model = self._route.model
        if (lack := self._lack(model)) is not None:
            raise refusal(model, self._call, lack, self._given.sent)
        return model, "reference" if self._route.candidates else "rule"

    def _model(self, chosen: Candidate, reason: str) -> Model:
        if isinstance(chosen, Cascade):
            return chosen.model
        if isinstance(chosen, Learned):
            if reason == "sticky" and self._pin is not None and (chosen.sticky or self._conversation.is_bound):
                return chosen.weak if chosen.weak.name == self._pin.model else chosen.strong
            self._verdict = self._judged(chosen)
            return chosen.strong if self._verdict.is_strong else chosen.weak
        return chosen

    def _not_worth_leaving(self, model: Model, reason: str) -> tuple[Candidate, Model] | None:
        """Who answered before and stays, as the prompt that is cached there makes that cheaper than what was chosen."""
        if self._pin is None or self._route.sticky or reason in ("canary", "sticky") or self._pin.model == model.name:
            return None
        before = self._before()
        stays = None if before is None else self._model(before[0], "sticky")
        price, dearer = None if stays is None else _price(stays, self._pin.deployment), _price(model, None)
        if before is None or stays is None or price is None or dearer is None:
            return None
        sent, made = tokens(self._call)
        return None if pays(price, dearer, sent=sent, made=made) else (before[0], stays)

    def _judged(self, candidate: Learned) -> Verdict:
        assert self._given.scores is not None
        if candidate.name not in self._verdicts:
            self._verdicts[candidate.name] = self._given.scores.judge(self._route.name, candidate, self._call)
        return self._verdicts[candidate.name]

    def _trials(self, offered: Iterable[Trial], chosen: Candidate, model: Model) -> Iterator[Trial]:
        """Who else is asked: by draws of their own, so that each call is tried with a known probability, and by nothing that
        whoever calls has chosen, such as the call's id."""
        mirror = self._route.mirror
        is_mirrored = mirror is not None and self._given.chance() < mirror.share
        if mirror is not None and is_mirrored and self._lack(mirror.model) is None:
            yield Trial(mirror.model, mirror.share, mirror.model)
        for trial in offered:
            candidate = trial.candidate
            if self._given.chance() >= trial.probability:
                continue
            if not isinstance(candidate, Learned):
                yield trial
                continue
            verdict = self._judged(candidate)
            says = candidate.strong if verdict.is_strong else candidate.weak
            if (
                candidate is not chosen or model is says
            ):  # a conversation that keeps another model shows nothing of a score
                yield replace(trial, verdict=verdict)

    def _offered(self, chosen: Candidate) -> Iterator[Trial]:
        guarantee = self._route.guarantee
        if guarantee is None or not _is_comparable(self._call):
            return
        for candidate, seen in zip(self._route.candidates, self._considered, strict=True):
            trial = self._trial(candidate, seen, chosen, guarantee)
            if trial is not None:
                yield trial

    def _trial(self, candidate: Candidate, seen: Considered, chosen: Candidate, guarantee: Guarantee) -> Trial | None:
        """An audit of the candidate that serves asks the reference; what is not certified yet is asked beside the reference."""
        asks = candidate
        if isinstance(candidate, Learned) and self._given.scores is None:
            return None
        if candidate is chosen and seen.held.standing is Standing.CERTIFIED:
            asks = guarantee.reference
        elif chosen is not guarantee.reference or seen.held.standing is not Standing.UNCERTIFIED:
            return None
        if self._lack(asks) is not None:
            return None
        return Trial(asks, seen.held.share, candidate, guarantee, seen.held.certificate)


def _said(call: Call, *, per_prompt: bool) -> str:
    """What certificates are kept apart by: the version of the template, and the system prompt where that is the client's."""
    prompt = call.prompt
    said = system_prompt(call) if per_prompt and (prompt is None or not prompt.says_all) else ""
    return said if prompt is None else f"{prompt.identity}|{said}"


def _can_be_checked(call: Call) -> bool:
    """An answer is checked before its first byte leaves."""
    return not call.stream and _is_comparable(call)


def _is_comparable(call: Call) -> bool:
    return call.operation is Operation.CHAT and not call.has & _ONE_ANSWER


def _price(model: Model, deployment: str | None) -> Price | None:
    """Of the deployment that is named, or else of the model's first that has one."""
    prices = [each.price for each in model.deployments if deployment in (None, each.name)]
    return next((price for price in prices if price is not None), None)
