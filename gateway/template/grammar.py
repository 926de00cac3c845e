"""What the text of a template may say: values, conditions, loops and partials, and nothing that computes.

minijinja knows much more. What is not here (calls, arithmetic, assignments, macros, most filters) is refused when the policy is
loaded, before minijinja sees it: no fuel bounds how much memory one such expression takes. Tags are read as minijinja reads
them, so that nothing is a text to one and a tag to the other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

FILTERS = frozenset(
    {"upper", "lower", "trim", "title", "capitalize", "length", "first", "last", "join", "items", "default", "json"}
)
"""What a value may be put through."""
LONGEST_LITERAL = 200
"""Characters of a text within an expression."""
MOST_LOOPED = 2048
"""Characters of plain text within the loops of one message."""
DEEPEST_LOOPS = 3
_DEEPEST = 20
_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
_WORDS = frozenset({"and", "or", "not", "in", "is", "if", "else", "recursive"})
_CONSTANTS = frozenset({"true", "false", "True", "False", "none", "None"})
_OPENING = re.compile(r"\{[{%#]")
_END_RAW = re.compile(r"\{%[-+]?\s*endraw\s*[-+]?%\}")
_CONTROLS = "-+"
_SPACE = re.compile(r"\s+")
_TOKEN = re.compile(
    r"""(?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>[0-9]+(?:\.[0-9]+)?(?![A-Za-z0-9_]))
      | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<sign>==|!=|<=|>=|//|\*\*|.)""",
    re.VERBOSE | re.DOTALL,
)


