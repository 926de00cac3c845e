"""Whether what a policy promises of recorded traffic is kept. What is not known is not kept, and is told by that word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.policy.sections.replays import Promise
from gateway.replay.comparison import Comparison
from gateway.replay.figures import Figures


def judged(comparison: Comparison, total: Figures) -> list[dict[str, Any]]:
    """Each promise of the new policy with `kept`: true, false, or null where that is unknown, and `found`, in words."""
    return [
        {"place": str(promise.place), "promise": said, "kept": kept, "found": found}
        for promise in comparison.new.snapshot.promises
        for said, kept, found in _all(promise, comparison, total)
    ]


def are_kept(document: Mapping[str, Any]) -> bool:
    return all(each["kept"] is True for each in document["promises"])


def _all(promise: Promise, comparison: Comparison, total: Figures) -> Iterator[tuple[str, bool | None, str]]:
    if promise.cost is not None:
        yield (f"cost <= {_percent(promise.cost)}", *_cost(promise.cost, comparison, total))
    if promise.loss_upper_95 is not None:
        yield (f"loss_upper_95 <= {_percent(promise.loss_upper_95)}", *_loss(promise.loss_upper_95, comparison))
    if promise.labelled is not None:
        least, is_each = promise.labelled
        yield (f"labelled >= {least}{' per route' if is_each else ''}", *_labelled(promise.labelled, comparison, total))


def _cost(most: float, comparison: Comparison, total: Figures) -> tuple[bool | None, str]:
    if total.unknown:
        return None, f"unknown: {total.unknown.total()} calls could not be decided about"
    if comparison.prompts.unjudged:
        return None, f"unknown: {comparison.prompts.unjudged} calls get another prompt, and how long it is is not known"
    old, new = [spent.total(comparison.escalations) for spent in total.spent]
    if old is None or new is None:
        return None, "unknown: not every call has a known price"
    if not old:
        return (None, "unknown: the calls cost nothing before") if not new else (False, "they cost nothing before")
    return new <= most * old, _percent(new / old)


def _loss(most: float, comparison: Comparison) -> tuple[bool | None, str]:
    """The worst route; an unknown one spoils what the others keep, and not what they break."""
    if not comparison.calls:
        return None, "unknown: there are no calls"
    worst, worst_name, unknown = 0.0, "", []
    for name, figures in sorted(comparison.routes.items()):
        loss = figures.loss()
        if loss is None or figures.unknown:
            unknown.append(shown(name))
        elif loss.upper_95 > worst:
            worst, worst_name = loss.upper_95, f" on {shown(name)}"
    if worst > most:
        return False, f"{_percent(worst)}{worst_name}"
    if unknown:
        return None, f"unknown on {', '.join(unknown)}"
    return True, f"{_percent(worst)}{worst_name}"


def _labelled(least: tuple[int, bool], comparison: Comparison, total: Figures) -> tuple[bool | None, str]:
    number, is_each = least
    if not is_each:
        return total.labelled >= number, str(total.labelled)
    moved = {name: each.labelled for name, each in sorted(comparison.routes.items()) if each.moved}
    if not moved:
        return (True, "nobody else would answer") if comparison.calls else (None, "unknown: there are no calls")
    fewest = min(moved, key=lambda name: moved[name])
    return moved[fewest] >= number, f"{moved[fewest]} on {shown(fewest)}"


def shown(route: str | None) -> str:
    return route or "(no route)"


def _percent(share: float) -> str:
    return f"{100 * share:.4g}%"
