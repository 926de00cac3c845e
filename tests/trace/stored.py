"""Records as calls leave them, made up for tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from gateway.trace.reading.search import search_of
from gateway.trace.reading.statistics import question_of
from gateway.trace.retention import Retention
from gateway.trace.sink import Line
from gateway.trace.sqlite.reader import Reader
from gateway.trace.sqlite.schema import FILE
from gateway.trace.sqlite.writer import Writer

NOON = 1_800_014_400.0
"""A full hour, in UTC seconds."""


def row(id: str, **fields: Any) -> dict[str, Any]:
    """A call that was answered."""
    return {
        "id": id,
        "at": NOON,
        "trace_id": "1" * 32,
        "span_id": f"span of {id}",
        "status": 200,
        "outcome": "upstream",
        "error_code": None,
        "error": None,
        "org": "acme",
        "team": "search",
        "tenant": "acme/search",
        "key_id": "key-1",
        "user": None,
        "model": "gpt-4o",
        "stream": False,
        "tags": [],
        "conversation": None,
        "route": "rest",
        "cache": "bypass",
        "deployment": "openai/gpt-4o",
        "provider": "openai",
        "input_tokens": 10,
        "output_tokens": 5,
        "cached_tokens": 0,
        "cost_nano_usd": 1000,
        "saved_nano_usd": None,
        "duration_ms": 100.0,
        "first_byte_ms": 20.0,
        "attempts": [],
        **fields,
    }


def line(id: str, **fields: Any) -> Line:
    made = row(id, **fields)
    return Line(made, orjson.dumps(made))


class File:
    """A call file, and what is asked of it."""

    def __init__(
        self, folder: Path, *, retention: Retention | None = None, now: Callable[[], float] = lambda: NOON
    ) -> None:
        self.path = folder / FILE
        self.writer = Writer(self.path, retention or Retention(), now=now)
        self.reader = Reader(self.path)

    def ids(self, **query: str) -> list[str]:
        return [str(each["id"]) for each in self.reader.latest(search_of(query, now=NOON), limit=1000).records]

    def statistics(self, **query: str) -> list[dict[str, Any]]:
        asked = {"since": str(NOON), "until": str(NOON + 3600), **query}
        return self.reader.statistics(question_of(asked, now=NOON))

    def totals(self, name: str, **query: str) -> dict[tuple[str, ...], Any]:
        """One figure of each group."""
        return {tuple(group["by"].values()): group["total"][name] for group in self.statistics(**query)}

    def close(self) -> None:
        self.writer.close()
        self.reader.close()
