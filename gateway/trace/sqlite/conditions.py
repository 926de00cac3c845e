"""A search in SQL. Values are bound, never written into the text."""

from __future__ import annotations

from gateway.trace.reading.search import Search
from gateway.trace.sqlite.entry import folded, tag_part

_TEXT = "(instr(text, ?) OR EXISTS(SELECT 1 FROM contents c WHERE c.seq = calls.seq AND instr(c.text, ?)))"


def conditions(search: Search, *, by_seq: bool = False) -> tuple[list[str], list[object]]:
    """Conditions on `calls`, and their values. `by_seq`: few rows are in question, so that no other index is to be used."""
    plus = "+" if by_seq else ""
    where: list[str] = []
    values: list[object] = []

    def ask(condition: str, *bound: object) -> None:
        where.append(condition)
        values.extend(bound)

    for name, value in search.equal.items():
        ask(f"{plus}{name} = ?", value)
    bounds = (
        ("at >= ?", search.since),
        ("at < ?", search.until),
        ("cost_nano_usd >= ?", search.min_cost),
        ("cost_nano_usd <= ?", search.max_cost),
        ("duration_ms >= ?", search.min_ms),
        ("duration_ms <= ?", search.max_ms),
    )
    for condition, bound in bounds:
        if bound is not None:
            ask(plus + condition, bound)
    if search.status is not None:
        ask(f"{plus}status BETWEEN ? AND ?", *search.status)
    if search.stream is not None:
        ask("stream = ?", search.stream)
    if search.tag is not None:
        ask("instr(tags, ?)", tag_part(search.tag))
    if search.text is not None:
        ask(_TEXT, folded(search.text), folded(search.text))
    return where, values
