"""What the cache did is counted from the records of calls."""

from __future__ import annotations

import pytest

from gateway.trace.sqlite import caching
from tests.trace.stored import NOON, File, line


def test_hits_misses_and_savings_are_told_by_route_and_over_time(file: File) -> None:
    saved = {"saved_nano_usd": 1000, "saved_ms": 250.5}
    file.writer.write(
        [
            line("1", cache="hit", cache_kind="exact", **saved),
            line("2", cache="hit", cache_kind="exact", at=NOON + 61, **saved),
            line("3", cache="hit", cache_kind="joined", route="chat", saved_nano_usd=None, saved_ms=1.0),
            line("4", cache="semantic-hit", cache_kind="semantic", route="chat", **saved),
            line("5", cache="hit", cache_kind="replay", route=None),
            line("6", cache="miss", cache_reason="new"),
            line("7", cache="miss", cache_reason="new"),
            line("8", cache="miss", cache_reason="purged", route="chat"),
            line("9", cache="bypass", cache_reason="no_rule"),
            line("10", cache=None, cache_reason=None),
            line("11", cache="hit", at=NOON + 3600),
        ]
    )

    figures = file.reader.cache(since=int(NOON), until=int(NOON) + 3600, step=60)

    total = figures["total"]
    assert total["calls"] == 9
    assert total["hits"] == {"exact": 2, "semantic": 1, "joined": 1, "replay": 1}
    assert (total["misses"], total["bypasses"]) == ({"new": 2, "purged": 1}, {"no_rule": 1})
    assert (total["saved_nano_usd"], total["saved_ms"]) == (3000, 752.5)
    assert [(each["route"], each["calls"]) for each in figures["routes"]] == [("rest", 5), ("chat", 3), (None, 1)]
    assert figures["routes"][1]["hits"]["semantic"] == 1
    assert [(point["at"], point["hits"]["exact"]) for point in figures["points"]] == [(NOON, 1), (NOON + 60, 1)]
    assert [(point["at"], point["calls"]) for point in figures["routes"][0]["points"]] == [(NOON, 4), (NOON + 60, 1)]
    assert figures["is_complete"]


def test_records_of_before_that_say_less_are_counted_as_far_as_they_go(file: File) -> None:
    file.writer.write([line("1", cache="hit"), line("2", cache="semantic-hit"), line("3", cache="bypass")])

    total = file.reader.cache(since=int(NOON), until=int(NOON) + 60, step=60)["total"]

    assert total["hits"] == {"exact": 1, "semantic": 1, "joined": 0, "replay": 0}
    assert total["bypasses"] == {"unknown": 1}
    assert (total["saved_nano_usd"], total["saved_ms"]) == (0, 0.0)


def test_of_too_many_records_the_latest_are_counted_and_it_is_said(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "MOST", 3)
    file.writer.write([line(str(number), cache="miss", at=NOON + number) for number in range(5)])

    figures = file.reader.cache(since=int(NOON), until=int(NOON) + 60, step=60)

    assert (figures["total"]["calls"], figures["is_complete"]) == (3, False)
