"""The lexical guard: two questions that are near in meaning to an embedder and yet want different answers.

Embedders put `5 kg` beside `5 g`, and what is legal beside what is not. Each rule here names one thing that must agree; the first
that does not is the veto. It errs towards a veto: that costs one call upstream, while a miss of it costs a wrong answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

from gateway.cache.semantic import opposites, words
from gateway.cache.semantic.reading import Reading, is_thing
from gateway.cache.semantic.stem import stem
from gateway.cache.semantic.synonyms import SYNONYMS

_NAME_ENDINGS = ("n", "an", "ian", "ese", "ish", "s", "ns", "es", "y", "ern")
_PLACES = frozenset("from to into onto in on at of by than over against after before for with".split())
_LEAST_TO_TRUST_A_SPELLING = 6
_ROOT = 4
_FEWEST_SHARED = 3
_LONGEST_SWAP = 2


def veto(one: Reading, other: Reading) -> str | None:
    """The first thing in which they differ, a name in VETOES, or None if nothing known keeps one answer from serving both."""
    return next((name for name, differ in VETOES.items() if differ(one, other)), None)


def _numbers(one: Reading, other: Reading) -> bool:
    return one.numbers != other.numbers


def _dates(one: Reading, other: Reading) -> bool:
    return one.dates != other.dates


def _units(one: Reading, other: Reading) -> bool:
    if one.units != other.units:
        return True
    return bool(one.periods) and bool(other.periods) and one.periods != other.periods


def _negation(one: Reading, other: Reading) -> bool:
    return one.negations != other.negations


def _opposites(one: Reading, other: Reading) -> bool:
    mine, theirs = one.poles, other.poles
    for word, count in mine.items():
        if count > theirs.get(word, 0):
            for opposite in opposites.OPPOSITES[word]:
                if theirs.get(opposite, 0) > mine.get(opposite, 0):
                    return True
    ours, others = one.words - other.words, other.words - one.words
    return _has_prefixed(ours, others) or _has_prefixed(others, ours)


def _kinds(one: Reading, other: Reading) -> bool:
    """Whether each has a word of one kind that the other lacks."""
    mine = {opposites.KINDS[word] for word in one.stems - other.stems if word in opposites.KINDS}
    return any(opposites.KINDS.get(word) in mine for word in other.stems - one.stems)


def _persons(one: Reading, other: Reading) -> bool:
    """`my name` is not `your name`; but `how do I raise my voice` is `how do you raise your voice`."""
    return _turns(one.words, other.words) or _turns(other.words, one.words)


def _turns(mine: frozenset[str], theirs: frozenset[str]) -> bool:
    if "my" not in mine or "my" in theirs or "your" not in theirs or "your" in mine:
        return False
    return not ("i" in mine and "you" in theirs)


def _has_prefixed(mine: frozenset[str], theirs: frozenset[str]) -> bool:
    """Whether one of them says what the other says with un-, dis- and the like."""
    return any(
        word.startswith(prefix) and len(word) > len(prefix) + 2 and word[len(prefix) :] in theirs
        for word in mine
        for prefix in opposites.PREFIXES
    )


def _names(one: Reading, other: Reading) -> bool:
    return _lacks_a_name(one, other) or _lacks_a_name(other, one)


def _lacks_a_name(one: Reading, other: Reading) -> bool:
    missing = [name for name in one.names - other.names if name not in other.words]
    return any(not _is_said(name, other) for name in missing)


def _is_said(name: str, text: Reading) -> bool:
    """Whether the text has the name in another form: an adjective of it, its initials, a slip of the pen."""
    known = [words.SAME_NAMES.get(word, word) for word in text.words]
    if name in known:
        return True
    if any(_is_form(name, word) or _is_form(word, name) for word in known):
        return True
    if 2 <= len(name) <= 5 and name in "".join(token[0] for token in text.tokens):
        return True
    return len(name) >= _LEAST_TO_TRUST_A_SPELLING and any(_is_slip(name, word) for word in known)


def _is_form(longer: str, shorter: str) -> bool:
    if len(shorter) < 3 or len(longer) <= len(shorter):
        return False
    root = shorter.rstrip("aey") if len(shorter) > 4 else shorter
    return longer.startswith(root) and (longer[len(shorter) :] in _NAME_ENDINGS or longer[len(root) :] in _NAME_ENDINGS)


def _is_slip(one: str, other: str) -> bool:
    """Whether one letter is more, less or another, or two are swapped."""
    if abs(len(one) - len(other)) > 1 or one[0] != other[0]:
        return False
    start = next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    if start is None:
        return True
    a, b = one[start:], other[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[2:] == b[2:] and a[:2] == b[1::-1])


def _code(one: Reading, other: Reading) -> bool:
    return not (one.code - other.code <= other.words and other.code - one.code <= one.words)


def _formats(one: Reading, other: Reading) -> bool:
    return one.formats != other.formats


def _languages(one: Reading, other: Reading) -> bool:
    if one.languages != other.languages:
        return True
    return one.language is not None and other.language is not None and one.language != other.language


def _modality(one: Reading, other: Reading) -> bool:
    """Whether one asks what may be done, and the other what has to be."""
    asked = [next(iter(text.tokens), "") for text in (one, other)]
    return any(a in words.PERMITTED and b in words.REQUIRED for a, b in (asked, asked[::-1]))


def _question(one: Reading, other: Reading) -> bool:
    return frozenset((one.question, other.question)) in words.UNLIKE_QUESTIONS


def _order(one: Reading, other: Reading) -> bool:
    """Whether things have changed places: who does it and to whom, from where and to where, what comes before what."""
    if one.stems != other.stems:
        return False
    mine, theirs = _things(one), _things(other)
    have_moved = mine != theirs and sorted(mine) == sorted(theirs)
    return _turned(one) != _turned(other) or (
        have_moved
        and (_is_done_to(one, other) or _is_done_to(other, one) or _have_two_changed_places(one, other, mine, theirs))
    )


def _have_two_changed_places(one: Reading, other: Reading, mine: list[str], theirs: list[str]) -> bool:
    places = [place for place, pair in enumerate(zip(mine, theirs, strict=True)) if pair[0] != pair[1]]
    first, last = places[0], places[-1]
    moved = mine[first], mine[last]
    if moved != (theirs[last], theirs[first]) or mine[first + 1 : last] != theirs[first + 1 : last]:
        return False
    return _are_apart(one, *moved) and _are_apart(other, *moved) and not _have_the_same_places(one, other, set(moved))


def _turned(text: Reading) -> set[tuple[str, str]]:
    """`before I pay` and the like, with the first thing that follows."""
    after: dict[str, str] = {}
    for turn, token in ((turn, token) for place, turn in enumerate(text.tokens) for token in text.tokens[place + 1 :]):
        if turn in words.TURNING and is_thing(token):
            after.setdefault(turn, token)
    return set(after.items())


def _is_done_to(one: Reading, other: Reading) -> bool:
    """`my doctor asks me` is not `I ask my doctor`."""
    mine, theirs = one.words & (words.DOERS | words.DONE_TO), other.words & (words.DOERS | words.DONE_TO)
    return bool(mine) and bool(theirs) and mine <= words.DONE_TO and theirs <= words.DOERS


def _things(text: Reading) -> list[str]:
    return [token for token in text.tokens if is_thing(token)]


def _are_apart(text: Reading, one: str, other: str) -> bool:
    """Whether something stands between them that has two sides: `A and B` is `B and A`, and `A is B` is `B is A`."""
    ends = [place for place, token in enumerate(text.tokens) if token in (one, other)]
    between = [token for a, b in pairwise(ends) for token in text.tokens[a + 1 : b]]
    return any(token not in words.EQUATING for token in between if token not in words.SYMMETRIC)


def _have_the_same_places(one: Reading, other: Reading, moved: set[str]) -> bool:
    """`to Rome from Oslo` is `from Oslo to Rome`."""
    mine, theirs = _places(one, moved), _places(other, moved)
    return bool(mine) and mine == theirs


def _places(text: Reading, moved: set[str]) -> set[tuple[str, str]]:
    found = set()
    preposition = ""
    for token in text.tokens:
        if token in _PLACES:
            preposition = token
        elif token in moved and preposition:
            found.add((preposition, token))
    return found


def _swap(one: Reading, other: Reading) -> bool:
    """Whether they are word for word the same but for one thing, and the other's is no known word for it: nobody who only
    says the same in other words keeps all the rest."""
    a, b = one.tokens, other.tokens
    shorter = min(len(a), len(b))
    before = next((place for place in range(shorter) if a[place] != b[place]), shorter)
    after = next((place for place in range(shorter - before) if a[-1 - place] != b[-1 - place]), shorter - before)
    mine, theirs = a[before : len(a) - after], b[before : len(b) - after]
    if before + after < _FEWEST_SHARED or max(len(mine), len(theirs)) > _LONGEST_SWAP:
        return False
    here, there = [token for token in mine if is_thing(token)], [token for token in theirs if is_thing(token)]
    return bool(here) and bool(there) and not any(_are_related(x, y) for x in here for y in there)


def _are_related(one: str, other: str) -> bool:
    """Whether they share a root, or are spelt almost alike, or mean the same."""
    if one[:_ROOT] == other[:_ROOT] or one in other or other in one or any(map(str.isdigit, one + other)):
        return True
    if min(len(one), len(other)) >= _LEAST_TO_TRUST_A_SPELLING and _is_slip(one, other):
        return True
    if one in words.NEGATIONS and other in words.NEGATIONS:
        return True
    nothing: frozenset[int] = frozenset()
    return not SYNONYMS.get(stem(one), nothing).isdisjoint(SYNONYMS.get(stem(other), nothing))


VETOES: Mapping[str, Callable[[Reading, Reading], bool]] = {
    "language": _languages,
    "number": _numbers,
    "negation": _negation,
    "date": _dates,
    "unit": _units,
    "code": _code,
    "format": _formats,
    "opposite": _opposites,
    "kind": _kinds,
    "person": _persons,
    "modality": _modality,
    "question": _question,
    "name": _names,
    "order": _order,
    "swap": _swap,
}
"""The rules by the words that the trace has for them, the cheapest first."""
