"""What came of a comparison, as plain values: the JSON that `llmgw replay --json` and the admin API give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from gateway.core.money import usd
from gateway.replay.comparison import Comparison
from gateway.replay.figures import Figures
from gateway.replay.promised import judged
from gateway.replay.wordings import Named, Wording

MOST_MOVES = 20
"""Changes that are told of each route, the most frequent first."""
TOLD: tuple[str, ...] = (
    "costs are the tokens that were recorded, at the prices of who would answer; another model or prompt may get more or fewer",
    "what is tried beside calls costs besides, and is not counted",
    "a prompt is too long where the model's limit is known and is surely passed",
    "budgets are empty when the traffic begins, and calls under way hold nothing of them",
    "a cascade counts against budgets as if it always escalated",
    "a lost hit counts each time, though the new answer would be kept too, and costs the most that it could",
    "certificates stand as recorded; those of candidates that are new or mean something else are not earned yet",
)
"""What holds of every replay."""
TOLD_OF_TEMPLATES: tuple[str, ...] = (
    "a template's tokens are those of its own messages and tools, counted here; a provider's count differs a little",
    "another prompt costs its tokens more or fewer, at the price of who would answer; output and cached tokens stay as they were",
)
"""What holds where versions of templates change."""


def document(comparison: Comparison) -> dict[str, Any]:
    """`promises` are those of the new policy, each with whether it is kept: true, false or null, which is unknown."""
    total = Figures()
    for figures in comparison.routes.values():
        total.merge(figures)
    return {
        "old": comparison.old.snapshot.version,
        "new": comparison.new.snapshot.version,
        "traffic": {
            "lines": comparison.lines,
            "bad_lines": comparison.bad_lines,
            "first_bad": comparison.first_bad,
            "calls": comparison.calls,
            "since": comparison.since,
            "until": comparison.until,
            "left_out": dict(comparison.left),
            "out_of_order": comparison.out_of_order,
        },
        "old_policy": {"agreed": comparison.agreed, "of_another_policy": comparison.of_another_policy},
        "routes": [
            {"route": name or None, **_figures(figures, comparison)}
            for name, figures in sorted(comparison.routes.items())
        ],
        "total": _figures(total, comparison),
        "templates": _templates(comparison),
        "promises": judged(comparison, total),
        "told": list(_told(comparison)),
    }


def _figures(figures: Figures, comparison: Comparison) -> dict[str, Any]:
    old, new = [spent.total(comparison.escalations) for spent in figures.spent]
    loss = figures.loss()
    return {
        "calls": figures.calls,
        "changed": figures.changed,
        "unknown": dict(figures.unknown),
        "refused": _pair(figures.refused),
        "cost_usd": {"old": _usd(old), "new": _usd(new), "unpriced": _pair([each.unpriced for each in figures.spent])},
        "over_budget": _pair(figures.over_budget),
        "too_long": _pair(figures.too_long),
        "hits": figures.hits,
        "lost_hits": figures.lost_hits,
        "answered_otherwise": figures.moved,
        "labelled": figures.labelled,
        "unscored": figures.unscored,
        "loss": None
        if loss is None
        else {
            "estimate": loss.estimate,
            "lower_95": loss.lower_95,
            "upper_95": loss.upper_95,
            "covered": loss.covered,
        },
        "changes": [
            {"old": before, "new": after, "calls": count}
            for (before, after), count in figures.moves.most_common(MOST_MOVES)
        ],
    }


def _templates(comparison: Comparison) -> list[dict[str, Any]]:
    found = [_wording(*key, wording, comparison) for key, wording in comparison.prompts.wordings.items()]
    return sorted(found, key=lambda each: (each["template"], *_place(each["old"]), *_place(each["new"])))


def _place(version: dict[str, Any] | None) -> tuple[int, str]:
    return (0, "") if version is None else (version["version"], version["hash"])


def _wording(
    name: str, old: Named | None, new: Named | None, wording: Wording, comparison: Comparison
) -> dict[str, Any]:
    sent, costs = wording.tokens, [spent.total(comparison.escalations) for spent in wording.spent]
    before, after = costs
    return {
        "template": name,
        "old": None if old is None else asdict(old),
        "new": None if new is None else asdict(new),
        "calls": wording.calls,
        "changed": wording.changed,
        "counted": wording.counted,
        "reworded": wording.reworded,
        "redacted": wording.redacted,
        "input_tokens": {**_pair(sent), "delta": sent[1] - sent[0]},
        "cost_usd": {
            "old": _usd(before),
            "new": _usd(after),
            "delta": None if before is None or after is None else _usd(after - before),
            "calls": wording.costed,
            "unpriced": wording.spent[1].unpriced,
        },
        "failures": [
            {"code": failed.code, "param": failed.param, **asdict(failure)}
            for failed, failure in wording.failures.items()
        ],
        "unjudged": dict(wording.unjudged),
    }


def _told(comparison: Comparison) -> Iterator[str]:
    yield from TOLD
    if any(each.changed for each in comparison.prompts.wordings.values()):
        yield from TOLD_OF_TEMPLATES
    for what, count in comparison.prompts.approximated.items():
        yield f"of {count} calls {what}"
    for side in (comparison.old, comparison.new):
        for what, count in side.approximated.items():
            yield f"under policy {side.snapshot.version}, in {count} decisions {what}"
    if comparison.given_up:
        yield f"the results of {comparison.given_up} trials came too late, and were not counted"
    if comparison.of_something_else:
        yield f"{comparison.of_something_else} trials were of something else by the same name, and were not counted"
    if comparison.out_of_order:
        yield f"{comparison.out_of_order} calls stand before earlier ones: budgets are told about"


def _pair(values: list[int]) -> dict[str, int]:
    return {"old": values[0], "new": values[1]}


def _usd(nano: int | None) -> str | None:
    return None if nano is None else usd(nano)
