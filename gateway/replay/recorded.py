"""Lines of records as `llmgw export` writes them, read as far as a decision can be made again from them.

What a record does not have, as one of an older version, is None or missing here, and is not guessed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from gateway.core import bet
from gateway.core.call import Call, Operation
from gateway.core.tenant import VirtualKey
from gateway.core.usage import NO_DETAILS, Details, Usage
from gateway.replay.prompted import ContentText, Prompted, PromptText, prompted
from gateway.route.candidates import Standing
from gateway.route.conversation import Conversation
from gateway.route.decision import Pin, Verdict

OWN = "llmgw"
"""The organisation that the gateway's own calls are made as: trials, judges, embedders."""


class BadLine(ValueError):
    """It is no record."""


class Unrecorded(LookupError):
    """The decision asks for something that the record does not have; the first argument says what."""


class Headers(Mapping[bytes, bytes]):
    """A call's headers, as far as they were recorded. Raises Unrecorded for another one."""

    def __init__(self, recorded: Mapping[str, str | None] | None) -> None:
        self._recorded = {} if recorded is None else recorded

    def __getitem__(self, name: bytes) -> bytes:
        text = name.decode("latin-1")
        if text not in self._recorded:
            raise Unrecorded(f"the header {text}")
        value = self._recorded[text]
        if value is None:
            raise KeyError(name)
        return value.encode("latin-1", "replace")

    def __iter__(self) -> Iterator[bytes]:
        return (name.encode("latin-1") for name, value in self._recorded.items() if value is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A call that was made. `at` in UTC seconds, when it was decided about.

    `has` and `tokens_in` are None where they were not recorded. `standings` are those of the candidates of its `route`, and
    `offered` those of them that might have been tried on it, with what probability; `drawn` those that were. `pin` is who
    answered before in the conversation, `verdict` the learned candidate's; `nothing_learned`: there was none to be had. `usage`
    is None where nobody answered. `is_free`: the answer was one that was kept, and with `is_hit` one that is kept for whoever
    asks the same; `saved` is what it had cost, in nano-USD, and its tokens are not recorded. `prompt` is the template's.
    """

    call: Call
    key: VirtualKey
    at: float
    user: str | None
    has: frozenset[str] | None
    tokens_in: int | None
    conversation: Conversation | None
    policy: str
    route: str | None
    reason: str | None
    candidate: str | None
    standings: Mapping[str, Standing]
    offered: Mapping[str, float]
    drawn: frozenset[str]
    pin: Pin | None
    verdict: Verdict | None
    nothing_learned: bool
    usage: Usage | None
    saved: int | None
    is_free: bool
    is_hit: bool
    was_refused: str | None
    prompt: Prompted | None


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a trial beside the call `request_id`; `cell` is None where nothing was compared, for the `reason`."""

    request_id: str
    candidate: str
    candidate_is: str
    reference_is: str
    is_audit: bool
    probability: float
    cell: int | None
    reason: str | None

    @property
    def was_escalated(self) -> bool:
        """A cascade's strong model would have answered: a check fired, and no quality was lost."""
        return self.cell is not None and self.reason is not None and bet.qualities(self.cell)[1] == 1.0


@dataclass(frozen=True, slots=True)
class Left:
    """A record that is no client's call that was decided about, and why."""

    why: str


class _Basis(msgspec.Struct):
    has: list[str] = []
    tokens_in: int | None = None
    headers: dict[str, str | None] = {}
    bytes: int = 0
    conversation: str | None = None
    is_new: bool | None = None
    is_bound: bool | None = None


class _Candidate(msgspec.Struct):
    name: str
    standing: Standing
    skipped: str | None = None


class _Trial(msgspec.Struct):
    of: str
    asks: str = ""
    score: float | None = None
    threshold: float | None = None


class _Pin(msgspec.Struct):
    name: str
    model: str
    deployment: str


class _Parameters(msgspec.Struct):
    max_tokens: float | str | None = None
    max_completion_tokens: float | str | None = None


class _Told(msgspec.Struct):
    candidates: list[_Candidate] = []
    candidate: str | None = None
    score: float | None = None
    threshold: float | None = None
    offered: dict[str, float] = {}
    trials: list[_Trial] = []
    pin: _Pin | None = None


class _Result(msgspec.Struct):
    request_id: str
    candidate: str
    is_audit: bool
    probability: float
    reference_quality: float | None = None
    candidate_quality: float | None = None
    reason: str | None = None
    candidate_is: str = ""
    reference_is: str = ""


class _Stage(msgspec.Struct):
    name: str = ""
    started_ms: float = 0.0


class _Row(msgspec.Struct):
    id: str
    at: float
    policy: str = ""
    operation: str | None = None
    model: str | None = None
    stream: bool | None = None
    tags: list[str] = []
    org: str | None = None
    tenant: str | None = None
    key_id: str | None = None
    key_name: str | None = None
    user: str | None = None
    route: str | None = None
    reason: str | None = None
    parameters: _Parameters | None = None
    prompt: PromptText | None = None
    content: ContentText | None = None
    decision: _Told | None = None
    basis: _Basis | None = None
    trial: _Result | None = None
    stages: list[_Stage] = []
    failed_in: str | None = None
    error_code: str | None = None
    outcome: str = ""
    cache: str | None = None
    cache_kind: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    saved_nano_usd: int | None = None


_decode = msgspec.json.Decoder(_Row).decode
_OPERATIONS = {each.value: each for each in Operation}
_NO_TOLD = _Told()
_LARGEST = 8 * 1024 * 1024
_UNDECIDED = frozenset({"auth", "ingress", "template"})
"""Stages in which a call may have failed before anybody asked who answers."""


def read(line: bytes) -> Recorded | Tried | Left:
    """Raises BadLine."""
    try:
        row = _decode(line)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadLine(str(error)) from error
    if row.trial is not None:
        return _tried(row.trial)
    if row.org == OWN:
        return Left("the gateway's own calls")
    operation = _OPERATIONS.get(row.operation or "")
    if operation is None:
        return Left("no calls of a model")
    if row.model is None or row.tenant is None or (row.failed_in in _UNDECIDED and row.route is None):
        return Left("refused before they were decided about")
    return _recorded(row, operation, row.model, row.tenant)


def _recorded(row: _Row, operation: Operation, model: str, tenant: str) -> Recorded:
    basis, told = row.basis, row.decision or _NO_TOLD
    conversation, prompt = None, prompted(row.prompt, row.content)
    if basis is not None and basis.conversation is not None and basis.is_new is not None:
        conversation = Conversation(basis.conversation, basis.is_new, basis.is_bound is True)
    has = None if basis is None else frozenset(basis.has)
    is_free = row.cache in ("hit", "semantic-hit")
    scores = [(told.score, told.threshold), *((each.score, each.threshold) for each in told.trials)]
    verdicts = [Verdict(score, threshold) for score, threshold in scores if score is not None and threshold is not None]
    return Recorded(
        call=Call(
            id=row.id,
            operation=operation,
            received=0.0,
            model=model,
            body=bytes(0 if basis is None else min(basis.bytes, _LARGEST)),
            fields=_caps(row.parameters),
            stream=row.stream is True,
            has=has or frozenset(),
            tags=tuple(row.tags),
            headers=Headers(None if basis is None else basis.headers),
            prompt=None if prompt is None else prompt.prompt,
        ),
        key=VirtualKey(id=row.key_id or "", name=row.key_name or "", tenant=tenant, fingerprint=""),
        at=row.at + next((each.started_ms for each in row.stages if each.name == "route"), 0.0) / 1000,
        user=row.user,
        has=has,
        tokens_in=None if basis is None else basis.tokens_in,
        conversation=conversation,
        policy=row.policy,
        route=row.route,
        reason=row.reason,
        candidate=told.candidate,
        standings={each.name: each.standing for each in told.candidates},
        offered=told.offered,
        drawn=frozenset(each.of for each in told.trials),
        pin=None if told.pin is None else Pin(told.pin.name, told.pin.model, told.pin.deployment),
        verdict=verdicts[0] if verdicts else None,
        nothing_learned=any(each.skipped == "nothing is learned yet" for each in told.candidates),
        usage=_usage(row),
        saved=row.saved_nano_usd,
        is_free=is_free,
        is_hit=is_free and row.cache_kind != "replay",
        was_refused=(row.error_code or "refused") if row.failed_in == "route" else None,
        prompt=prompt,
    )


def _caps(parameters: _Parameters | None) -> Mapping[str, int]:
    """The fields that cap the output, of which a decision may want to know."""
    if parameters is None:
        return {}
    caps = {name: getattr(parameters, name) for name in _Parameters.__struct_fields__}
    return {name: int(cap) for name, cap in caps.items() if isinstance(cap, int | float) and math.isfinite(cap)}


def _usage(row: _Row) -> Usage | None:
    if row.input_tokens is None or row.output_tokens is None:
        return None
    written = row.cache_write_tokens or 0
    return Usage(
        input=row.input_tokens,
        output=row.output_tokens,
        cached=row.cached_tokens or 0,
        reasoning=row.reasoning_tokens or 0,
        details=Details(cache_write=written) if written else NO_DETAILS,
    )


def _tried(result: _Result) -> Tried:
    cell = None
    if not 0 < result.probability <= 1:
        raise BadLine(f"a trial's probability is not {result.probability!r}")
    if result.reference_quality is not None and result.candidate_quality is not None:
        try:
            cell = bet.cell(result.reference_quality, result.candidate_quality)
        except ValueError as error:
            raise BadLine(str(error)) from error
    return Tried(
        request_id=result.request_id,
        candidate=result.candidate,
        candidate_is=result.candidate_is,
        reference_is=result.reference_is,
        is_audit=result.is_audit,
        probability=result.probability,
        cell=cell,
        reason=result.reason,
    )