class GrammarError(ValueError):
    """`line` counts from 1, within the text."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


@dataclass(slots=True)
class Reading:
    """What a text uses: the variables by their first names, the partials, and how much of it stands within loops. `joints` are
    where the tags of partials end."""

    names: set[str] = field(default_factory=set)
    partials: set[str] = field(default_factory=set)
    looped: int = 0
    is_plain: bool = True
    joints: list[int] = field(default_factory=list)
    has_loops: bool = False


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def read(source: str) -> Reading:
    """Raises GrammarError for whatever is not part of the language."""
    reading, blocks = Reading(), _Blocks()
    position = 0
    while True:
        opening = _OPENING.search(source, position)
        text = source[position : opening.start() if opening else len(source)]
        if blocks.loops:
            reading.looped += len(text)
        if opening is None:
            break
        reading.is_plain = False
        position = _tag(source, opening, reading, blocks)
    if blocks.open:
        raise GrammarError(
            _line(source, len(source)), f"`{blocks.open[-1]}` is not ended: `end{blocks.open[-1]}` is missing"
        )
    if reading.looped > MOST_LOOPED:
        raise GrammarError(1, f"more than {MOST_LOOPED:,} characters of text stand within loops")
    return reading


@dataclass(slots=True)
class _Blocks:
    """The blocks that are open, and the names that loops have given."""

    open: list[str] = field(default_factory=list)
    scopes: list[set[str]] = field(default_factory=list)

    @property
    def loops(self) -> int:
        return len(self.scopes)

    def knows(self, name: str) -> bool:
        return any(name in scope for scope in self.scopes)


def _tag(source: str, opening: re.Match[str], reading: Reading, blocks: _Blocks) -> int:
    """Reads one tag, and gives where it ends."""
    kind, line, begin = opening[0], _line(source, opening.start()), opening.end()
    if kind == "{#":
        end = source.find("#}", begin)
        if end < 0:
            raise GrammarError(line, "the comment is not ended: `#}` is missing")
        return end + 2
    closing = "}}" if kind == "{{" else "%}"
    tokens, end = _tokens(source, begin, closing, line)
    words = _Words(tokens, line, reading, blocks)
    if kind == "{{":
        words.expression()
        words.end()
        return end
    return words.statement(source, end)


def _tokens(source: str, begin: int, closing: str, line: int) -> tuple[list[_Token], int]:
    """Those up to `closing`, less a sign of whitespace control at either side, and where `closing` ends."""
    tokens: list[_Token] = []
    if source[begin : begin + 1] and source[begin] in _CONTROLS:
        begin += 1
    while begin < len(source):
        if space := _SPACE.match(source, begin):
            begin = space.end()
            continue
        if source.startswith(closing, begin):
            return tokens, begin + 2
        if source[begin] in _CONTROLS and source.startswith(closing, begin + 1):
            return tokens, begin + 3
        found = _TOKEN.match(source, begin)
        if found is None:
            break
        tokens.append(_Token(found.lastgroup or "", found[0]))
        begin = found.end()
    raise GrammarError(line, f"the tag is not ended: `{closing}` is missing")


class _Words:
    """The inside of one tag, read from left to right."""

    def __init__(self, tokens: list[_Token], line: int, reading: Reading, blocks: _Blocks) -> None:
        self._tokens = tokens
        self._line = line
        self._reading = reading
        self._blocks = blocks
        self._at = 0
        self._depth = 0

    def statement(self, source: str, end: int) -> int:
        """Where reading goes on."""
        word = self._name("a word such as `if`, `for` or `include`")
        match word:
            case "raw":
                self.end()
                return self._raw(source, end)
            case "if" | "elif":
                self._if(word)
            case "else":
                self._else()
            case "for":
                self._loop()
            case "endif" | "endfor":
                self._leave(word.removeprefix("end"), word)
            case "include":
                self._partial()
                self._reading.joints += [end - 2] if source[end - 3] not in _CONTROLS else []
            case _:
                raise self._wrong(f"`{word[:40]}` is not part of templates: they know if, for, include and raw")
        self.end()
        return end

    def expression(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong("an expression is nested too deep")
        self._condition()
        while self._takes("and") or self._takes("or"):
            self._condition()
        self._depth -= 1

    def end(self) -> None:
        if self._at < len(self._tokens):
            found = self._tokens[self._at].text[:40]
            if found == "(":
                raise self._wrong("nothing can be called in a template")
            raise self._wrong(
                f"{found!r} cannot stand here: templates put values in, compare them, and compute nothing"
            )

    def _condition(self) -> None:
        while self._takes("not"):
            pass
        self._operand()
        while self._compares():
            self._operand()

    def _compares(self) -> bool:
        token = self._next()
        if token is not None and token.text in _COMPARISONS:
            self._at += 1
            return True
        if self._takes("in"):
            return True
        if token is not None and token.text == "not" and self._next(1) == _Token("name", "in"):
            self._at += 2
            return True
        return False

    def _operand(self) -> None:
        self._value()
        while self._takes("|"):
            self._filter()
        if self._takes("is"):
            self._takes("not")
            if self._name("`defined`") != "defined":
                raise self._wrong("the one thing a value can be asked with `is` is `defined`")

    def _value(self) -> None:
        token = self._next()
        if token is None:
            raise self._wrong("a value is missing")
        if token.text == "(":
            self._at += 1
            self.expression()
            if not self._takes(")"):
                raise self._wrong("`)` is missing")
            return
        if token.kind != "name":
            self._literal()
            return
        self._at += 1
        if token.text in _WORDS:
            raise self._wrong(f"a value is missing before `{token.text}`")
        if token.text in _CONSTANTS:
            return
        if token.text.startswith("__"):
            raise self._wrong(f"`{token.text[:40]}` is no name of a variable")
        if not self._blocks.knows(token.text):
            self._reading.names.add(token.text)
        self._members()

    def _members(self) -> None:
        while True:
            if self._takes("."):
                if self._name("the name of a member").startswith("__"):
                    raise self._wrong("names of members do not begin with `__`")
            elif self._takes("["):
                self._literal()
                if not self._takes("]"):
                    raise self._wrong("`]` is missing: within it stands a number or a quoted name")
            else:
                return

    def _filter(self) -> None:
        name = self._name("the name of a filter")
        if name not in FILTERS:
            raise self._wrong(f"there is no filter `{name[:40]}`; there are {', '.join(sorted(FILTERS))}")
        if self._takes("("):
            self._literal()
            if not self._takes(")"):
                raise self._wrong("`)` is missing: a filter takes one text or number")

    def _literal(self) -> None:
        token = self._next()
        if token is None or token.kind not in ("number", "text"):
            found = "" if token is None else f", and not {token.text[:40]!r}"
            raise self._wrong(f"here stands a variable, a number or a quoted text{found}")
        if len(token.text) > LONGEST_LITERAL:
            raise self._wrong(f"a quoted text within a tag has at most {LONGEST_LITERAL} characters")
        self._at += 1

    def _loop(self) -> None:
        scope = {"loop", self._name("the name of an item")}
        if self._takes(","):
            scope.add(self._name("the name of a value"))
        if not self._takes("in"):
            raise self._wrong("`in` is missing: {% for item in items %}")
        self._operand()
        self._reading.has_loops = True
        self._blocks.open.append("for")
        self._blocks.scopes.append(scope)
        if self._blocks.loops > DEEPEST_LOOPS:
            raise self._wrong(f"loops stand at most {DEEPEST_LOOPS} deep")
        if self._takes("if"):
            self.expression()

    def _partial(self) -> None:
        token = self._next()
        if token is None or token.kind != "text" or "\\" in token.text:
            raise self._wrong('a partial is named in quotes: {% include "name" %}')
        if self._blocks.loops:
            raise self._wrong("a partial cannot stand within a loop")
        self._at += 1
        self._reading.partials.add(token.text[1:-1])

    def _raw(self, source: str, begin: int) -> int:
        found = _END_RAW.search(source, begin)
        if found is None:
            raise self._wrong("`raw` is not ended: `{% endraw %}` is missing")
        if self._blocks.loops:
            self._reading.looped += found.start() - begin
        return found.end()

    def _if(self, word: str) -> None:
        if word == "elif":
            self._within("if", word)
        else:
            self._blocks.open.append("if")
        self.expression()

    def _else(self) -> None:
        if not self._blocks.open:
            raise self._wrong("`else` stands within no `if` or `for`")

    def _within(self, block: str, word: str) -> None:
        if self._blocks.open[-1:] != [block]:
            raise self._wrong(f"`{word}` stands within no `{block}`")

    def _leave(self, block: str, word: str) -> None:
        self._within(block, word)
        self._blocks.open.pop()
        if block == "for":
            self._blocks.scopes.pop()

    def _next(self, ahead: int = 0) -> _Token | None:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else None

    def _takes(self, text: str) -> bool:
        token = self._next()
        if token is None or token.text != text or token.kind == "text":
            return False
        self._at += 1
        return True

    def _name(self, what: str) -> str:
        token = self._next()
        if token is None or token.kind != "name":
            raise self._wrong(f"{what} is missing")
        self._at += 1
        return token.text

    def _wrong(self, message: str) -> GrammarError:
        return GrammarError(self._line, message)


def _line(source: str, position: int) -> int:
    return source.count("\n", 0, position) + 1
