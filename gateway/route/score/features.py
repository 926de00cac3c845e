"""A prompt as its words and as a closed set of named features, from one reading of its text.

Of a text longer than 3,000 characters the first 2,000 and the last 1,000 are read. A number is read as its length: `#`, `##` or
`###` for three digits and more, so that no number is ever a word; a word longer than 20 letters, such as a key or a token, is
no word either.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from gateway.route.score.prompt import Prompt

LONGEST_TEXT = 3_000
_FROM_THE_END = 1_000
_LONGEST_WORD = 20
_MOST_COUNTED = 50

_ASCII_TOKEN = re.compile(r"[a-z]+|[0-9]+|[!-/:-@\[-`{-~]")
_TOKEN = re.compile(r"[぀-ヿ㐀-鿿]|[^\W\d_]+|\d+|[^\w\s]|_+")
_CAPITAL = re.compile(r"[A-Z]")
_LIST_ITEMS = ("\n- ", "\n* ", "\n1. ", "\n2. ", "\n1) ", "\n2) ")
_SCRIPTS = (re.compile(r"[぀-ヿ㐀-鿿가-힯]"), re.compile(r"[֐-ۿ]"), re.compile(r"[Ͱ-ӿ]"))

_COUNTED = {
    "asks what": "what",
    "asks which": "which",
    "asks who": "who whom whose",
    "asks when or where": "when where",
    "asks why": "why",
    "asks how": "how",
    "asks how many": "many much",
    "negations": "not no never none nor neither cannot except without false incorrect wrong don doesn didn isn aren wasn won",
    "comparisons": "than more less greater fewer larger smaller higher lower compared compare difference",
    "superlatives": "most least best worst maximum minimum largest smallest highest lowest longest optimal",
    "conditions": "if suppose assume assuming given let unless whether otherwise",
    "each": "each every per apiece",
    "totals": "all total altogether both combined sum",
    "some": "some any several few",
    "steps in time": "then after before next last later finally until while during",
    "causes": "because since therefore thus hence so cause caused due reason",
    "contrasts": "but however although though yet instead whereas despite",
    "third person": "he she his her him they them their",
    "first person": "i my me we our us",
    "second person": "you your",
    "asks to write": "write create generate compose draft make design build implement",
    "asks to explain": "explain describe discuss analyze analyse justify",
    "asks to rework": "summarize summarise summary list extract identify classify translate rewrite convert format name",
    "asks to prove": "prove show proof theorem lemma derive verify demonstrate",
    "asks to calculate": "calculate compute find determine solve evaluate estimate",
    "statements to judge": "statement statements true following correct",
    "options": "a b c d e f g h j",
    "fractions": "half halves third quarter twice double triple fifth tenth times fraction ratio",
    "money": "dollar dollars cents cost costs price pay paid spend spends earn earns buy sell worth $ € £",
    "time": "hour hours minute minutes day days week weeks month months year years seconds age old",
    "measures": "feet inches miles meters km kg pounds ounces gallons cm meter m speed mass volume area length weight",
    "percent": "percent percentage %",
    "words of code": "def return print class import function assert lambda const var elif else range len self int str null",
    "and, or": "and or",
    "numbers in words": "one two three four five six seven eight nine ten",
    "roman numerals": "ii iii iv vi",
    "words of mathematics": "equation integral matrix vector function polynomial probability derivative graph set group integer "
    "prime modulo theorem angle triangle random",
    "plus": "+",
    "minus": "- −",
    "times": "* ×",
    "divided": "/ ÷",
    "powers": "^",
    "equals": "=",
    "inequalities": "< > ≤ ≥",
    "backslashes": "\\",
    "parentheses": "( )",
    "square brackets": "[ ]",
    "curly brackets": "{ }",
    "quotation marks": '" “ ” « »',
    "apostrophes": "' ’",
    "backticks": "`",
    "hashes": "#",
    "semicolons": ";",
    "colons": ":",
    "commas": ", 、",
    "full stops": ". 。",
    "question marks": "? ？ ؟",
    "exclamation marks": "! ！",
    "bars": "|",
    "at signs": "@",
    "dashes": "– —",
}
"""Features that count tokens: the name, and the tokens. One that stands in two counts for the first."""
_MEASURED = (
    *("words", "lines", "length of lines", "length of sentences", "length of words", "long words", "different words"),
    *("single letters", "blanks", "numbers", "digits", "longest number", "large numbers", "different numbers"),
    *("capitals", "list items", "links", "json", "messages", "not ASCII", "Chinese, Japanese or Korean"),
    *("Arabic or Hebrew", "Cyrillic or Greek"),
)
NAMES = (*_COUNTED, *_MEASURED)
_PLACES: dict[str, int] = {}
for _place, _tokens in enumerate(_COUNTED.values()):
    for _token in _tokens.split():
        _PLACES.setdefault(_token, _place)
_ROOTS = [math.sqrt(_count) for _count in range(_MOST_COUNTED + 1)]

Word = str | tuple[str, str]
"""A word, or two that follow each other."""


@dataclass(frozen=True, slots=True)
class Reading:
    """`words` are different from each other and in the order in which they first come; `features` are as long as NAMES;
    `length` is the logarithm of the whole text's characters."""

    words: tuple[Word, ...]
    features: list[float]
    length: float


