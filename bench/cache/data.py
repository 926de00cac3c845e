"""Labelled questions from a folder of JSON lines, plain or gzipped: pairs, pairs with clusters, and utterances.

What a file holds is told by the members of its rows, never by its name:

- a pair has `a` and `b`, and either `label` (1: one answer serves both, else 0) or `entail` (ENTAILMENT, NEUTRAL, CONTRADICTION);
  perhaps `cat`, what sort of pair it is; perhaps `cluster_a` and `cluster_b`: those of one cluster ask for the same;
- an utterance has `text` and `label`: those with one label have one answer.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

_Row = TypeVar("_Row")

_SEED = 1
_ENTAILS = ("ENTAILMENT", "NEUTRAL", "CONTRADICTION")


class BadFolder(Exception):
    """Says what is wrong with the folder, and in which file and line."""


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
    """What a folder holds, by the names of its files; a file is in the first that fits, one with clusters also in the last.

    `written` has near-misses and paraphrases, `generated` near-misses alone, `inferred` sentences that entail or contradict.
    In `intents` answers are labels, and a right answer is known by itself; in `open_traffic` they are prose.
    """

    written: dict[str, list[Pair]]
    generated: dict[str, list[Pair]]
    inferred: dict[str, list[Pair]]
    paraphrases: dict[str, list[Pair]]
    intents: dict[str, list[Asked]]
    open_traffic: dict[str, list[Asked]]

    @property
    def pairs(self) -> dict[str, list[Pair]]:
        return {**self.written, **self.generated, **self.inferred, **self.paraphrases}


def read(folder: Path) -> Data:
    """Raises BadFolder. Files that do not end in .jsonl or .jsonl.gz are passed over."""
    if not folder.is_dir():
        raise BadFolder(f"{folder} is not a folder")
    paths = sorted([*folder.glob("*.jsonl"), *folder.glob("*.jsonl.gz")])
    if not paths:
        raise BadFolder(f"{folder} has no files that end in .jsonl or .jsonl.gz")
    data = Data({}, {}, {}, {}, {}, {})
    for path in paths:
        _add(data, path, [_checked(path, line, row) for line, row in _rows(path)])
    return data


def some(data: Data, *, pairs: int, questions: int) -> Data:
    """No more than so many of each file, drawn at random in an order that is always the same; of open traffic whole clusters, for
    else there would be few repeats to find, and a quarter more, for most of its questions are asked once."""
    return _each_file(
        data,
        lambda _, rows: _draw(rows, pairs),
        lambda _, rows: _draw(rows, questions),
        lambda _, rows: _draw_clusters(rows, questions * 5 // 4),
    )


def only(data: Data, names: Sequence[str]) -> Data:
    """The files of these names. Raises BadFolder for a name that is not there."""
    known = {*data.pairs, *data.intents, *data.open_traffic}
    if missing := [name for name in names if name not in known]:
        raise BadFolder(f"there is no {', '.join(missing)}; there are {', '.join(sorted(known))}")
    wanted = frozenset(names)

    def kept(name: str, rows: list[_Row]) -> list[_Row]:
        return rows if name in wanted else []

    return _each_file(data, kept, kept, kept)


def _each_file(
    data: Data,
    pairs: Callable[[str, list[Pair]], list[Pair]],
    questions: Callable[[str, list[Asked]], list[Asked]],
    open_traffic: Callable[[str, list[Asked]], list[Asked]],
) -> Data:
    """What is left of each; files of which nothing is left are gone."""

    def left(part: dict[str, list[_Row]], change: Callable[[str, list[_Row]], list[_Row]]) -> dict[str, list[_Row]]:
        return {name: kept for name, rows in part.items() if (kept := change(name, rows))}

    return Data(
        left(data.written, pairs),
        left(data.generated, pairs),
        left(data.inferred, pairs),
        left(data.paraphrases, pairs),
        left(data.intents, questions),
        left(data.open_traffic, open_traffic),
    )


def _draw(rows: list[_Row], most: int) -> list[_Row]:
    return random.Random(_SEED).sample(rows, min(most, len(rows)))


def _draw_clusters(rows: list[Asked], most: int) -> list[Asked]:
    clusters: dict[str, list[Asked]] = {}
    for row in rows:
        clusters.setdefault(row.label, []).append(row)
    drawn: list[Asked] = []
    for label in _draw(sorted(clusters), len(clusters)):
        if len(drawn) + len(clusters[label]) <= most:
            drawn += clusters[label]
    return _draw(drawn, most)


def _add(data: Data, path: Path, rows: list[dict[str, Any]]) -> None:
    name = path.name.partition(".")[0]
    if not rows:
        raise BadFolder(f"{path.name} is empty")
    shapes = {frozenset(row) & {"text", "entail", "cat", "cluster_a"} for row in rows}
    if len(shapes) > 1:
        raise BadFolder(f"{path.name} mixes rows of several shapes: {' / '.join(map(str, map(sorted, shapes)))}")
    if "text" in rows[0]:
        data.intents[name] = [Asked(row["text"], str(row["label"])) for row in rows]
        return
    pairs = [_pair(row) for row in rows]
    if "entail" in rows[0]:
        data.inferred[name] = pairs
    elif "cat" in rows[0]:
        (data.written if any(pair.same for pair in pairs) else data.generated)[name] = pairs
    else:
        data.paraphrases[name] = pairs
    if "cluster_a" in rows[0]:
        data.open_traffic[name] = _stream(rows)


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    opener = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opener(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadFolder(f"{path.name}, line {number}: not a line of JSON: {error}") from error
    except (EOFError, OSError) as error:
        raise BadFolder(f"{path.name}: cannot be read after line {number}: {error}") from error


def _checked(path: Path, line: int, row: Any) -> dict[str, Any]:
    where = f"{path.name}, line {line}"
    if not isinstance(row, dict):
        raise BadFolder(f"{where}: not an object")
    texts = ("text",) if "text" in row else ("a", "b")
    if wrong := [name for name in texts if not isinstance(row.get(name), str) or not row[name].strip()]:
        raise BadFolder(f"{where}: `{wrong[0]}` must be a text; a row has `a` and `b`, or `text`")
    if "text" in row:
        if not isinstance(row.get("label"), str | int) or row["label"] == "":
            raise BadFolder(f"{where}: `label` must name the utterance's answer")
    elif "entail" in row:
        if row["entail"] not in _ENTAILS:
            raise BadFolder(f"{where}: `entail` must be one of {', '.join(_ENTAILS)}")
    elif row.get("label") not in (0, 1):
        raise BadFolder(f"{where}: `label` must be 0 or 1")
    if ("cluster_a" in row) != ("cluster_b" in row):
        raise BadFolder(f"{where}: `cluster_a` and `cluster_b` go together")
    return row


def _pair(row: dict[str, Any]) -> Pair:
    if "entail" in row:
        return Pair(row["a"], row["b"], row["entail"] == "ENTAILMENT", row["entail"].lower())
    same = bool(row["label"])
    return Pair(row["a"], row["b"], same, row.get("cat") or ("same" if same else "other"))


def _stream(rows: list[dict[str, Any]]) -> list[Asked]:
    """Every question once."""
    seen: dict[str, str] = {}
    for row in rows:
        seen.setdefault(row["a"], row["cluster_a"])
        seen.setdefault(row["b"], row["cluster_b"])
    return [Asked(text, cluster) for text, cluster in seen.items()]
