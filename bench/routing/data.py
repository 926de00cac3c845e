"""Graded answers from a file of JSON lines, plain or gzipped: one row for each prompt and pair of a strong and a weak model.

A row has `id`, `dataset`, `family`, `route` ("app/category": what a gateway knows without the prompt), `prompt`, `strong`,
`weak` (names of models), `q_strong`, `q_weak` (quality, 0 to 1), `metric`; and perhaps `strong_ans`, `weak_ans` (the answers,
read out), `strong_chars`, `weak_chars` (their length), `weak_json_ok`, `weak_out` (the whole answer) and `aux_ans` (answers of
other cheap models, by their names).
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$|-\d{8}$|-\d{3}$")
_MINOR = re.compile(r"(?<=llama-3)[._]1")


class BadFile(Exception):
    """Says what is wrong with the file, and in which line."""


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

    @property
    def app(self) -> str:
        """Whose traffic it is."""
        return self.route.partition("/")[0]

    @property
    def pair(self) -> str:
        """Both models, without dates and minor versions: evaluations of one pair were made months apart."""
        return f"{_undated(self.strong)} / {_undated(self.weak)}"

    @property
    def loss(self) -> float:
        return self.q_strong - self.q_weak


def read(path: Path) -> list[Row]:
    """Raises BadFile. Members that are not known are passed over."""
    rows = [_row(path, number, values) for number, values in _lines(path)]
    if not rows:
        raise BadFile(f"{path.name} is empty")
    return rows


def by_pair(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """In the order of the pairs' names."""
    pairs: dict[str, list[Row]] = {}
    for row in rows:
        pairs.setdefault(row.pair, []).append(row)
    return dict(sorted(pairs.items()))


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    number = 0
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                yield number, json.loads(line)
    except (OSError, EOFError, zlib.error, ValueError) as wrong:
        raise BadFile(f"{path.name}, after line {number}: {wrong}") from wrong


def _row(path: Path, number: int, values: Any) -> Row:
    if not isinstance(values, dict):
        raise BadFile(f"{path.name}, line {number}: a row is a JSON object")
    try:
        row = Row(**{name: value for name, value in values.items() if name in _MEMBERS})
    except TypeError as wrong:
        raise BadFile(f"{path.name}, line {number}: {wrong}") from None
    if not all(isinstance(quality, int | float) and 0 <= quality <= 1 for quality in (row.q_strong, row.q_weak)):
        raise BadFile(f"{path.name}, line {number}: q_strong and q_weak are numbers from 0 to 1")
    return row


_MEMBERS = frozenset(member.name for member in fields(Row))


def _undated(model: str) -> str:
    """`Meta-Llama-3_1-70B-Instruct` is `llama-3-70b-instruct`, `gpt-4o-2024-08-06` is `gpt-4o`."""
    return _DATED.sub("", _MINOR.sub("", model.lower().removeprefix("meta-")))
