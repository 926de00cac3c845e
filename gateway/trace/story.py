"""A call told to people: in sentences, in the order of events, and as the tree of its spans. Both from its record alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.core.errors import CLIENT_LEFT, SUPERSEDED, CallerError
from gateway.trace import choice
from gateway.trace.outcomes import TRIAL
from gateway.trace.spans.span import Span
from gateway.trace.spans.tell import trace_of

Row = Mapping[str, Any]

_FAR = 10
"""A story names no more attempts than this one by one."""
_ENDINGS = {
    "cache_replay": "It was a repetition: the answer kept under its Idempotency-Key was sent again, at no cost.",
    "cache_exact": "The answer had been kept: the same had been asked before.",
    "cache_joined": "The same was being asked by another call, whose answer it was given.",
    "cache_semantic": "The answer had been kept for a question that means the same.",
    "stopped_budget": "The stream was ended because the budget was; the client got what had been paid for.",
    "client_abort": "The client closed the connection before the end.",
    "orphaned": "Its worker died before the call ended; nobody knows how it would have gone on.",
}
_REASONS = {
    "named": "the client named it",
    "rule": "the first route that fits says so",
}
_CHOSEN = {
    "candidate": ", where a candidate answers that has shown that it may",
    "reference": ", where the reference answers, as no candidate may yet",
    "canary": ", where a canary answers a share",
    "sticky": ", where the model answers that the conversation began with",
    "score": ", where a learned score chose the model",
}
"""What a route did beside saying who answers."""
_ORDERS = {"cheapest": "the cheapest first", "fastest": "the fastest first", "least_busy": "the least busy first"}

_WHY = {
    "retry": ", once more",
    "fallback": ", as a fallback",
    "try": ", the cheap model first",
    "second": ", for a second opinion",
    "escalation": ", the strong model",
    "hedge": ", as the one before was silent",
}


def tell(row: Row) -> dict[str, Any]:
    """`story`: sentences; `spans`: see docs/observability.md. A record of another version may lack what they are told from."""
    try:
        return {"story": list(sentences(row)), "spans": [_span(span, row) for span in sorted(_spans(row), key=_begin)]}
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError):
        return {
            "story": ["Another version of the gateway wrote this record; it can be shown, but not told."],
            "spans": [],
        }


def sentences(row: Row) -> Iterator[str]:
    if row.get("outcome") == TRIAL:
        yield choice.trial(row)
        return
    yield _asked(row)
    yield from choice.made_for(row)
    if row.get("key_name") is not None or row.get("tenant") is not None:
        yield f"The caller is {row['tenant']}, by the key {row['key_name'] or row['key_id']}."
    if row.get("outcome") == "rejected_auth":
        yield f"It was refused: {_sentence(row['error'])}"
        return
    yield from choice.prompted(row)
    if row.get("reason") is not None:
        yield _routed(row)
        yield from choice.chosen(row)
    yield from _held(row)
    yield from _passed_over(row)
    yield from _attempts(row)
    yield from _hung_up(row)
    if row["outcome"] in _ENDINGS:
        yield _ENDINGS[row["outcome"]]
        if row.get("saved_nano_usd") is not None:
            yield f"That saved {dollars(row['saved_nano_usd'])} and {_seconds(row['saved_ms'])}."
    elif row.get("error") is not None:
        where = f" in the stage {row['failed_in']}" if row.get("failed_in") else ""
        yield f"It ended with {row['status']} {row['error_code']}{where}: {_sentence(row['error'])}"
    yield from _cost(row)
    yield from _time(row)


def _asked(row: Row) -> str:
    at = datetime.fromtimestamp(row["at"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    what = {"chat": "a chat completion", "text_completion": "a completion", "embeddings": "embeddings"}
    what |= {"realtime": "a session in real time"}
    wanted = what.get(row.get("operation") or "", "something")
    kind = " as a stream" if row.get("stream") else ""
    model = f" of {row['model']!r}" if row.get("model") else ""
    return f"At {at} somebody asked for {wanted}{model}{kind}."


def _routed(row: Row) -> str:
    why = _REASONS.get(row["reason"], row["reason"])
    plan, strategy = _plan(row), _ORDERS.get(str(_stage_of_route(row).get("strategy")))
    chosen = _CHOSEN.get(row["reason"], "")
    rule = f"Route {row['route']!r} took it{chosen}" if row.get("route") else f"No route changed the model: {why}"
    by = f", {strategy}" if strategy is not None else ""
    order = f"; to be tried in this order{by}: {', '.join(plan)}" if plan else ""
    return f"{rule}{order}."


def _plan(row: Row) -> list[str]:
    plan: list[str] = _stage_of_route(row).get("plan", [])
    return plan


def _stage_of_route(row: Row) -> Mapping[str, Any]:
    return next((stage for stage in row.get("stages") or () if stage["name"] == "route"), {})


def _passed_over(row: Row) -> Iterator[str]:
    """Only what rests is left out of the plan's order."""
    tried = {attempt["deployment"] for attempt in row.get("attempts") or ()}
    waiting: list[str] = []
    resting: list[str] = []
    for deployment in _plan(row):
        if deployment in tried:
            resting += waiting
            waiting.clear()
        else:
            waiting.append(deployment)
    if resting:
        yield f"Passed over, resting after failures: {', '.join(resting)}."


def _attempts(row: Row) -> Iterator[str]:
    attempts = row.get("attempts") or ()
    for attempt in attempts[:_FAR]:
        yield _tried(attempt, row)
    if len(attempts) > _FAR:
        yield f"{len(attempts) - _FAR} further attempts followed."
    if row.get("dropped"):
        yield f"What its dialect has no word for was left out: {', '.join(row['dropped'])}."


