"""How fast recorded calls are decided about again, with 100,000 of them: `python -m bench.replay [CALLS]`."""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson

from gateway.policy.compile import rehearse
from gateway.policy.snapshot import Snapshot
from gateway.replay.comparison import Comparison
from gateway.replay.report import document
from gateway.replay.table import table
from gateway.replay.traffic import from_file

CALLS = 100_000
AT = 1_795_500_000.0
POLICY = """
version: 1
providers: {acme: {dialect: openai, base_url: "https://acme.example", key: k}}
models:
  strong: {use: acme/strong, price: {in: 2.5, out: 10}}
  cheap: {use: [{acme/cheap: {weight: 9}}, {acme/small: {weight: 1}}], price: {in: 0.15, out: 0.6}}
  second: {use: acme/second, price: {in: 0.1, out: 0.4}}
policies:
  checked: {try: cheap, escalate_to: strong, when: [truncated, {disagrees_with: second, on: json}]}
tenants:
  llmgw: {}
  acme:
    budget: [{usd: 400, per: day}, {tokens: 900M, per: 24h}]
    users: {budget: [{usd: 5, per: day}]}
routes:
  - {name: legal, match: {tags: [legal]}, model: strong}
  - {name: apps, match: {headers: {x-app: "mobile-*"}}, model: cheap}
  - {name: short, match: {model: auto, tokens_in: "< 400", has_not: [tools]}, model: cheap}
  - {name: invoices, match: {key: "billing-*", has: [json_schema]}, model: strong, candidates: [cheap, checked]}
  - {name: night, match: {model: auto, time: "22:00-06:00 Europe/Berlin"}, model: strong, canary: {model: cheap, share: 10%}}
  - {name: rest, match: {model: auto}, MODEL}
"""
OLD, NEW = POLICY.replace("MODEL", "model: strong, candidates: [cheap]"), POLICY.replace("MODEL", "model: cheap")


def main(calls: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        old, new = _compiled(folder / "old", OLD), _compiled(folder / "new", NEW)
        file = folder / "calls.jsonl"
        with file.open("wb") as out:
            for number in range(calls):
                out.writelines(_lines(number, old, random.Random(number)))
        print(f"{calls:,} calls, {file.stat().st_size / 1e6:.0f} MB")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began, cpu = time.perf_counter(), time.process_time()
        comparison = Comparison(old, new)
        for line in from_file(file):
            comparison.take(line)
        report = document(comparison)
        took, used = time.perf_counter() - began, time.process_time() - cpu
        more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(*table(report), sep="\n")
        print(f"{took:.1f} s ({used:.1f} s of one core, {used / calls * 1e6:.0f} µs a call), {more:.0f} MB more memory")


def _compiled(folder: Path, text: str) -> Snapshot:
    folder.mkdir()
    (folder / "policy.yaml").write_text(text)
    return rehearse(folder, {})[0]


def _lines(number: int, policy: Snapshot, chance: random.Random) -> list[bytes]:
    """A call as a gateway under the old policy would have recorded it, or about, and what came of its trial."""
    tokens = round(chance.expovariate(1 / 900)) + 5
    billing = chance.random() < 0.2
    has = ["json_schema"] if billing else ["tools"] if chance.random() < 0.1 else []
    probability = 0.25
    is_drawn = chance.random() < probability
    trials = [{"asks": "cheap", "of": "cheap", "probability": probability}] if is_drawn else []
    standing = {"name": "cheap", "standing": "uncertified", "skipped": "uncertified"}
    row: dict[str, Any] = {
        "id": f"req_{number:016x}",
        "at": AT + number * 6.0,
        "trace_id": f"{number:032x}",
        "status": 200,
        "outcome": "upstream",
        "org": "acme",
        "team": None,
        "tenant": "acme",
        "key_id": f"k{number % 50}",
        "key_name": f"billing-{number % 5}" if billing else f"app-{number % 45}",
        "user": f"user-{chance.randrange(5000)}",
        "operation": "chat",
        "model": "auto",
        "stream": chance.random() < 0.5,
        "tags": ["legal"] if chance.random() < 0.05 else ["web"],
        "policy": policy.version,
        "route": "invoices" if billing else "rest",
        "reason": "reference",
        "decision": {"candidates": [standing], "candidate": None, "offered": {"cheap": probability}, "trials": trials},
        "basis": {
            "has": has,
            "tokens_in": tokens,
            "headers": {"x-app": "mobile-ios" if chance.random() < 0.1 else None},
            "conversation": f"{chance.getrandbits(128):032x}",
            "is_new": True,
        },
        "cache": "hit" if chance.random() < 0.1 else "miss",
        "cache_kind": "exact",
        "saved_nano_usd": tokens * 2500,
        "input_tokens": tokens,
        "output_tokens": round(chance.expovariate(1 / 200)) + 1,
        "cached_tokens": 0,
        "stages": [{"name": "auth", "started_ms": 0.0, "duration_ms": 0.1}, {"name": "route", "started_ms": 0.2}],
        "attempts": [{"number": 1, "deployment": "acme/strong", "status": 200, "detail": "x" * 400}],
    }
    lines = [orjson.dumps(row) + b"\n"]
    if is_drawn:
        told = {
            "request_id": row["id"],
            "route": row["route"],
            "candidate": "cheap",
            "asked": "cheap",
            "is_audit": False,
            "probability": probability,
            "reference_quality": 1.0,
            "candidate_quality": float(chance.random() < 0.97),
            "reason": None,
            "candidate_is": "acme/cheap+acme/small",
            "reference_is": "acme/strong",
        }
        lines.append(orjson.dumps({"id": f"trial_{number}", "at": row["at"] + 3, "trial": told}) + b"\n")
    return lines


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else CALLS)
