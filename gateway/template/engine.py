"""minijinja, with as little of it as templates need, and bounds on what a render may take.

One for each snapshot: every text is compiled when the policy is loaded. A value is put in as it is, once, and what comes of it
is never read as a template.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

from minijinja import Environment, TemplateError

from gateway.template.grammar import GrammarError, Reading, read

FUEL = 50_000
"""Instructions of one message: 15,000 turns of the shortest loop, which take some 5 ms."""
LARGEST = 1024 * 1024
"""Bytes of one rendered prompt, and characters of one message."""
_WORDS = {True: "true", False: "false", None: "null"}


class TooLargeError(Exception):
    """More came out, or it took longer, than a prompt may."""


class MissingError(Exception):
    """The text uses a member that a value does not have."""


class Engine:
    """Texts are added while a policy is compiled, and rendered ever after."""

    def __init__(self) -> None:
        self._left = 0
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
            filters={"json": _json},
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

    def render(self, name: str, values: Mapping[str, Any]) -> str:
        """Raises TooLargeError, MissingError."""
        with self._turn:
            self._left = LARGEST
            try:
                text: str = self._environment.render_template(name, **values)
            except TemplateError as error:
                if error.kind == "OutOfFuel" or self._left < 0:
                    raise TooLargeError("it takes more steps, or makes more text, than a prompt may") from None
                raise MissingError(error.detail or error.message) from None
        if len(text) > LARGEST:
            raise TooLargeError("it makes more text than a prompt may")
        return text

    def _add(self, name: str, text: str) -> Reading:
        reading = read(text)
        try:
            self._environment.add_template(name, _with_line_breaks(text, reading.joints))
        except TemplateError as error:
            raise GrammarError(error.line or 1, error.detail or error.message) from None
        return reading

    def _written(self, value: Any) -> str:
        """What a value is in a text: lists and objects are JSON."""
        kind = type(value)
        if kind is bool or value is None:
            return _WORDS[value]
        text = value if kind is str else _json(value) if kind is list or kind is dict or kind is tuple else str(value)
        self._left -= len(text)
        if self._left < 0:
            raise TooLargeError
        return text


def _with_line_breaks(text: str, joints: Sequence[int]) -> str:
    """A line break after a tag is taken away, so that lines with an `if` or `for` leave none; after a partial it stays."""
    for at in reversed(joints):
        text = f"{text[:at]}+{text[at:]}"
    return text


def _never(_: str) -> bool:
    """Prompts are no HTML."""
    return False


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


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
