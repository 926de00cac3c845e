"""Calls that are asked of somebody else too, in the background: nobody is served the answers, and certificates rest on them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

import orjson

from gateway.core import bet
from gateway.core.call import Call
from gateway.core.deployment import Deployment, Model
from gateway.core.errors import CallerError, GatewayError, Rejected, UpstreamError
from gateway.core.span import SpanContext
from gateway.core.tasks import AGAIN, Tasks
from gateway.core.trial import TrialResult
from gateway.route.candidates import Cascade, Guarantee, Learned
from gateway.route.cascade import FAILED, why_not
from gateway.route.certificate.certificates import Certificates, described
from gateway.route.decision import Decision, Trial
from gateway.route.learned import ENOUGH, LearnedScores
from gateway.route.quality import answer as answers
from gateway.route.quality import judge
from gateway.route.quality.scores import SCORERS, Unscored, unusable
from gateway.route.rules import Route

LARGEST = 1 << 20
"""Bytes of an answer that is compared."""
MOST = 64
"""Trials under way; of more calls none is tried."""
_FIELDS_OF_STREAMS = frozenset({"stream", "stream_options"})

_UNABLE = frozenset({400, 413, 422})
"""What a provider answers to what its model cannot do."""

Document = Mapping[str, Any]
"""A chat completion."""


def spending(route: Route) -> tuple[tuple[str, int | None], ...]:
    """The accounts of what is asked beside a route's calls, with the nano-USD that may be spent on each in a UTC day."""
    guarantee, mirror = route.guarantee, route.mirror
    trials = () if guarantee is None else ((f"trials of {route.name}", guarantee.budget),)
    return (*trials, *(() if mirror is None else ((f"shadow of {route.name}", mirror.budget),)))


class Asks(Protocol):
    """The calls that the gateway makes for itself."""

    async def answer(
        self, model: str, fields: Mapping[str, Any], *, tag: str, account: str, context: SpanContext
    ) -> dict[str, Any]:
        """The chat completion. `account` is on whose account it is asked. Raises GatewayError."""
        ...


class Served(Protocol):
    """An answer as the flow has it."""

    @property
    def deployment(self) -> Deployment: ...

    @property
    def is_complete(self) -> bool: ...

    @property
    def is_stream(self) -> bool: ...


Results = Callable[[TrialResult, SpanContext], None]
"""Is told what came of each trial; must not block."""


@dataclass(slots=True)
class Labelled:
    """The qualities of the reference's answer and of the candidate's; or why there are none."""

    reference: float | None = None
    candidate: float | None = None
    reason: str | None = None