def _hung_up(row: Row) -> Iterator[str]:
    if (session := row.get("session")) is not None:
        count = session["responses"]
        after = f"after {count} response{'' if count == 1 else 's'}"
        yield f"The session was ended by the {session['closed_by']} ({session['close_code']}), {after}."


def _held(row: Row) -> Iterator[str]:
    asked = [stage for stage in row.get("stages") or () if stage["name"] == "budget"]
    for stage in asked:
        took = _seconds(stage["duration_ms"])
        if stage["result"] == "denied":
            needs = (_amount(stage, name) for name in ("limit", "remaining", "asked"))
            of = "of {}, {} were left, and the call needs {}".format(*needs) if "limit" in stage else "no answer came"
            yield f"The budget {stage.get('budget', '')} said no after {took}: {of}."
        elif row.get("reserved_nano_usd") is None or (_several(row) and stage is not asked[-1]):
            yield f"The budgets were asked ({stage['result']}, {took})."
        else:
            in_all = " in all" if _several(row) else ""
            held = f"{dollars(row['reserved_nano_usd'])} were held{in_all}"
            yield f"The budgets were asked ({stage['result']}, {took}): {held}."


def _several(row: Row) -> list[Mapping[str, Any]]:
    """The attempts whose answers were paid, where those are more than the one that was served."""
    return [attempt for attempt in row.get("attempts") or () if "served" in attempt]


def _amount(stage: Mapping[str, Any], name: str) -> str:
    amount = stage.get(name)
    if amount is None:
        return "?"
    return dollars(amount) if stage.get("unit") == "usd" else f"{amount:,} {stage.get('unit')}"


def _tried(attempt: Mapping[str, Any], row: Row) -> str:
    took = _seconds(attempt["duration_ms"])
    start = f"Attempt {attempt['number']}{_WHY.get(attempt['reason'], '')}: {attempt['deployment']}"
    if attempt["error"] is None:
        first = attempt.get("first_byte_ms")
        began = f", its first byte after {_seconds(first)}" if first is not None and row.get("stream") else ""
        return f"{start} answered {attempt['status']} in {took}{began}{_paid(attempt)}."
    if attempt["error"] == SUPERSEDED:
        return f"{start} was stopped after {took}{_paid(attempt)}."
    status = f" {attempt['status']}" if attempt["status"] is not None else ""
    if attempt.get("fault") == CallerError.fault:
        what = "the client left" if attempt["error"] == CLIENT_LEFT else f"it refused the call{status}"
        return f"{start}: after {took} {what}: {attempt['error']}{_paid(attempt)}."
    detail = f" ({attempt['detail']})" if attempt.get("detail") else ""
    verb = "failed" if attempt["status"] is None or attempt["status"] >= 400 else "answered"
    broken = " and ended early" if verb == "answered" else ""
    return f"{start} {verb}{status}{broken} after {took}: {attempt['error']}{detail}{_paid(attempt)}."


def _paid(attempt: Mapping[str, Any]) -> str:
    """Of one of several: what it cost, and why it was not served."""
    cost, because = attempt.get("cost_nano_usd"), attempt.get("because")
    told = f", for {dollars(cost)}" if cost is not None else ""
    return f"{told}; not served: {because}" if because is not None else told


def _cost(row: Row) -> Iterator[str]:
    if row.get("input_tokens") is None or row["outcome"].startswith("cache_"):
        return
    parts = [f"{row['input_tokens']:,} tokens in"]
    if row.get("cached_tokens"):
        parts.append(f"{row['cached_tokens']:,} of them cached")
    parts.append(f"{row['output_tokens']:,} out")
    if row.get("reasoning_tokens"):
        parts.append(f"{row['reasoning_tokens']:,} of them reasoning")
    in_part = "in part " if not all(each["estimated"] for each in _several(row)) else ""
    counted = f", {in_part}by our own count" if row.get("estimated") else ", as the provider counted"
    cost = (
        f", which cost {dollars(row['cost_nano_usd'])}" if row.get("cost_nano_usd") is not None else ", without a price"
    )
    yield f"It used {', '.join(parts)}{counted}{cost}."


def _time(row: Row) -> Iterator[str]:
    if row.get("duration_ms") is not None:
        waited = f"; {_seconds(row['waited_ms'])} it waited to try again" if row.get("waited_ms") else ""
        ours = _seconds(row["overhead_ms"] or 0)
        yield f"It took {_seconds(row['duration_ms'])}, {ours} of them the gateway's own{waited}."


def dollars(nano: int) -> str:
    """Exactly, without the zeroes at the end."""
    whole, part = divmod(abs(nano), 10**9)
    digits = f"{part:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if nano < 0 else ''}${whole:,}.{digits}"


def _seconds(milliseconds: float) -> str:
    if milliseconds < 1:
        return f"{milliseconds * 1000:.0f} µs"
    return f"{milliseconds:.1f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.2f} s"


def _sentence(text: str | None) -> str:
    text = text or "no reason is known."
    return text if text.endswith((".", "!", "?")) else text + "."


def _spans(row: Row) -> Iterator[Span]:
    if row.get("trace_id") is not None and row.get("stages") is not None:
        yield from trace_of(row).spans


def _begin(span: Span) -> int:
    return span.begin


def _span(span: Span, row: Row) -> dict[str, Any]:
    began = round(row["at"] * 1e9)
    return {
        "name": span.name,
        "kind": span.kind.name,
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id,
        "started_ms": (span.begin - began) / 1e6,
        "duration_ms": (span.end - span.begin) / 1e6,
        "status": "ERROR" if span.error is not None else "UNSET",
        "error": span.error,
        "attributes": span.attributes,
    }
