"""minijinja, with as little of it as templates need, and bounds on what a render may take.

One for each snapshot: every text is compiled when the policy is loaded. A value is put in as it is, once, and what comes of it
is never read as a template.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

from minijinja import Environment, TemplateError

from gateway.template.grammar import GrammarError, Reading, read
from gateway.template.sealed import Gauge, opened, sealed

FUEL = 50_000
"""Instructions of one message: 15,000 turns of the shortest loop, which take some 5 ms."""
LARGEST = 1024 * 1024
"""Bytes of one rendered prompt, and characters of one message."""
MOST_READ = 16 * LARGEST
"""Characters that one message may read, again and again in loops, which take some 30 ms."""
_BLOCK_FIRST = re.compile(r"[ \t]+\{[%#](?!\+)")
_RESERVED = frozenset({"loop", "self", "super", "caller"})
_WORDS = {True: "true", False: "false", None: "null"}


class TooLargeError(Exception):
    """More came out, or it took longer, than a prompt may."""


class MissingError(Exception):
    """The text uses a member that a value does not have."""


class Engine:
    """Texts are added while a policy is compiled, and rendered ever after."""

    def __init__(self) -> None:
        self._left = 0
        self._gauge = Gauge()
        self._turn = Lock()
        self._partials: dict[str, Reading] = {}
        self._environment = Environment(
            undefined_behavior="strict",
            fuel=FUEL,
            debug=False,
            pycompat=False,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_escape_callback=_never,
            finalizer=self._written,
            filters={"json": self._json, "items": self._items, "join": self._join},
        )
        for name in _NEEDLESS:
            self._environment.remove_filter(name)
        for name in ("range", "dict", "namespace", "debug"):
            self._environment.remove_global(name)

    def add_partial(self, name: str, text: str) -> None:
        """It may be put into any text that is added later, and into no other partial. Raises GrammarError."""
        reading = self._add(name, text)
        if reading.partials:
            raise GrammarError(1, "a partial cannot put in another one")
        self._partials[name] = reading

    def add(self, name: str, text: str) -> Reading:
        """Compiles a text under a name. What it uses, its partials' variables included. Raises GrammarError."""
        reading = self._add(name, text)
        for partial in sorted(reading.partials):
            if partial not in self._partials:
                raise GrammarError(1, f"there is no partial {partial[:64]!r}")
            reading.names |= self._partials[partial].names
        return reading

    def sealed(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """As `render` takes them."""
        return {name: sealed(value, self._gauge) for name, value in values.items()}

    def render(self, name: str, values: Mapping[str, Any]) -> str:
        """Raises TooLargeError, MissingError."""
        with self._turn:
            self._left, self._gauge.left = LARGEST, MOST_READ
            try:
                text: str = self._environment.render_template(name, **values)
            except TemplateError as error:
                if error.kind == "OutOfFuel" or self._left < 0 or self._gauge.left < 0:
                    raise TooLargeError("it takes more steps, or makes more text, than a prompt may") from None
                raise MissingError(error.detail or error.message) from None
        if self._gauge.left < 0 or len(text) > LARGEST:
            raise TooLargeError("it takes more steps, or makes more text, than a prompt may")
        return text

    def _add(self, name: str, text: str) -> Reading:
        reading = read(text)
        try:
            self._environment.add_template(name, _reading_once(_with_line_breaks(text, reading.joints), reading))
        except TemplateError as error:
            raise GrammarError(error.line or 1, error.detail or error.message) from None
        return reading

    def _written(self, value: Any) -> str:
        """What a value is in a text: lists and objects are JSON."""
        text = _text(value)
        self._left -= len(text)
        if self._left < 0:
            raise TooLargeError
        return text

    def _json(self, value: Any) -> str:
        return self._charged(_json(value))

    def _items(self, value: Any) -> list[tuple[str, Any]]:
        if not isinstance(value, dict):
            raise MissingError("only an object has items")
        return [(name, value[name]) for name in value]

    def _join(self, value: Any, between: object = "") -> str:
        if not isinstance(value, list | tuple | dict | str):
            raise MissingError("only lists and texts can be joined")
        return self._charged(str(between).join(map(_text, value)))

    def _charged(self, text: str) -> str:
        if self._gauge.read(text) is None:
            raise TooLargeError("it reads more than a prompt may")
        return text


def _with_line_breaks(text: str, joints: Sequence[int]) -> str:
    """A line break after a tag is taken away, so that lines with an `if` or `for` leave none; after a partial it stays."""
    for at in reversed(joints):
        text = f"{text[:at]}+{text[at:]}"
    return text


def _reading_once(text: str, reading: Reading) -> str:
    """The variables of a text with loops are copied before these, and not at each turn."""
    if not reading.has_loops or not reading.names:
        return text
    if _BLOCK_FIRST.match(text):
        text = text.lstrip(" \t")  # as it is where a block begins the text
    names = "".join(f"{{% set {name} = {name} +%}}" for name in sorted(reading.names - _RESERVED))
    return names + text


def _never(_: str) -> bool:
    """Prompts are no HTML."""
    return False


def _text(value: Any) -> str:
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is bool or value is None:
        return _WORDS[value]
    return _json(value) if isinstance(value, list | dict | tuple) else str(value)


def _json(value: Any) -> str:
    return json.dumps(opened(value), ensure_ascii=False)


_NEEDLESS = (
    *(
        "abs",
        "attr",
        "batch",
        "bool",
        "chain",
        "dictsort",
        "e",
        "escape",
        "float",
        "format",
        "groupby",
        "indent",
        "int",
        "lines",
    ),
    *(
        "list",
        "map",
        "max",
        "min",
        "pprint",
        "random",
        "reject",
        "rejectattr",
        "replace",
        "reverse",
        "round",
        "safe",
        "select",
    ),
    *(
        "selectattr",
        "slice",
        "sort",
        "split",
        "string",
        "sum",
        "tojson",
        "truncate",
        "unique",
        "urlencode",
        "wordcount",
    ),
    *("wordwrap", "xmlattr", "zip", "striptags", "filesizeformat"),
)
"""Filters of minijinja that the grammar refuses, taken out besides."""
