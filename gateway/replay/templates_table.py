"""The part of a report that is about templates, as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

HEAD = ("template", "calls", "changed", "reworded", "input tokens", "input and output cost", "fail", "unknown")


def row(figures: Mapping[str, Any]) -> Sequence[str]:
    """`calls` had the first version, and would get the second."""
    return (
        f"{figures['template']}{_version(figures['old'])} -> {_version(figures['new'])}",
        str(figures["calls"]),
        str(figures["changed"]),
        str(figures["reworded"]),
        _tokens(figures),
        _cost(figures),
        str(sum(each["calls"] for each in figures["failures"])),
        str(sum(figures["unjudged"].values())),
    )


def notes(figures: Mapping[str, Any]) -> Iterator[str]:
    """What the row has no room for."""
    name = figures["template"]
    for each in figures["failures"]:
        shown = ", ".join(each["examples"])
        yield f"{name}: {each['calls']} calls would be refused, {each['code']}: {each['message']} (such as {shown})"
    for why, count in figures["unjudged"].items():
        yield f"{name}: {count} calls could not be judged: the records do not have {why}"
    if figures["redacted"]:
        yield f"{name}: of {figures['redacted']} calls something in the variables was redacted, and counted as it is now"
    if (left := figures["counted"] - figures["cost_usd"]["calls"]) > 0:
        yield f"{name}: {left} calls are not in the cost: nobody answers them, or a kept answer did"


def _version(version: Mapping[str, Any] | None) -> str:
    return "(none)" if version is None else f"@{version['version']} {version['hash'][:6]}"


def _tokens(figures: Mapping[str, Any]) -> str:
    sent = figures["input_tokens"]
    return f"{sent['old']} -> {sent['new']} ({sent['delta']:+})" if figures["counted"] else "-"


def _cost(figures: Mapping[str, Any]) -> str:
    cost = figures["cost_usd"]
    if not cost["calls"]:
        return "-"
    if cost["delta"] is None:
        return "unknown"
    return f"{float(cost['old']):.6g} -> {float(cost['new']):.6g} USD ({float(cost['delta']):+.6g})"
