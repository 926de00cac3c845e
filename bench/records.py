"""How fast call records are written, found and summed up, with 100,000 of them: `python -m bench.records [FOLDER]`."""

from __future__ import annotations

import math
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from gateway.trace.reading.search import search_of
from gateway.trace.reading.statistics import question_of
from gateway.trace.record import Record
from gateway.trace.retention import Retention
from gateway.trace.sink import Line
from gateway.trace.spool.files import open_spool
from gateway.trace.spool.under_way import UnderWay
from gateway.trace.sqlite.reader import Reader
from gateway.trace.sqlite.rollup import roll_up
from gateway.trace.sqlite.schema import FILE, begun, open_file
from gateway.trace.sqlite.writer import Writer

CALLS = 100_000
BATCH = 500
NOW = 1_800_000_000.0


def main(folder: Path) -> None:
    chance = random.Random(7)
    spooled(folder, [line(number, 3600.0, 10, chance).json + b"\n" for number in range(10_000)])
    for name, seconds, keys in (("an hour", 3600.0, 10), ("an hour", 3600.0, 200), ("seven days", 7 * 86400.0, 10)):
        path = folder / f"{seconds} {keys}" / FILE
        print(f"\n{CALLS:,} calls of {name}, of {keys} keys")
        lines = [line(number, seconds, keys, chance) for number in range(CALLS)]
        print(f"  a record has {sum(len(each.json) for each in lines) / CALLS:,.0f} bytes")
        write(path, lines)
        ask(path, seconds)


def spooled(folder: Path, lines: list[bytes]) -> None:
    """What the spool adds to each call on the event loop."""
    spool = open_spool(folder, "bench")
    for together in (1, 10):
        began = time.perf_counter()
        for at in range(0, len(lines), together):
            spool.append(b"".join(lines[at : at + together]), together)
            if at % 200 == 0:
                spool.turn(appended=at + together, settled=at + together, dropped=0)
        took = (time.perf_counter() - began) / len(lines)
        print(f"spool: {took * 1e6:.1f} µs a call, where {together} end in one turn of the event loop")
    calls = [Record.__new__(Record) for _ in lines]
    for each in calls:
        each.received = math.inf
    under_way = UnderWay()
    began = time.perf_counter()
    for each in calls:
        under_way.begin(each)
        under_way.end(each)
    print(f"spool: {(time.perf_counter() - began) / len(lines) * 1e6:.1f} µs a call to know what is under way")
    spool.close(settled=True)


def write(path: Path, lines: list[Line]) -> None:
    writer = Writer(path, Retention(), now=lambda: NOW)
    began, used = time.monotonic(), time.thread_time()
    for at in range(0, CALLS, BATCH):
        writer.write(lines[at : at + BATCH])
    took = time.monotonic() - began
    print(
        f"  written in batches of {BATCH}: {took / CALLS * 1e6:.0f} µs a call ({time.thread_time() - used:.1f} s of CPU)"
    )
    began = time.monotonic()
    for each in lines[:100]:
        writer.write([Line(each.row | {"id": each.row["id"] + "x"}, each.json)])
    print(f"  written one by one: {(time.monotonic() - began) / 100 * 1e6:.0f} µs a call")
    writer.close()
    connection = open_file(path)
    began, used = time.monotonic(), time.thread_time()
    steps = 1
    with begun(connection):
        while roll_up(connection):
            steps += 1
    took, used = time.monotonic() - began, time.thread_time() - used
    print(f"  rolled up in {steps} steps: {took / CALLS * 1e6:.0f} µs a call ({used:.1f} s of CPU)")
    connection.close()
    print(f"  file: {path.stat().st_size / 1e6:.0f} MB")


