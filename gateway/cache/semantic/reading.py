"""What the guard sees in a text: its words, and the things in it that must not differ."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.cache.semantic import opposites, words
from gateway.cache.semantic.stem import stem

_TOKEN = re.compile(
    r"`[^`]+`|https?://\S+|[\w.+-]+@[\w-]+\.\w+|(?<![\w-])--?[a-zA-Z][\w-]*|\d[\d,]*(?:\.\d+)*|[<>=!]=*|°[CcFf]|[$€£¥₹%]"
    r"|[^\W\d_][\w]*(?:['’.&-][^\W_]+)*\+*#?|_\w+|[:\[\](){}/*^|~+]",
)
_CODE = re.compile(
    r"^`|^https?:|@|^--?[a-zA-Z]|^[<>=!]|\w_\w|^_|^[a-z]+[A-Z]|\w\.\w|\w::|#$|\+\+$|^[A-Za-z]+[-.&]?\d|^[\[\]{}*^|~]$"
)
_NOT_CODE = re.compile(r"^(?:i\.e|e\.g|[a-z]\.[a-z]|[A-Z]\.[A-Z.]+|vs\..*|Mc[A-Z]\w+|i(?:Phone|Pad|OS|Pod))\.?$")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)*$")
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)$")
_WITH_UNIT = re.compile(r"(\d[\d,]*(?:\.\d+)?)([a-z]{1,5})$")
_QUARTER = re.compile(r"[qh][1-4]$")
_ONCE_THEY_FOLLOW = frozenset("in of on since by until next last this early late mid during before after every".split())
_RELATIVE = frozenset("next last this past".split())
_AMOUNTS = frozenset("many much old long far often tall big large high fast".split())


@dataclass(frozen=True, slots=True)
class Reading:
    """`tokens` in their order, lower case; `stems` the words that carry meaning; `poles` how often there are words that have
    an opposite; the rest is named for what it holds."""

    tokens: tuple[str, ...]
    stems: frozenset[str]
    words: frozenset[str]
    numbers: tuple[float, ...]
    dates: frozenset[str]
    periods: frozenset[str]
    units: frozenset[str]
    negations: int
    names: frozenset[str]
    code: frozenset[str]
    poles: Mapping[str, int]
    formats: frozenset[str]
    languages: frozenset[str]
    language: str | None
    question: str | None


def read(text: str) -> Reading:
    shown = [_straight(token) for token in _TOKEN.findall(text)]
    tokens = tuple(token.lower() for token in shown)
    numbers, attached = _numbers(tokens)
    stems = [stem(token) for token in tokens]
    return Reading(
        tokens=tokens,
        stems=frozenset(root for token, root in zip(tokens, stems, strict=True) if is_thing(token)),
        words=frozenset(tokens) | frozenset(stems),
        numbers=numbers,
        dates=_dates(shown, tokens),
        periods=frozenset(words.PERIODS[token] for token in tokens if token in words.PERIODS),
        units=frozenset(words.UNITS[token] for token in tokens if token in words.UNITS) | attached,
        negations=sum(token in words.NEGATIONS or token.endswith("n't") for token in tokens),
        names=_names(shown, tokens),
        code=frozenset(
            token.strip("`").replace("-", "").lower()
            for token in shown
            if not (token.isalpha() and token.islower()) and _CODE.search(token) and not _NOT_CODE.match(token)
        ),
        poles=_poles(stems),
        formats=frozenset(words.FORMATS[token] for token in tokens if token in words.FORMATS),
        languages=frozenset(words.LANGUAGES[token] for token in tokens if token in words.LANGUAGES),
        language=language(tokens),
        question=_question(tokens),
    )


def is_thing(token: str) -> bool:
    """Whether it carries meaning, and not only holds other words together."""
    return token not in words.FILLER and token[0].isalnum()


def language(tokens: tuple[str, ...]) -> str | None:
    """The language whose small words are most among them; None where that is not clear."""
    counts = sorted(
        ((sum(map(known.__contains__, tokens)), name) for name, known in words.STOPWORDS.items()), reverse=True
    )
    (most, name), (second, _) = counts[0], counts[1]
    return name if most > second else None


def _poles(stems: list[str]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for word in stems:
        if word in opposites.OPPOSITES:
            found[word] = found.get(word, 0) + 1
    return found


def _straight(token: str) -> str:
    return token.replace("’", "'").rstrip(".'") or token


def _numbers(tokens: tuple[str, ...]) -> tuple[tuple[float, ...], frozenset[str]]:
    """The numbers in their order, and the units that are written onto them or stand after them as one letter."""
    found: list[float] = []
    units = set()
    follows = False
    for token in tokens:
        value, unit = _value(token)
        if follows and token in words.SCALES and token != "k":
            found[-1] *= words.SCALES[token]
            continue
        if follows and value is None and token in words.SHORT_UNITS:
            units.add(words.SHORT_UNITS[token])
        follows = value is not None
        if value is not None:
            found.append(value)
        elif token in words.SCALES and len(token) > 2:
            found.append(words.SCALES[token])
            follows = True
        if unit is not None:
            units.add(unit)
    return tuple(found), frozenset(units)


def _value(token: str) -> tuple[float | None, str | None]:
    """The number that a token is, and the unit that is written onto it."""
    if token.isalpha() or token in words.NUMBERS:
        return words.NUMBERS.get(token), None
    if not any(map(str.isdigit, token)):
        return _spelt(token)
    if _NUMBER.match(token):
        return _decimal(token), None
    if ordinal := _ORDINAL.match(token):
        return float(ordinal[1]), None
    sized = _WITH_UNIT.match(token)
    return _sized(_decimal(sized[1]), sized[2]) if sized else (None, None)


def _spelt(token: str) -> tuple[float | None, str | None]:
    """`twenty-one`, and `five-mile`."""
    head, _, tail = token.partition("-")
    if not tail or head not in words.NUMBERS:
        return None, None
    return words.NUMBERS[head] + words.NUMBERS.get(tail, 0.0), words.UNITS.get(tail)


def _sized(value: float, tail: str) -> tuple[float, str | None]:
    """`10k`, and `5kg`."""
    if tail in words.SCALES:
        return value * words.SCALES[tail], None
    return value, words.UNITS.get(tail) or words.SHORT_UNITS.get(tail) or tail


def _decimal(text: str) -> float:
    """A number, or a version: 3.2.1 is written as a number that only it has."""
    whole, *parts = text.replace(",", "").split(".")
    if len(parts) < 2:
        return float(".".join([whole, *parts]))
    return float(whole) + sum(float(part) * 1000.0**-place for place, part in enumerate(parts, 1)) + 1e-9


def _dates(shown: list[str], tokens: tuple[str, ...]) -> frozenset[str]:
    found = {words.MONTHS[token] for token in tokens if token in words.MONTHS}
    found |= {words.DAYS[token] for token in tokens if token in words.DAYS}
    found |= {token for token in tokens if _QUARTER.match(token)}
    for place, token in enumerate(shown):
        if token != "May" and tokens[place] not in _RELATIVE:
            continue
        before = tokens[place - 1] if place else ""
        after = tokens[place + 1] if place + 1 < len(tokens) else ""
        if token == "May" and place and (before in _ONCE_THEY_FOLLOW or before.isdigit() or after[:1].isdigit()):
            found.add("may")
        if tokens[place] in _RELATIVE and after in words.PERIODS:
            found.add(f"{tokens[place]} {words.PERIODS[after]}")
    return frozenset(found)


def _names(shown: list[str], tokens: tuple[str, ...]) -> frozenset[str]:
    """Words with a capital that do not begin a sentence, and names known from elsewhere; all by one spelling."""
    capitals = [token[0].isupper() for token in shown]
    heading = len(shown) > 3 and sum(capitals) > 0.7 * sum(token[0].isalpha() for token in shown)
    found = set()
    for place, token in enumerate(tokens):
        if shown[place] == token and token not in words.NAMES:
            continue
        begins = place == 0 or not (shown[place - 1][0].isalnum() or shown[place - 1][0] in "'(/")
        written = (
            capitals[place] and not begins and not heading and not shown[place].startswith("I'") and shown[place] != "I"
        )
        inner = shown[place][1:] != token[1:] and not heading
        if (written or inner or token in words.NAMES) and token not in words.FILLER and not _is_known_otherwise(token):
            bare = token.removesuffix("'s")
            found.add(words.SAME_NAMES.get(bare, bare))
    return frozenset(found)


def _is_known_otherwise(token: str) -> bool:
    return token in words.MONTHS or token in words.DAYS or token in words.UNITS or token[0].isdigit() or token == "may"


def _question(tokens: tuple[str, ...]) -> str | None:
    """What is asked for, by the first word that says so; None for a request, a yes or no, or `what`, which fits anything."""
    for place, token in enumerate(tokens[:6]):
        if token == "how":
            after = tokens[place + 1] if place + 1 < len(tokens) else ""
            return "amount" if after in _AMOUNTS else "how"
        if token in words.QUESTIONS:
            return words.QUESTIONS[token]
        if token in ("what", "which"):
            return None
    return None
