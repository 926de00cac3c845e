"""A prompt as its words and as a closed set of named features, from one reading of its text.

Of a text longer than 3,000 characters the first 2,000 and the last 1,000 are read. Each digit is read as 0.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, pairwise
from operator import mul

from gateway.route.score.prompt import Prompt

LONGEST_TEXT = 3_000
_FROM_THE_END = 1_000
_MOST_COUNTED = 50

_CAPITALS = string.ascii_uppercase.encode()
_PLAIN_TOKEN = re.compile(r"[a-z]+|0+|[^a-z0\s]")
_TOKEN = re.compile(r"[぀-ヿ㐀-鿿]|[^\W\d_]+|0+|[^\w\s]|_")
_FOREIGN = re.compile(r"[^\x00-\x7f]+")
_DIGIT = re.compile(r"\d")
_LOWER_AND_ZEROS = bytes.maketrans(_CAPITALS + b"123456789", string.ascii_lowercase.encode() + b"000000000")
_DIGITS = range(1, 21)
_RUNS = ["0" * _digits for _digits in _DIGITS]
_LIST_ITEMS = (b"\n- ", b"\n* ", b"\n1. ", b"\n2. ")
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
    "underscores": "_",
    "links": "http https www",
    "dashes": "– —",
}
"""Features that count tokens: the name, and the tokens. One that stands in two counts for the first."""
_MEASURED = (
    *("words and signs", "lines", "length of lines", "length of sentences", "length of words", "different words"),
    *("single letters", "numbers", "digits", "longest number", "large numbers", "capitals", "list items", "json"),
    *("not ASCII", "Chinese, Japanese or Korean", "Arabic or Hebrew", "Cyrillic or Greek", "messages"),
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
    """`words` and `pairs` in the order of the text, `words` without repetitions; `features` are as long as NAMES; `length` is
    the logarithm of the whole text's characters; `size` is what each word counts, so that long prompts weigh no more than short.
    """

    words: list[str]
    pairs: list[tuple[str, str]]
    features: list[float]
    length: float
    size: float


def read(prompt: Prompt) -> Reading:
    text = prompt.text
    length = math.log1p(len(text))
    if len(text) > LONGEST_TEXT:
        text = f"{text[: LONGEST_TEXT - _FROM_THE_END]}\n{text[-_FROM_THE_END + 1 :]}"
    plain = text.encode("utf-8", "surrogatepass")
    foreign = "" if len(plain) == len(text) else "".join(_FOREIGN.findall(text))
    tokens = _split(plain, foreign)
    counts = Counter(tokens)
    row = [token for token in tokens if token.isalnum()]
    words = [token for token in counts if token.isalnum()]
    features = [
        *_counted(counts),
        *_measured(text, plain, counts, row),
        *_scripts(text, foreign),
        math.log1p(max(prompt.messages, 0)),
    ]
    return Reading(words, [*pairwise(row)], features, length, 1 / math.sqrt(len(words) + len(row) or 1))


def different(reading: Reading) -> Iterable[Word]:
    """Its words and its pairs, each once, in the order of the text."""
    return chain(reading.words, dict.fromkeys(reading.pairs))


def _split(plain: bytes, foreign: str) -> list[str]:
    lower = plain.translate(_LOWER_AND_ZEROS).decode("utf-8", "surrogatepass")
    if any(map(str.isalnum, foreign)):
        return _TOKEN.findall(_DIGIT.sub("0", lower.lower()))
    return _PLAIN_TOKEN.findall(lower)


def _counted(tokens: Counter[str]) -> list[float]:
    counts = [0] * len(_COUNTED)
    for token in tokens.keys() & _PLACES.keys():
        counts[_PLACES[token]] += tokens[token]
    return [_ROOTS[count] if count < _MOST_COUNTED else _ROOTS[_MOST_COUNTED] for count in counts]


def _measured(text: str, plain: bytes, counts: Counter[str], row: list[str]) -> list[float]:
    """`plain` is the text in UTF-8."""
    log = math.log1p
    tokens = counts.total()
    lines = text.count("\n") + 1
    lengths = [*map(len, row)]
    numbers = [counts.get(run, 0) for run in _RUNS]
    return [
        log(tokens),
        log(lines),
        log(len(text) / lines),
        log(tokens / (sum([counts.get(end, 0) for end in ".?!"]) + 1)),
        sum(lengths) / max(len(lengths), 1),
        len(counts) / max(tokens, 1),
        log(lengths.count(1)),
        log(sum(numbers)),
        log(sum(map(mul, numbers, _DIGITS))),
        math.sqrt(max([digits for digits, count in zip(_DIGITS, numbers, strict=True) if count], default=0)),
        log(sum(numbers[2:])),
        (len(plain) - len(plain.translate(None, _CAPITALS))) / max(len(text), 1),
        log(sum([plain.count(item) for item in _LIST_ITEMS])) if lines > 1 else 0.0,
        float('":' in text),
    ]


def _scripts(text: str, foreign: str) -> list[float]:
    """`foreign` is what of the text is not ASCII."""
    if not foreign:
        return [0.0, 0.0, 0.0, 0.0]
    return [math.log1p(len(foreign)), *(len(script.findall(foreign)) / len(text) for script in _SCRIPTS)]