def ask(path: Path, seconds: float) -> None:
    reader = Reader(path)
    for query in QUERIES:
        search = search_of(query, now=NOW)
        page = reader.latest(search, limit=50)
        timed(f"calls {query or 'all'}: {len(page.lines)}", lambda s=search: reader.latest(s, limit=50))  # type: ignore[misc]
    half = search_of({"since": str(NOW - seconds / 2), "tag": "tag-3", "model": "model-1"}, now=NOW)
    timed("calls of half the time by tag and model", lambda: reader.latest(half, limit=50))
    timed("one call", lambda: reader.find("req_5000"))
    timed("errors", lambda: reader.errors(since=0, until=2 * NOW))
    timed("deployments' figures", lambda: reader.attempts(since=NOW - seconds, until=NOW))
    for by in ("", "model", "org,team,model", "key_id", "tag", "key_id,model,deployment,outcome"):
        for step in ({}, {"step": "60"}) if seconds <= 3600 else ({}, {"step": "600"}):
            question = question_of({"by": by, "since": str(NOW - seconds), "until": str(NOW), **step}, now=NOW)
            timed(f"statistics by {by or 'nothing'} {step}", lambda q=question: reader.statistics(q))  # type: ignore[misc]


QUERIES: tuple[dict[str, str], ...] = (
    {},
    {"model": "model-1"},
    {"user": "user-77"},
    {"key_id": "key-3", "status": "4xx"},
    {"status": "500"},
    {"outcome": "nothing"},
    {"outcome": "upstream", "org": "org-1", "min_ms": "60000"},
    {"min_cost_usd": "0.9"},
    {"tag": "tag-3"},
    {"tag": "nothing"},
    {"text": "resets by peer"},
    {"text": "found nowhere"},
    {"cache": "bypass", "stream": "true", "provider": "provider-1", "max_ms": "1"},
)


def timed(what: str, work: Callable[[], object]) -> None:
    best = min(_took(work) for _ in range(5))
    print(f"  {best * 1000:8.2f} ms  {what}")


def _took(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def line(number: int, seconds: float, keys: int, chance: random.Random) -> Line:
    """A record as calls leave it, of one of so many keys, and of models that are half as many, but at most 20."""
    key, model = int(keys * chance.random() ** 2), int(min(20, keys / 2) * chance.random() ** 2)
    deployment = f"provider-{model % 4}/upstream-{model % 8}"
    failed = chance.random() < 0.05
    duration = chance.lognormvariate(7, 1)
    attempt = {"number": 1, "deployment": deployment, "provider": f"provider-{model % 4}", "reason": "primary"}
    attempt |= {"status": 500 if failed else 200, "error": "upstream_500" if failed else None, "detail": None}
    attempt |= {
        "started_ms": 1.234,
        "duration_ms": duration - 2,
        "first_byte_ms": duration / 4,
        "upstream_request_id": "abc",
    }
    stages = [
        {"name": name, "started_ms": 0.123, "duration_ms": 0.456}
        for name in ("auth", "budget", "cache", "route", "meter")
    ]
    row: dict[str, Any] = {
        "id": f"req_{number}",
        "at": NOW - seconds + number * seconds / CALLS,
        "trace_id": f"{chance.getrandbits(128):032x}",
        "span_id": f"{chance.getrandbits(64):016x}",
        "status": 502 if failed else 200,
        "outcome": "upstream_error" if failed else "upstream",
        "error_code": "upstream_reset" if failed else None,
        "error": "The connection was reset by the peer" if failed else None,
        "org": f"org-{key % 10}",
        "team": f"team-{key % 30}",
        "tenant": f"org-{key % 10}/team-{key % 30}",
        "key_id": f"key-{key}",
        "key_name": f"the name of key {key}",
        "user": f"user-{chance.randrange(1000)}",
        "method": "POST",
        "path": "/v1/chat/completions",
        "operation": "chat",
        "model": f"model-{model}",
        "stream": number % 2 == 0,
        "tags": [f"tag-{model}", "production"],
        "conversation": f"conversation-{number // 5}",
        "parameters": {"temperature": 0.2, "max_tokens": 100},
        "policy": "0123456789abcdef",
        "route": "rest",
        "reason": "first match",
        "cache": "bypass",
        "deployment": deployment,
        "provider": f"provider-{model % 4}",
        "upstream_model": f"upstream-{model % 8}",
        "input_tokens": chance.randrange(4000),
        "output_tokens": chance.randrange(1000),
        "cached_tokens": 0,
        "cost_nano_usd": chance.randrange(1_000_000_000),
        "duration_ms": round(duration, 3),
        "first_byte_ms": round(duration / 4, 3),
        "overhead_ms": 0.4,
        "stages": stages,
        "attempts": [attempt],
    }
    return Line(row, orjson.dumps(row))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