class Trials:
    """One for each worker. `assemble` makes the document of a whole stream. `counts` tells what became of trials, by
    route, candidate and result."""

    def __init__(
        self,
        certificates: Certificates,
        scores: LearnedScores,
        asks: Asks,
        results: Results,
        tasks: Tasks,
        random: Random,
        *,
        assemble: Callable[[bytes], Document | None],
    ) -> None:
        self._certificates = certificates
        self._scores = scores
        self._asks = asks
        self._results = results
        self._tasks = tasks
        self._random = random
        self._assemble = assemble
        self._under_way: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self.counts: Counter[tuple[str, str, str]] = Counter()

    def of(self, decision: Decision, call: Call) -> Watched:
        """Watches the answer to a call for the trials that were drawn for it."""
        return Watched(self, decision, call) if decision.trials else _UNWATCHED

    def begin(
        self, trial: Trial, decision: Decision, call: Call, served: Document, *, strong: bool, span: SpanContext
    ) -> None:
        """`strong`: a cascade's answer is its strong model's."""
        if self._is_closed or len(self._under_way) >= MOST:
            self.count(trial, decision, "too_many")
            return
        work = self._run(trial, decision, call, served, strong=strong, span=span)
        task = self._tasks.start(work, name="trial")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Ends those under way, each of which pays and gives back what it holds, and begins no more."""
        self._is_closed = True
        while self._under_way:
            for task in self._under_way:
                task.cancel()
            await asyncio.wait(self._under_way, timeout=AGAIN)

    def count(self, trial: Trial, decision: Decision, result: str) -> None:
        self.counts[decision.route or "", trial.candidate.name, result] += 1

    def document(self, body: bytes, *, is_stream: bool) -> Document | None:
        if is_stream:
            return self._assemble(body)
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError:
            return None
        return found if isinstance(found, dict) else None

    async def _run(
        self, trial: Trial, decision: Decision, call: Call, served: Document, *, strong: bool, span: SpanContext
    ) -> None:
        account = f"{'shadow' if trial.guarantee is None else 'trials'} of {decision.route}"
        asked = _Asked(self._asks, call, account, span)
        try:
            label = await self._label(trial, decision, asked, served, strong=strong)
        except GatewayError as error:
            label = _failed(trial, error)
        if label.reference is not None and label.candidate is not None:
            self._certificates.learn(trial.certificate, bet.cell(label.reference, label.candidate))
            self.count(trial, decision, "labelled")
        else:
            self.count(trial, decision, label.reason or "mirrored")
        result = TrialResult(
            request_id=call.id,
            route=decision.route or "",
            candidate=trial.candidate.name,
            asked=trial.asks.name,
            is_audit=trial.is_audit,
            probability=trial.probability,
            reference_quality=label.reference,
            candidate_quality=label.candidate,
            reason=label.reason,
            candidate_is=described(trial.candidate),
            reference_is="" if trial.guarantee is None else described(trial.guarantee.reference),
        )
        self._results(result, span)

    async def _label(
        self, trial: Trial, decision: Decision, asked: _Asked, served: Document, *, strong: bool
    ) -> Labelled:
        guarantee = trial.guarantee
        if guarantee is None:
            assert isinstance(trial.asks, Model)
            await asked.of(trial.asks)
            return Labelled()
        if not trial.is_audit:
            return await self._tried(trial, guarantee, decision, asked, served)
        if strong or (trial.verdict is not None and trial.verdict.is_strong):
            return Labelled(1.0, 1.0, "escalated")
        return await self._scored(guarantee, asked, served, await asked.of(guarantee.reference))

    async def _tried(
        self, trial: Trial, guarantee: Guarantee, decision: Decision, asked: _Asked, served: Document
    ) -> Labelled:
        """The candidate is asked beside the reference, whose answer was served."""
        if (reason := unusable(answers.read(served), asked.fields)) is not None:
            return Labelled(reason=reason.reason)
        if isinstance(trial.asks, Cascade):
            found = await _cascaded(trial.asks, asked)
            if isinstance(found, str):
                return Labelled(1.0, 1.0, found)
            return await self._scored(guarantee, asked, found, served)
        if isinstance(trial.asks, Model):
            return await self._scored(guarantee, asked, await asked.of(trial.asks), served)
        return await self._learned(trial, trial.asks, guarantee, decision, asked, served)

    async def _learned(
        self,
        trial: Trial,
        learned: Learned,
        guarantee: Guarantee,
        decision: Decision,
        asked: _Asked,
        served: Document,
    ) -> Labelled:
        """The weak model is asked, whoever would have been: that is what the score learns from."""
        label = await self._scored(guarantee, asked, await asked.of(learned.weak), served)
        if label.candidate is None:
            return label
        self._scores.learn(decision.route or "", learned, asked.call, weak=label.candidate)
        if trial.verdict is None or trial.verdict.labels < ENOUGH:
            return Labelled(reason="learning")
        return Labelled(1.0, 1.0, "escalated") if trial.verdict.is_strong else label

    async def _scored(self, guarantee: Guarantee, asked: _Asked, candidate: Document, reference: Document) -> Labelled:
        ours, theirs = answers.read(candidate), answers.read(reference)
        if guarantee.judge is None:
            reason = unusable(theirs, asked.fields)
            found = reason if reason is not None else SCORERS[guarantee.scorer.value](ours, theirs, asked.fields)
        else:
            first = self._random.random() < 0.5
            question = judge.prompt(ours, theirs, asked.fields, candidate_first=first)
            if isinstance(question, str):
                found = judge.quality(await asked.text(guarantee.judge, question), candidate_first=first)
            else:
                found = question
        return Labelled(reason=found.reason) if isinstance(found, Unscored) else Labelled(1.0, found)


class Watched:
    """Collects what a client is sent; `begin` starts the trials once it is whole."""

    __slots__ = ("_call", "_decision", "_is_too_large", "_pieces", "_size", "_trials")

    def __init__(self, trials: Trials, decision: Decision, call: Call) -> None:
        self._trials = trials
        self._decision = decision
        self._call = call
        self._pieces: list[bytes] = []
        self._size = 0

    def keep(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size <= LARGEST:
            self._pieces.append(chunk)
        else:
            self._pieces.clear()

    def begin(self, last: bytes, answer: Served, span: SpanContext) -> None:
        """`last`: the ending. Nothing is tried for an answer that was kept from before, or was cut. One that is too large to be
        compared is no answer: as the reference's it counts as nothing, and as a candidate's it is as bad as can be."""
        self.keep(last)
        if not answer.deployment.name:
            return
        served: Document | None = None
        if answer.is_complete:
            is_kept = self._size <= LARGEST
            served = self._trials.document(b"".join(self._pieces), is_stream=answer.is_stream) if is_kept else {}
        if served is None:
            for trial in self._decision.trials:
                self._trials.count(trial, self._decision, "not_whole")
            return
        cascade = self._decision.cascade
        strong = cascade is not None and answer.deployment in (*cascade.strong.deployments, *cascade.strong.fallbacks)
        for trial in self._decision.trials:
            self._trials.begin(trial, self._decision, self._call, served, strong=strong, span=span)


class Unwatched(Watched):
    """Of a call for which no trial was drawn."""

    __slots__ = ()

    def __init__(self) -> None:
        """There is nothing to keep."""

    def keep(self, chunk: bytes) -> None:
        return

    def begin(self, last: bytes, answer: Served, span: SpanContext) -> None:
        return


_UNWATCHED = Unwatched()


class _Asked:
    """A call that is asked again, of others. `fields` are those of its request, without what is for streams."""

    def __init__(self, asks: Asks, call: Call, account: str, span: SpanContext) -> None:
        self._asks = asks
        self.call = call
        self._account = account
        self._span = span
        self.fields = {name: value for name, value in call.fields.items() if name not in _FIELDS_OF_STREAMS}

    async def of(self, model: Model) -> Document:
        """Raises GatewayError."""
        fields = {**self.fields, "model": model.name}
        return await self._asks.answer(model.name, fields, tag="trial", account=self._account, context=self._span)

    async def text(self, model: Model, prompt: str) -> str:
        """Raises GatewayError."""
        fields = {"model": model.name, "messages": [{"role": "user", "content": prompt}], "temperature": 0}
        document = await self._asks.answer(model.name, fields, tag="judge", account=self._account, context=self._span)
        return answers.read(document).text


async def _cascaded(cascade: Cascade, asked: _Asked) -> Document | str:
    """The cheap model's answer, or why the strong one would have been asked."""
    models: Sequence[Model] = (cascade.cheap,) if cascade.second is None else (cascade.cheap, cascade.second)
    found = await asyncio.gather(*(asked.of(model) for model in models), return_exceptions=True)
    for each in found:
        if isinstance(each, UpstreamError):
            return FAILED
        if isinstance(each, BaseException):
            raise each
    documents = [each for each in found if not isinstance(each, BaseException)]
    said = [answers.read(each) for each in documents]
    fired = why_not(cascade, said[0], said[1] if len(said) > 1 else None, asked.fields)
    return documents[0] if fired is None else fired


def _failed(trial: Trial, error: GatewayError) -> Labelled:
    """A candidate that refuses what the reference answered, or never ends, is no good; one that is away says nothing of its
    quality."""
    is_unable = (isinstance(error, Rejected) and error.status in _UNABLE) or error.code == "upstream_too_large"
    if trial.guarantee is not None and not trial.is_audit and is_unable:
        return Labelled(1.0, 0.0, "failed")
    return Labelled(reason="budget" if isinstance(error, CallerError) else "unavailable")
