"""The tables, as Markdown: absolute figures, ratios to llmgw, and targets beside what was reached."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.summary import Summary
from bench.targets import Target, ratio

NOTHING = "-"
TEN, HUNDRED = 10, 100


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    read: Callable[[Summary], float | None]
    comparable: bool = True


ROWS = (
    Row("0.5 KB, 64 at once: req/s", lambda summary: summary.rate_small),
    Row("0.5 KB: CPU µs per call", lambda summary: summary.cpu_small),
    Row("8 KB: req/s", lambda summary: summary.rate_medium),
    Row("8 KB: CPU µs per call", lambda summary: summary.cpu_medium),
    Row("100 KB: req/s", lambda summary: summary.rate_large),
    Row("100 KB: CPU µs per call", lambda summary: summary.cpu_large),
    Row("open loop: p50 ms", lambda summary: summary.p50, comparable=False),
    Row("open loop: p99 ms", lambda summary: summary.p99, comparable=False),
    Row("open loop: added p50 ms", lambda summary: summary.added_p50),
    Row("open loop: added p99 ms", lambda summary: summary.added_p99),
    Row("streams, unpaced: streams/s", lambda summary: summary.streams_per_second),
    Row("streams, unpaced: CPU µs per chunk", lambda summary: summary.cpu_chunk),
    Row("streams, 20 ms paced: CPU µs per chunk", lambda summary: summary.cpu_paced_chunk),
    Row("streams, 20 ms paced: TTFT p50 ms", lambda summary: summary.ttft, comparable=False),
    Row("streams, 20 ms paced: TTFT added p50 ms", lambda summary: summary.added_ttft),
    Row("RSS idle, MB", lambda summary: summary.life.idle_mb),
    Row("RSS after the rounds, MB", lambda summary: summary.life.after_mb),
    Row("cold start, process to first 200, s", lambda summary: summary.life.cold_start),
)


def absolute_table(summaries: Mapping[str, Summary]) -> str:
    """A column for each contender, and how many of its calls failed."""
    rows = [[row.name, *(figure(row.read(summary)) for summary in summaries.values())] for row in ROWS]
    errors = ["errors, of calls", *(f"{summary.errors:,} of {summary.calls:,}" for summary in summaries.values())]
    return table(["", *summaries], [*rows, errors])


def ratio_table(summaries: Mapping[str, Summary]) -> str:
    """Each contender's figure as a multiple of llmgw's; empty when llmgw was not measured."""
    ours = summaries.get("llmgw")
    if ours is None:
        return ""
    others = {name: summary for name, summary in summaries.items() if name not in ("llmgw", "direct")}
    rows = [
        [row.name, *(times(ratio(row.read(other), row.read(ours))) for other in others.values())]
        for row in ROWS
        if row.comparable
    ]
    return table(["÷ llmgw's", *others], rows)


def target_table(targets: Sequence[Target]) -> str:
    rows = [
        [row.name, goal(row.target, row.at_most), goal(row.moonshot, row.at_most), figure(row.reached), row.verdict]
        for row in targets
    ]
    return table(["llmgw", "target", "moonshot", "reached", "verdict"], rows) if rows else ""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its columns padded; the first is text, the others are numbers to the right."""
    widths = [max(len(line[column]) for line in (head, *rows)) for column in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(cells, widths) for cells in (head, rule, *rows))


def figure(value: float | None) -> str:
    """Three digits that matter, thousands with a comma."""
    if value is None:
        return NOTHING
    size = abs(value)
    return f"{value:,.{0 if size >= HUNDRED else 1 if size >= TEN else 2}f}"


def times(value: float | None) -> str:
    return NOTHING if value is None else f"{figure(value)}x"


def goal(value: float | None, at_most: bool) -> str:
    return NOTHING if value is None else f"{'≤' if at_most else '≥'} {figure(value)}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    padded = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]
    return f"| {' | '.join(padded)} |"
