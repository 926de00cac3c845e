"""What is left of budgets, in Prometheus' text format; only of accounts that operators have named, so that series stay few."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.ingress.admin.balances import Row

CONTENT_TYPE = "text/plain; version=0.0.4"
_LEVELS = frozenset({"org", "team", "model"})


def budget_metrics(rows: Iterable[Row], *, crossed: int, overdrafts: int, refused: int) -> str:
    """`crossed`, `overdrafts` and `refused` are counts of this worker since its start."""
    lines = [
        "# HELP llmgw_budget_remaining_ratio Share of a budget or rate that is neither spent nor held.",
        "# TYPE llmgw_budget_remaining_ratio gauge",
        *_ratios(rows),
        *_counter("llmgw_budget_thresholds_total", "Shares of budgets that have been spent.", crossed),
        *_counter("llmgw_budget_overdrafts_total", "Calls that cost more than their cap allows.", overdrafts),
        *_counter("llmgw_budget_rejections_total", "Calls refused for a budget or a rate.", refused),
    ]
    return "\n".join(lines) + "\n"


def _ratios(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        limit, left = row["limit"], row["left"]
        if row["level"] in _LEVELS and isinstance(limit, int) and isinstance(left, int) and limit:
            labels = ",".join(f'{name}="{_escaped(str(row[name]))}"' for name in ("level", "subject", "unit", "window"))
            yield f"llmgw_budget_remaining_ratio{{{labels}}} {left / limit:.6g}"


def _counter(name: str, help: str, value: int) -> tuple[str, ...]:
    return f"# HELP {name} {help}", f"# TYPE {name} counter", f"{name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
