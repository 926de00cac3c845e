"""Why a call was answered by whom it was, and what was asked beside it, in sentences, from its record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Row = Mapping[str, Any]

_FEW = 5
"""Parts of a score that are named, the strongest."""
_WHY = {
    "candidate": "{candidate} answers the route's calls, as it has shown that it may",
    "score": "{candidate} answers the route's calls, and the score of this one said which of its models does",
    "reference": "the route's strong model answered, as no candidate has shown that it may answer this call",
    "canary": "this call, or its conversation, is in the share of the route's canary",
    "sticky": "the conversation had begun with the same model",
}
_VERSIONS = {
    "number": "which was named",
    "hash": "which was named by its hash",
    "label": "to which the label points",
    "only": "the only one there is",
    "rollout": "which was drawn by the rollout's weights",
    "sticky": "with which the conversation had begun",
    "override": "to which an admin gave all calls",
    "shadow": "which is asked beside a client's call",
    "stepped_back": "as the one that was drawn has been taken out of the rollout",
}
_NOTHING = {
    "budget": "the budget of the route's trials did not cover it",
    "learning": "the score is still being learned",
    "unavailable": "who was asked was not to be had",
}


def chosen(row: Row) -> Iterator[str]:
    """Of a call whose route had a choice."""
    decision = row.get("decision") or {}
    if (why := _WHY.get(row.get("reason") or "")) is not None:
        yield f"Why this model: {why.format(candidate=decision.get('candidate') or 'a candidate')}."
    if candidates := decision.get("candidates"):
        yield f"Its candidates: {', '.join(map(_candidate, candidates))}. Their certificates say what has been shown."
    if (score := decision.get("score")) is not None:
        yield from _score(score, decision)
    told = list(row.get("trials") or ())
    for drawn in decision.get("trials") or ():
        found = next(
            (each for each in told if each["candidate"] == drawn["of"] and each["asked"] == drawn["asks"]), None
        )
        yield _drawn(drawn, found)


def made_for(row: Row) -> Iterator[str]:
    """Of a call that the gateway made itself."""
    if row.get("made_for") is not None:
        what = ", ".join(row.get("tags") or ()) or "what was asked beside it"
        yield f"The gateway made it for the call {row['made_for']} ({what})."


def prompted(row: Row) -> Iterator[str]:
    """Of a call that a template was put round."""
    told = row.get("prompt")
    if told is not None:
        by = "The client asked for" if told["route"] is None else f"Route {told['route']!r} puts round its calls"
        why = _VERSIONS.get(told["reason"], told["reason"])
        yield f"{by} the template {told['name']!r}; it got version {told['version']} ({told['hash']}), {why}."


def trial(row: Row) -> str:
    """Of the record of a trial."""
    told = row["trial"]
    return f"What came of asking {told['asked']} beside the call {told['request_id']}, of route {told['route']!r}: {_came(told)}."


def _candidate(each: Row) -> str:
    skipped = each["skipped"]
    reason = "" if skipped in (None, each["standing"]) else f", passed over: {skipped}"
    return f"{each['name']} ({each['standing']}{reason})"


def _score(score: float, decision: Row) -> Iterator[str]:
    threshold = decision["threshold"]
    is_strong = score > threshold
    parts = sorted((decision.get("parts") or {}).items(), key=lambda part: -abs(part[1]))[:_FEW]
    of = f" Most of it: {', '.join(f'{name} {value:+.4g}' for name, value in parts)}." if parts else ""
    which = f"above {threshold:.4g}, so the strong one" if is_strong else f"not above {threshold:.4g}, so the weak one"
    yield f"Its score, the quality that the weak model is expected to lose, is {score:.4g}: {which}.{of}"


def _drawn(drawn: Row, found: Row | None) -> str:
    is_audit = drawn["asks"] != drawn["of"]
    what = f"to check on {drawn['of']}" if is_audit else "to see whether it could have answered"
    share = f"as one of {100 * drawn['probability']:.3g} % of such calls"
    came = "what came of it is not recorded (yet)" if found is None else _came(found)
    return f"Asked beside it: {drawn['asks']}, {what}, {share}: {came}."


def _came(told: Row) -> str:
    reference, candidate, reason = told["reference_quality"], told["candidate_quality"], told["reason"]
    if reference is None or candidate is None:
        if reason is None:
            return "the answer was compared with nothing"
        return f"nothing was compared, for {_NOTHING.get(reason, reason.replace('_', ' '))}"
    why = "" if reason is None else f" ({reason.replace('_', ' ')})"
    return f"the quality of {told['candidate']} is {candidate:.3g}, where the reference has {reference:.3g}{why}"
