"""A report as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from gateway.replay import templates_table
from gateway.replay.promised import shown

UNKNOWN = "unknown"
_HEAD = (
    "route",
    "calls",
    "changed",
    "cost",
    "refused",
    "over budget",
    "hits lost",
    "too long",
    "quality lost (95 %)",
    "labelled",
)
_MOST_CHANGES = 5


def table(document: Mapping[str, Any]) -> Iterator[str]:
    """Its lines. Records hold what clients wrote: what a terminal would obey is left out."""
    return ("".join([each if each.isprintable() else "?" for each in line]) for line in _lines(document))


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    yield from _traffic(document)
    yield ""
    rows = [_row(shown(each["route"]), each) for each in document["routes"]]
    rows.append(_row("total", document["total"]))
    yield from _aligned([_HEAD, *rows])
    changes = [f"  {each['calls']:>9}  {each['old']} -> {each['new']}" for each in document["total"]["changes"]]
    if changes:
        yield ""
        yield "changes"
        yield from changes[:_MOST_CHANGES]
        if len(changes) > _MOST_CHANGES:
            yield f"  and {len(changes) - _MOST_CHANGES} more, which --json tells"
    reasons = document["total"]["unknown"]
    for reason, count in reasons.items():
        yield f"{UNKNOWN}: {count} calls, of which the records do not have {reason}"
    if document["templates"]:
        yield ""
        yield from _aligned([templates_table.HEAD, *map(templates_table.row, document["templates"])])
        for each in document["templates"]:
            yield from templates_table.notes(each)
    if document["promises"]:
        yield ""
    for each in document["promises"]:
        verdict = {True: "kept", False: "BROKEN", None: "UNKNOWN"}[each["kept"]]
        yield f"{verdict:8}{each['promise']}: {each['found']}  ({each['place']})"
    yield ""
    yield from (f"note: {each}" for each in document["told"])


def _traffic(document: Mapping[str, Any]) -> Iterator[str]:
    traffic, old = document["traffic"], document["old_policy"]
    yield f"policy {document['old']} -> {document['new']}"
    span = "" if traffic["since"] is None else f", {_time(traffic['since'])} to {_time(traffic['until'])}"
    yield f"{traffic['calls']} calls{span}; {old['agreed']} of them decided as they were then"
    if old["of_another_policy"]:
        yield f"{old['of_another_policy']} were decided under another policy than {document['old']}"
    for why, count in traffic["left_out"].items():
        yield f"left out: {count}, {why}"
    if traffic["bad_lines"]:
        yield f"{traffic['bad_lines']} lines are no records; the first is {traffic['first_bad']}"


def _row(name: str, figures: Mapping[str, Any]) -> Sequence[str]:
    return (
        name,
        str(figures["calls"] + sum(figures["unknown"].values())),
        f"{figures['changed']} ({_share(figures['changed'], figures['calls'])})",
        _cost(figures["cost_usd"]),
        _both(figures["refused"]),
        _both(figures["over_budget"]),
        f"{figures['lost_hits']}/{figures['hits']}",
        _both(figures["too_long"]),
        _loss(figures),
        f"{figures['labelled']} ({_share(figures['labelled'], figures['answered_otherwise'])})",
    )


def _cost(cost: Mapping[str, Any]) -> str:
    old, new = cost["old"], cost["new"]
    if old is None or new is None:
        return UNKNOWN
    change = f" ({100 * (float(new) / float(old) - 1):+.1f} %)" if float(old) else ""
    return f"{float(old):.6g} -> {float(new):.6g} USD{change}"


def _loss(figures: Mapping[str, Any]) -> str:
    loss = figures["loss"]
    if not figures["answered_otherwise"]:
        return "none"
    if loss is None:
        return UNKNOWN
    return f"{_signed(loss['estimate'])} [{_signed(loss['lower_95'])}, {_signed(loss['upper_95'])}]"


def _both(pair: Mapping[str, int]) -> str:
    return f"{pair['old']} -> {pair['new']}"


def _signed(share: float) -> str:
    return f"{100 * share:.1f} %"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        yield "  ".join(cells).rstrip()
