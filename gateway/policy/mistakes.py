"""Every mistake of a policy at once, each with its place and the nearest thing that would have been right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from heapq import nlargest
from itertools import pairwise

MOST = 200
"""Mistakes after which reading stops: nobody would read on, and suggesting names for more takes long."""

_MOST_KNOWN = 2000
_QUOTES = ("'", '"')
_SECRET = 6  # characters of a value of the environment: what is shorter hides nothing
_LIKELY = 10  # get_close_matches is slow, so it only sees the words that share most pairs of letters

Path = tuple[str | int, ...]
"""Keys and list positions that lead from the top of the policy to a value, such as ("routes", 0, "match")."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands; `line` and `column` count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing the admin has to mend. `path` is dotted, such as `routes[0].match.tokens_in`."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class PolicyError(Exception):
    """The policy cannot be used; `mistakes` are all that is wrong with it, in the order of the files."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(set(mistakes)))
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


@dataclass(slots=True)
class Places:
    """Where every value of a document stands, and the key that names it."""

    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)

    def find(self, path: Path, *, key: bool = False) -> Place:
        """The place of the value (or key) at `path`, else of the nearest one around it."""
        first, second = (self.keys, self.values) if key else (self.values, self.keys)
        for end in range(len(path), -1, -1):
            place = first.get(path[:end]) or second.get(path[:end])
            if place is not None:
                return place
        raise KeyError(path)


class Mistakes:
    """Collects mistakes while a policy is read and compiled; `found` are those so far. After MOST it raises PolicyError.

    `filled` are values of the environment and the `${NAME}` that each stands for: no message shows more than the name.
    """

    def __init__(self, places: Places, filled: Mapping[str, str] | None = None) -> None:
        self._places = places
        self._filled = filled if filled is not None else {}
        self.found: list[Mistake] = []

    def add(self, path: Path, message: str, *, key: bool = False) -> None:
        """Notes what is wrong with the value at `path`, or with its key."""
        self.add_at(self._places.find(path, key=key), path, message)

    def add_at(self, place: Place, path: Path, message: str) -> None:
        for value, name in self._filled.items():
            message = _masked(message, value, name)
        self.found.append(Mistake(place.file, place.line, place.column, dotted(path), message))
        if len(self.found) >= MOST:
            raise PolicyError(self.found)

    def place(self, path: Path) -> Place:
        return self._places.find(path, key=True)

    def raise_if_any(self) -> None:
        """Raises PolicyError when there is anything to mend."""
        if self.found:
            raise PolicyError(self.found)


def _masked(message: str, value: str, name: str) -> str:
    """The message with `name` for the value, also where it is cut off before its closing quote."""
    begin = 0
    while len(value) >= _SECRET and (at := message.find(value[:_SECRET], begin)) >= 0:
        end = at + next(
            (n for n, pair in enumerate(zip(message[at:], value, strict=False)) if pair[0] != pair[1]), len(value)
        )
        begin = end
        if end - at == len(value) or message[end : end + 1] in _QUOTES:
            message = message[:at] + name + message[end:]
            begin = at + len(name)
    return message


def dotted(path: Path) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def nearest(word: str, known: Iterable[str] | Mapping[str, object]) -> str:
    """`; did you mean 'x'?` for the known word most like `word`, or nothing when none is like it, or too many are known."""
    words = list(known)
    if len(words) > _MOST_KNOWN:
        return ""
    pairs = set(pairwise(word))
    likely = nlargest(_LIKELY, words, key=lambda each: len(pairs.intersection(pairwise(each))))
    close = get_close_matches(word[:100], likely, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
