"""Policies and records to replay, each figure of which is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from gateway.policy.compile import rehearse
from gateway.policy.snapshot import Snapshot
from tests.trace.rows import row

AT = 1_795_500_000.0
MODELS = """
version: 1
providers: {acme: {dialect: openai, base_url: "https://acme.example", key: k}}
models:
  strong: {use: acme/strong, price: {in: 10, out: 40}}
  cheap: {use: acme/cheap, price: {in: 1, out: 4}}
  free: {use: acme/unheard-of}
  small: {use: acme/small, context: 500, price: {in: 1, out: 1}}
"""
PLAIN = "routes:\n  - {name: all, match: {model: auto}, model: strong}\n"
TRIED = "routes:\n  - {name: all, match: {model: auto}, model: strong, candidates: [cheap]}\n"


def snapshot(folder: Path, more: str, name: str = "policy") -> Snapshot:
    """The policy of MODELS and what is said besides."""
    own = folder / name
    own.mkdir(parents=True, exist_ok=True)
    (own / "policy.yaml").write_text(MODELS + more)
    return rehearse(own, {})[0]


def call(number: int, policy: Snapshot | None = None, **changes: Any) -> bytes:
    """A call of 1000 tokens in and 100 out, the `number`th, a second after the one before."""
    basis: dict[str, Any] = {"has": [], "tokens_in": None, "headers": {}, "conversation": f"c{number}", "is_new": True}
    made = {
        "id": f"req_{number}",
        "at": AT + number,
        "policy": "" if policy is None else policy.version,
        "route": "all",
        "reason": "rule",
        "input_tokens": 1000,
        "output_tokens": 100,
        "basis": basis | changes.pop("basis", {}),
        **changes,
    }
    return orjson.dumps(row(**made))


def tried(number: int, policy: Snapshot | None, probability: float, *, is_drawn: bool, **changes: Any) -> bytes:
    """A call that the reference answered, and `cheap` might have been tried on."""
    decision: dict[str, Any] = {
        "candidates": [{"name": "cheap", "standing": "uncertified", "skipped": "uncertified"}],
        "candidate": None,
        "offered": {"cheap": probability},
    }
    if is_drawn:
        decision["trials"] = [{"asks": "cheap", "of": "cheap", "probability": probability}]
    return call(number, policy, reason="reference", decision=decision, **changes)


def result(number: int, probability: float, quality: float | None, **changes: Any) -> bytes:
    """What came of trying `cheap` on the `number`th call."""
    told = {
        "request_id": f"req_{number}",
        "route": "all",
        "candidate": "cheap",
        "asked": "cheap",
        "is_audit": False,
        "probability": probability,
        "reference_quality": None if quality is None else 1.0,
        "candidate_quality": quality,
        "reason": None,
        "candidate_is": "acme/cheap",
        "reference_is": "acme/strong",
        **changes,
    }
    return orjson.dumps({"id": f"trial_{number}", "at": AT + number + 0.5, "operation": "trial", "trial": told})
