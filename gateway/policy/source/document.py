"""One YAML file as plain values that know where they were written.

Read from the events of PyYAML's C parser, not from its node tree: depth and number of values are bounded before anything
is built, and the parts of YAML that policies do without (anchors, aliases, tags, several documents) are refused on sight.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from gateway.policy.mistakes import Mistakes, Path, Place, Places
from gateway.policy.source import environment as variables
from gateway.policy.source.scalars import resolve

DEEPEST = 20
MOST_VALUES = 100_000
LARGEST_FILE = 1024 * 1024
_STANDARD_TAG = "tag:yaml.org,2002:"


@dataclass(slots=True)
class Document:
    """Plain values and their places.

    `written` keeps the text before `${NAME}` was replaced, and `filled` the name of each value, so that no error shows a
    secret. `unset` names the first variable that is not set, for each value that could not be filled in; such a value is left
    out of `root`.
    """

    root: dict[str, Any] = field(default_factory=dict)
    places: Places = field(default_factory=Places)
    written: dict[Path, str] = field(default_factory=dict)
    unset: dict[Path, str] = field(default_factory=dict)
    filled: dict[str, str] = field(default_factory=dict)

    def names(self, section: str) -> frozenset[str]:
        """What a section names, those entries that have mistakes included."""
        content = self.root.get(section)
        return frozenset(content) if isinstance(content, dict) else frozenset()


def parse(content: bytes, file: str, environment: Mapping[str, str] | None) -> tuple[Document, Mistakes]:
    """The document in `content`, and what is wrong with it as YAML. An empty file is an empty document.

    `environment` None: nothing is filled in, and `${NAME}` is text like any other.
    """
    document = Document()
    mistakes = Mistakes(document.places)
    document.places.values[()] = Place(file, 1, 1)
    text = _text(content, file, mistakes)
    if text is not None:
        reader = _Reader(file, document, mistakes, environment)
        shielded = text if environment is None else variables.shield(text)
        try:
            reader.read(yaml.parse(shielded, Loader=yaml.CSafeLoader))
        except _StopError:
            pass
        except yaml.YAMLError as error:
            place, message = _syntax_error(error, text, file)
            mistakes.add_at(place, (), message)
    return document, mistakes


def _text(content: bytes, file: str, mistakes: Mistakes) -> str | None:
    if len(content) > LARGEST_FILE:
        mistakes.add((), "the file is larger than 1 MiB")
        return None
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        mistakes.add_at(_place_of(before, file), (), "the file is not valid UTF-8 here")
        return None
    position = variables.private_character(text)
    if position is not None:
        mistakes.add_at(_place_of(text[:position], file), (), "this character (U+F8FD to U+F8FF) cannot be used here")
        return None
    return text


def _place_of(before: str, file: str) -> Place:
    return Place(file, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


def _syntax_error(error: yaml.YAMLError, text: str, file: str) -> tuple[Place, str]:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        position = getattr(error, "position", 0)
        return _place_of(text[:position], file), "this character cannot be used in YAML"
    place = Place(file, mark.line + 1, mark.column + 1)
    lines = text.split("\n")
    line = lines[mark.line] if mark.line < len(lines) else ""
    if "cannot start any token" in str(error) and line[mark.column : mark.column + 1] == "\t":
        return place, "a tab cannot indent YAML; use spaces"
    return place, f"this is not YAML: {getattr(error, 'problem', None) or 'it cannot be read'}"


def _about_tag(tag: str) -> str:
    """What begins with one `!` may be a secret that nobody quoted, so it is not repeated."""
    if not tag.startswith(_STANDARD_TAG):
        return "a text that begins with `!` is quoted; tags are not used in policies"
    return f"tags such as `{tag.replace(_STANDARD_TAG, '!!')[:40]}` are not used in policies; remove it"


class _StopError(Exception):
    """Reading on would be of no use; the mistake is already noted."""


class _Reader:
    """Builds the values of one document from its events."""

    def __init__(
        self, file: str, document: Document, mistakes: Mistakes, environment: Mapping[str, str] | None
    ) -> None:
        self._file = file
        self._document = document
        self._mistakes = mistakes
        self._environment = environment
        self._count = 0

    def read(self, events: Iterator[yaml.Event]) -> None:
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._refuse(event, (), "a file holds one document; remove this `---`")
            elif isinstance(event, yaml.NodeEvent):
                self._root(event, events)

    def _root(self, event: yaml.NodeEvent, events: Iterator[yaml.Event]) -> None:
        if isinstance(event, yaml.ScalarEvent) and not event.value:
            return
        if not isinstance(event, yaml.MappingStartEvent):
            self._refuse(event, (), "a policy file is a mapping, such as `models:` and what belongs to it")
        self._document.root = self._value(event, events, ())

    def _value(self, event: yaml.Event, events: Iterator[yaml.Event], path: Path) -> Any:
        self._document.places.values[path] = self._place(event)
        self._count += 1
        if self._count > MOST_VALUES:
            self._refuse(event, path, f"the file holds more than {MOST_VALUES:,} values")
        if getattr(event, "anchor", None) is not None:
            self._mistakes.add(path, "anchors and aliases (`&x`, `*x`) are not used in policies; write the value out")
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._mistakes.add(path, _about_tag(tag))
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if len(path) >= DEEPEST:
            self._refuse(event, path, f"nested more than {DEEPEST} deep")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(events, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(events, path)
        return None

    def _mapping(self, events: Iterator[yaml.Event], path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event, path)
            inner = (*path, key)
            earlier = self._document.places.keys.get(inner)
            if earlier is not None:
                self._mistakes.add_at(self._place(event), inner, f"{key!r} is already given at {earlier}")
                inner = (*inner, "again")
            self._document.places.keys[inner] = self._place(event)
            value = self._value(next(events), events, inner)
            if inner not in self._document.unset:
                mapping[key] = value
        return mapping

    def _key(self, event: yaml.Event, path: Path) -> str:
        if not isinstance(event, yaml.ScalarEvent) or event.tag is not None or event.anchor is not None:
            quoted = '; a text that begins with `{` is put in quotes: "{{ name }}"'
            is_value = isinstance(event, yaml.MappingStartEvent) and event.flow_style
            self._refuse(event, path, f"a key must be a plain word or a quoted text{quoted if is_value else ''}")
        if variables.names(event.value):
            self._refuse(event, path, "a key cannot come from the environment")
        return str(event.value)

    def _list(self, events: Iterator[yaml.Event], path: Path) -> list[Any]:
        values: list[Any] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            values.append(self._value(event, events, (*path, len(values))))
        return values

    def _scalar(self, event: yaml.ScalarEvent, path: Path) -> Any:
        text = event.value
        asked = variables.names(text)
        if asked and self._environment is not None:
            return self._from_environment(self._environment, text, asked, path)
        if "${" in text and self._environment is not None:
            self._mistakes.add(path, "an environment variable is written ${NAME}, of letters, digits and `_`")
        value = resolve(text) if event.implicit[0] else text
        if value is None:
            self._mistakes.add(path, "there is no value here; fill it in or remove the key")
        return value

    def _from_environment(self, environment: Mapping[str, str], text: str, asked: tuple[str, ...], path: Path) -> str:
        self._document.written[path] = variables.as_written(text)
        missing = next((name for name in asked if not environment.get(name, "").strip()), None)
        if missing is None:
            for name in asked:
                self._document.filled[environment[name].strip()] = f"${{{name}}}"
            return variables.fill(text, environment)
        self._document.unset[path] = missing
        return ""

    def _place(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        return Place(self._file, 1, 1) if mark is None else Place(self._file, mark.line + 1, mark.column + 1)

    def _refuse(self, event: yaml.Event, path: Path, message: str) -> NoReturn:
        self._mistakes.add_at(self._place(event), path, message)
        raise _StopError
