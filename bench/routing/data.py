"""Graded answers from a file of JSON lines, plain or gzipped: one row for each prompt and pair of a strong and a weak model."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt and one pair of models; the members are the file's."""

    id: str
    dataset: str
    family: str
    route: str
    prompt: str
    strong: str
    weak: str
    q_strong: float
    q_weak: float
    metric: str = "exact"
    strong_ans: str | None = None
    weak_ans: str | None = None
    strong_chars: int | None = None
    weak_chars: int | None = None
    weak_json_ok: bool | None = None
    weak_out: str | None = None
    aux_ans: Mapping[str, str | None] = field(default_factory=dict)


def read(path: Path) -> list[Row]:
    """Members that are not known are passed over."""
    known = {member.name for member in fields(Row)}
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [Row(**{name: value for name, value in row.items() if name in known}) for row in rows]