def read(prompt: Prompt) -> Reading:
    text = prompt.text
    length = math.log1p(len(text))
    if len(text) > LONGEST_TEXT:
        text = f"{text[: LONGEST_TEXT - _FROM_THE_END]}\n{text[-_FROM_THE_END + 1 :]}"
    tokens = (_ASCII_TOKEN if text.isascii() else _TOKEN).findall(text.lower())
    numbers = [token for token in tokens if token.isdecimal()]
    words = [token for token in tokens if token.isalpha()]
    features = [*_counted(tokens), *_measured(text, tokens, words, numbers, prompt.messages)]
    return Reading(_bag(tokens), features, length)


def _bag(tokens: Iterable[str]) -> tuple[Word, ...]:
    row = [
        "###"[: len(token)] if token.isdecimal() else token
        for token in tokens
        if token.isalnum() and (len(token) <= _LONGEST_WORD or token.isdecimal())
    ]
    return (*dict.fromkeys(row), *dict.fromkeys(pairwise(row)))


def _counted(tokens: Iterable[str]) -> list[float]:
    counts = [0] * len(_COUNTED)
    place_of = _PLACES.get
    for token in tokens:
        place = place_of(token)
        if place is not None:
            counts[place] += 1
    return [_ROOTS[count if count < _MOST_COUNTED else _MOST_COUNTED] for count in counts]


def _measured(text: str, tokens: list[str], words: list[str], numbers: list[str], messages: int) -> list[float]:
    lines = text.count("\n") + 1
    sentences = text.count(". ") + text.count("? ") + text.count(".\n") + text.count("?\n") + 1
    lengths = [*map(len, words)]
    digits = [*map(len, numbers)]
    many_words = max(len(words), 1)
    log = math.log1p
    return [
        log(len(tokens)),
        log(lines),
        log(len(text) / lines),
        log(len(tokens) / sentences),
        sum(lengths) / many_words,
        sum([length > 8 for length in lengths]) / many_words,
        len({*tokens}) / max(len(tokens), 1),
        log(lengths.count(1)),
        log(text.count("__")),
        log(len(numbers)),
        log(sum(digits)),
        math.sqrt(min(max(digits, default=0), _MOST_COUNTED)),
        log(sum([length > 2 for length in digits])),
        log(len({*numbers})),
        len(_CAPITAL.findall(text)) / max(len(text), 1),
        log(sum([text.count(item) for item in _LIST_ITEMS])),
        log(text.count("://")),
        float('":' in text or '" :' in text),
        log(max(messages, 0)),
        *_scripts(text),
    ]


def _scripts(text: str) -> tuple[float, float, float, float]:
    if text.isascii():
        return (0.0, 0.0, 0.0, 0.0)
    foreign = len(text) - len(text.encode("ascii", "ignore"))
    asian, semitic, other = (len(script.findall(text)) / len(text) for script in _SCRIPTS)
    return (math.log1p(foreign), asian, semitic, other)
