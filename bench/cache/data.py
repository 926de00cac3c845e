"""Labelled questions from a folder of JSON lines: pairs, utterances of an intent, and pairs with clusters."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Pair:
    """`same`: one answer serves both. `kind` is the set's own word for what sort of pair it is."""

    a: str
    b: str
    same: bool
    kind: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of a stream; those with the same label have the same answer."""

    text: str
    label: str


@dataclass(frozen=True, slots=True)
class Data:
    """What a folder holds, by the names of its files. Where answers are labels, a right answer is known by itself."""

    pairs: dict[str, list[Pair]]
    intents: dict[str, list[Asked]]
    open_traffic: dict[str, list[Asked]]


def read(folder: Path) -> Data:
    """Files are told apart by their members: `text` and `label`; `a` and `b`, with clusters or without."""
    data = Data({}, {}, {})
    for path in sorted([*folder.glob("*.jsonl"), *folder.glob("*.jsonl.gz")]):
        rows = list(_rows(path))
        name = path.name.partition(".")[0]
        if not rows or not isinstance(rows[0], dict):
            continue
        if "text" in rows[0]:
            data.intents[name] = [Asked(row["text"], str(row["label"])) for row in rows]
        elif "a" in rows[0]:
            data.pairs[name] = [_pair(row) for row in rows]
            if "cluster_a" in rows[0]:
                data.open_traffic[name] = _stream(rows)
    return data


def _rows(path: Path) -> Iterator[Any]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def _pair(row: dict[str, Any]) -> Pair:
    if "entail" in row:
        return Pair(row["a"], row["b"], row["entail"] == "ENTAILMENT", row["entail"].lower())
    same = bool(row.get("label"))
    return Pair(row["a"], row["b"], same, row.get("cat") or ("same" if same else "other"))


def _stream(rows: list[dict[str, Any]]) -> list[Asked]:
    """Every question once."""
    seen: dict[str, str] = {}
    for row in rows:
        seen.setdefault(row["a"], row["cluster_a"])
        seen.setdefault(row["b"], row["cluster_b"])
    return [Asked(text, cluster) for text, cluster in seen.items()]
