"""From the row of a call to what it adds to each metric.

A row costs a few microseconds: the series that it adds to are looked up once for each combination of names, all together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from gateway.trace.metrics import instruments as of
from gateway.trace.metrics.fields import field
from gateway.trace.metrics.names import OTHER, Known, Names, clean
from gateway.trace.metrics.series import (
    Counter,
    Histogram,
    Labels,
    Sample,
    Totals,
    add,
    add_sampled,
    counter,
    histogram,
)
from gateway.trace.outcomes import TRIAL
from gateway.trace.providers import provider_name

NO_PROVIDER = "_OTHER"
"""The provider of a call that none has seen."""
REMEMBERED = 4096
"""Combinations of names whose series are kept at hand, at most."""

Row = Mapping[str, Any]

_CALL = itemgetter(
    "operation",
    "provider",
    "model",
    "error_code",
    "method",
    "path",
    "status",
    "outcome",
    "org",
    "team",
    "route",
    "deployment",
    "reason",
)
_ATTEMPT = itemgetter("deployment", "provider", "upstream_model", "reason", "error", "fault")
_BILLED = itemgetter("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_nano_usd")


class _Call:
    """The series of calls that are alike. What only some of them have is None until one has it."""

    __slots__ = ("calls", "cost", "each_token", "first_token", "http", "model", "route", "server", "tokens", "whose")

    def __init__(
        self, *, server: Histogram, http: Histogram, calls: Counter, route: Counter | None, model: Labels, whose: Labels
    ) -> None:
        self.server, self.http, self.calls, self.route = server, http, calls, route
        self.model, self.whose = model, whose
        self.first_token: Histogram | None = None
        self.each_token: Histogram | None = None
        self.tokens: tuple[Counter, Counter, Counter, Counter] | None = None
        self.cost: Counter | None = None


class _Attempt:
    """The series of attempts that are alike."""

    __slots__ = ("attempts", "duration", "first_chunk", "labels", "usage")

    def __init__(self, attempts: Counter, duration: Histogram, labels: Labels) -> None:
        self.attempts, self.duration, self.labels = attempts, duration, labels
        self.first_chunk: Histogram | None = None
        self.usage: tuple[Histogram, Histogram] | None = None


class Observer:
    """`policy` gives the policy in force and `known` what such a policy names; it is asked when the policy has changed."""

    def __init__(self, policy: Callable[[], object], known: Callable[[], Known]) -> None:
        self.totals = Totals()
        self._names = Names()
        self._policy = policy
        self._known = known
        self._seen: object = None
        self._calls: dict[tuple[Any, ...], _Call] = {}
        self._attempts: dict[tuple[Any, ...], _Attempt] = {}
        self._caches: dict[tuple[Any, Any, Any], Counter] = {}
        self._overhead = histogram(self.totals, of.OVERHEAD, ())

    def observe(self, row: Row) -> None:
        """Counts a call that has ended; what came of a trial is no call."""
        if row["outcome"] == TRIAL:
            return
        self.names()
        key = _CALL(row)
        call = self._calls.get(key)
        if call is None:
            call = self._call(key, row["attempts"])
        call.calls.value += 1
        if call.route is not None:
            call.route.value += 1
        if row["duration_ms"] is None:  # its worker died: nobody knows when, or what came of it
            return
        seconds = row["duration_ms"] * 0.001
        if row["sampled"]:
            sample = Sample(seconds, row["at"] + seconds, row["trace_id"], row["span_id"])
            add_sampled(call.server, of.SERVER_DURATION.buckets, sample)
        else:
            sample = None
            add(call.server, of.SERVER_DURATION.buckets, seconds)
        add(call.http, of.HTTP_DURATION.buckets, seconds)
        add(self._overhead, of.OVERHEAD.buckets, row["overhead_ms"] * 0.001)
        if row["input_tokens"] is not None and row["provider"] is not None:
            self._bill(call, row)
        if row["stream"] and row["first_byte_ms"] is not None and row["error_code"] is None:
            self._stream(call, row, seconds, sample)
        if row["attempts"]:
            self._try(row, sample)
            self._drop(row)
        if row["cache"] is not None:
            self._cache(row)

    def names(self) -> Names:
        """What may be a label now."""
        if self._policy() is not self._seen:
            self._take_up()
        return self._names

    def _bill(self, call: _Call, row: Row) -> None:
        """Of several answers each is its own provider's."""
        paid = [each for each in row["attempts"] if "served" in each]
        for answer in paid:
            whose = clean(answer["provider"]), *call.whose[1:]
            cost = counter(self.totals, of.COST, whose) if answer["cost_nano_usd"] is not None else None
            _count(answer, self._token_cells(whose), cost)
        if paid:
            return
        if call.tokens is None:
            call.tokens = self._token_cells(call.whose)
        if call.cost is None and row["cost_nano_usd"] is not None:
            call.cost = counter(self.totals, of.COST, call.whose)
        _count(row, call.tokens, call.cost)

    def _stream(self, call: _Call, row: Row, seconds: float, sample: Sample | None) -> None:
        first = row["first_byte_ms"] * 0.001
        if call.first_token is None:
            call.first_token = histogram(self.totals, of.FIRST_TOKEN, call.model)
        if sample is None:
            add(call.first_token, of.FIRST_TOKEN.buckets, first)
        else:
            add_sampled(
                call.first_token, of.FIRST_TOKEN.buckets, Sample(first, sample.at, sample.trace_id, sample.span_id)
            )
        tokens = row["output_tokens"]
        if tokens is not None and tokens > 1:
            if call.each_token is None:
                call.each_token = histogram(self.totals, of.EACH_TOKEN, call.model)
            add(call.each_token, of.EACH_TOKEN.buckets, (seconds - first) / (tokens - 1))

    def _try(self, row: Row, sample: Sample | None) -> None:
        operation, streams, found = row["operation"], row["stream"], None
        for tried in row["attempts"]:
            key = (operation, *_ATTEMPT(tried))
            found = self._attempts.get(key)
            if found is None:
                found = self._attempt(key, tried["address"])
            seconds = tried["duration_ms"] * 0.001
            found.attempts.value += 1
            if sample is None:
                add(found.duration, of.ATTEMPT_DURATION.buckets, seconds)
            else:
                told = Sample(seconds, sample.at, sample.trace_id, sample.span_id)
                add_sampled(found.duration, of.ATTEMPT_DURATION.buckets, told)
            if streams and tried["first_byte_ms"] is not None:
                if found.first_chunk is None:
                    found.first_chunk = histogram(self.totals, of.FIRST_CHUNK, found.labels)
                add(found.first_chunk, of.FIRST_CHUNK.buckets, tried["first_byte_ms"] * 0.001)
            if "served" in tried:
                self._use(found, tried)
        if (
            found is not None
            and row["input_tokens"] is not None
            and not any("served" in each for each in row["attempts"])
        ):
            self._use(found, row)

    def _drop(self, row: Row) -> None:
        for name in row.get("dropped", ()):
            counter(self.totals, of.DROPPED_FIELDS, (clean(row["provider"]), field(name))).value += 1

    def _use(self, last: _Attempt, row: Row) -> None:
        """Only the last attempt can have been answered, unless several were paid."""
        if last.usage is None:
            kinds = [histogram(self.totals, of.TOKEN_USAGE, (*last.labels, kind)) for kind in ("input", "output")]
            last.usage = kinds[0], kinds[1]
        add(last.usage[0], of.TOKEN_USAGE.buckets, row["input_tokens"])
        add(last.usage[1], of.TOKEN_USAGE.buckets, row["output_tokens"])

    def _cache(self, row: Row) -> None:
        for stage in row["stages"]:
            if stage["name"] == "cache":
                key = stage.get("kind"), stage.get("result"), row["cache_reason"]
                cell = self._caches.get(key)
                if cell is None:
                    labels = clean(key[0]), clean(key[1]), clean(key[2])
                    cell = self._caches[key] = counter(self.totals, of.CACHE_REQUESTS, labels)
                cell.value += 1
                if row["saved_nano_usd"]:
                    saved = counter(self.totals, of.CACHE_SAVED, (clean(key[0]), clean(key[1])))
                    saved.value += row["saved_nano_usd"]

    def _take_up(self) -> None:
        self._seen = self._policy()
        self._names.policy = self._known()
        self._forget()

    def _forget(self) -> None:
        self._calls.clear()
        self._attempts.clear()

    def _call(self, key: tuple[Any, ...], attempts: Sequence[Row]) -> _Call:
        operation, provider, model, code, method, path, status, outcome, org, team, route, deployment, reason = key
        names, totals = self._names, self.totals
        if code is None and deployment is not None and names.learn(model, deployment):
            self._forget()
        if len(self._calls) >= REMEMBERED:
            self._calls.clear()
        asked, error = names.model(model), names.code(code)
        last = attempts[-1]["address"] if attempts else ""
        labels = clean(operation), NO_PROVIDER if provider is None else clean(provider_name(last, provider)), asked
        whose = asked, clean(org), clean(team)
        decided = clean(route), names.deployment(deployment), clean(reason)
        request = clean(method), clean(path), clean(status), error
        call = self._calls[key] = _Call(
            server=histogram(totals, of.SERVER_DURATION, (*labels, error)),
            http=histogram(totals, of.HTTP_DURATION, request),
            calls=counter(totals, of.CALLS, (clean(outcome), *whose)),
            route=None if reason is None else counter(totals, of.ROUTE_DECISIONS, decided),
            model=labels,
            whose=(clean(provider), *whose),
        )
        return call

    def _attempt(self, key: tuple[Any, ...], address: str) -> _Attempt:
        operation, deployment, provider, model, reason, code, fault = key
        names, totals = self._names, self.totals
        if code is None and names.learn(None, deployment):
            self._forget()
        if len(self._attempts) >= REMEMBERED:
            self._attempts.clear()
        known, error = names.deployment(deployment), names.code(code)
        whose = clean(provider_name(address, provider))
        labels = clean(operation), whose, OTHER if known == OTHER else clean(model), error
        found = self._attempts[key] = _Attempt(
            counter(totals, of.ATTEMPTS, (known, clean(reason), error, clean(fault))),
            histogram(totals, of.ATTEMPT_DURATION, labels),
            labels,
        )
        return found

    def _token_cells(self, whose: Labels) -> tuple[Counter, Counter, Counter, Counter]:
        kinds = "input", "output", "cached", "reasoning"
        made = [counter(self.totals, of.TOKENS, (*whose, kind)) for kind in kinds]
        return made[0], made[1], made[2], made[3]


def _count(used: Row, tokens: tuple[Counter, Counter, Counter, Counter], money: Counter | None) -> None:
    sent, made, cached, reasoning, cost = _BILLED(used)
    tokens[0].value += sent
    tokens[1].value += made
    if cached:
        tokens[2].value += cached
    if reasoning:
        tokens[3].value += reasoning
    if money is not None and cost is not None:
        money.value += cost
