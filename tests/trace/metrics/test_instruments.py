from __future__ import annotations

import re
from pathlib import Path

from gateway.trace.metrics.instrument import Instrument, Kind
from gateway.trace.metrics.instruments import INSTRUMENTS

DOCUMENT = Path(__file__).parents[3] / "docs" / "observability.md"
SAME = re.compile(r"\bthe same\b")
MOST = 8
"""Labels that one instrument may have: each multiplies the series."""


def documented() -> dict[str, tuple[str, str]]:
    """The kind and the cell with the labels, by name."""
    text = DOCUMENT.read_text().partition("\n## Metrics\n")[2]
    found = {}
    for line in text.splitlines():
        if line.startswith("| `") and line.count("|") == 3:
            _, names, labels, _ = line.split("|")
            for name in re.findall(r"`(\w+)`", names):
                kind = re.search(r"\b([CGH])\b", names[names.index(name) + len(name) :])
                assert kind is not None, line
                found[name] = kind[1], labels
    return found


def test_the_table_in_the_manual_is_the_table_in_the_code() -> None:
    table = documented()

    assert set(table) == set(INSTRUMENTS)
    before: tuple[str, ...] = ()
    for name, instrument in INSTRUMENTS.items():
        kind, cell = table[name]
        assert kind == instrument.kind.value, name
        assert labels_of(cell, before) == tuple(label.replace(".", "_") for label in instrument.labels), name
        before = before if SAME.search(cell) else labels_of(cell, ())


def labels_of(cell: str, same: tuple[str, ...]) -> tuple[str, ...]:
    """What a cell of the manual's table names; in brackets are values, and "without" takes away."""
    plain = re.sub(r"\([^)]*\)", "", cell)
    named = tuple(re.findall(r"`(\w+)`", plain))
    if not SAME.search(plain):
        return named
    if "without" in plain:
        return tuple(label for label in same if label not in named)
    return same + named


def test_no_instrument_has_a_label_that_a_client_may_choose() -> None:
    chosen_by_clients = {"user", "tag", "tags", "conversation", "id", "trace_id", "key", "key_id", "url.path"}

    for instrument in INSTRUMENTS.values():
        assert not chosen_by_clients & set(instrument.labels)
        assert len(instrument.labels) <= MOST


def test_names_and_units_follow_the_rules_of_prometheus_and_opentelemetry() -> None:
    endings = {Kind.COUNTER: "_total", Kind.HISTOGRAM: "_seconds"}
    for instrument in INSTRUMENTS.values():
        assert instrument.otlp.replace(".", "_") in instrument.name
        if instrument.unit in ("s", "{call}") and instrument.kind in endings:
            assert instrument.name.endswith(endings[instrument.kind])
        assert list(instrument.buckets) == sorted(set(instrument.buckets))
        assert bool(instrument.buckets) == (instrument.kind is Kind.HISTOGRAM)


def test_each_name_is_given_once() -> None:
    all_of_them: list[Instrument] = list(INSTRUMENTS.values())

    assert len({each.otlp for each in all_of_them}) == len(all_of_them)
