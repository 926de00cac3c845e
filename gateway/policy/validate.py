"""From plain values to the schema's types, with everything that is wrong noted where it stands.

A mistake in one entry (a provider, a route …) takes only that entry out, so that the others are checked to the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.policy.mistakes import Mistakes, Path, nearest
from gateway.policy.schema import LATER, Policy
from gateway.policy.schema_template import LABEL, NUMBER, SPEAKER, WORD
from gateway.policy.source.document import Document


@dataclass(frozen=True, slots=True)
class Valid:
    """The entries without mistakes; `at` gives, for a section that is a list, where each stood in it."""

    policy: Policy
    at: Mapping[str, tuple[int, ...]]


def validate(document: Document, mistakes: Mistakes) -> Valid:
    """The policy without the entries that have mistakes."""
    wrong: set[Path] = set()
    try:
        policy = Policy.model_validate(document.root)
    except ValidationError as error:
        wrong = {path[:2] for path in _note(error, Policy, document, mistakes)}
        policy = Policy.model_validate(_without(document.root, wrong))
    return Valid(policy, _positions(document.root, wrong))


FileModel = TypeVar("FileModel", bound=BaseModel)


def validate_whole(model: type[FileModel], document: Document, mistakes: Mistakes) -> FileModel | None:
    """A document that is of use as a whole or not at all."""
    try:
        return model.model_validate(document.root)
    except ValidationError as error:
        _note(error, model, document, mistakes)
        return None


def _note(error: ValidationError, model: type[BaseModel], document: Document, mistakes: Mistakes) -> list[Path]:
    """Notes everything that is wrong, and gives where."""
    paths = []
    for details in error.errors(include_url=False):
        path = _path(details["loc"], document.root)
        paths.append(path)
        if path not in document.unset:  # which is told as a provider that is off, or as a variable that is not set
            mistakes.add(path, _message(details, path, document, model), key=_concerns_key(details))
    return paths


def _without(root: Mapping[str, Any], wrong: Set[Path]) -> dict[str, Any]:
    """`root` less the entries that are wrong, or less whole sections where the section itself is."""
    kept: dict[str, Any] = {}
    for section, content in root.items():
        if (section,) in wrong:
            continue
        if isinstance(content, dict):
            kept[section] = {name: value for name, value in content.items() if (section, name) not in wrong}
        elif isinstance(content, list):
            kept[section] = [content[index] for index in range(len(content)) if (section, index) not in wrong]
        else:
            kept[section] = content
    return kept


def _positions(root: Mapping[str, Any], wrong: Set[Path]) -> dict[str, tuple[int, ...]]:
    lists = {section: len(content) for section, content in root.items() if isinstance(content, list)}
    return {name: tuple(i for i in range(length) if (name, i) not in wrong) for name, length in lists.items()}


def _concerns_key(details: ErrorDetails) -> bool:
    return details["type"] == "extra_forbidden" or details["loc"][-1] == "[key]"


def _path(location: tuple[int | str, ...], values: Any) -> Path:
    """A pydantic location without the names of union arms. A last step that is not there, a missing key, stays."""
    path: list[str | int] = []
    for step in location:
        if isinstance(step, str) and step.startswith("<") and not (isinstance(values, dict) and step in values):
            continue
        if step == "[key]":
            break
        path.append(step)
        present = (isinstance(values, dict) and step in values) or (isinstance(values, list) and isinstance(step, int))
        values = values[step] if present else None
    return tuple(path)


def _message(details: ErrorDetails, path: Path, document: Document, model: type[BaseModel]) -> str:
    kind = details["type"]
    if path in document.written:
        return f"the value of {document.written[path]} does not fit here"
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, found {_shown(details['input'], path)}"
    if kind == "extra_forbidden":
        return _unknown_key(path, model)
    if kind in _WORDED:
        return _WORDED[kind](details, path)
    return (
        details["msg"]
        .removeprefix("Value error, ")
        .replace("Input should be", "must be")
        .replace(*_AT_LEAST)
        .replace(*_AT_MOST)
    )


_AT_LEAST = ("greater than or equal to", "at least")
_AT_MOST = ("less than or equal to", "at most")
_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def _unknown_key(path: Path, model: type[BaseModel]) -> str:
    name = str(path[-1])
    if name in LATER:
        return f"{name!r} is not supported by this version of llmgw"
    return f"unknown key {name!r}{nearest(name, _keys_at(path[:-1], model))}"


def _missing(_: ErrorDetails, path: Path) -> str:
    return f"{path[-1]!r} is missing"


def _unknown_word(details: ErrorDetails, path: Path) -> str:
    word, expected = details["input"], str(details["ctx"]["expected"])
    if not isinstance(word, str):
        return f"expected {expected}, found {_shown(word, path)}"
    if word in LATER:
        return f"{word!r} is not supported by this version of llmgw; expected {expected}"
    return f"expected {expected}{nearest(word, _QUOTED.findall(expected))}"


def _bad_name(details: ErrorDetails, _: Path) -> str:
    return _NAMES.get(
        str(details["ctx"]["pattern"]),
        "a name is made of printable ASCII characters, and neither begins nor ends with a space",
    )


def _wrong_kind(details: ErrorDetails, path: Path) -> str:
    arms = " or ".join(_KINDS[tag] for tag in _QUOTED.findall(str(details["ctx"]["expected_tags"])))
    return f"expected {arms}, found {_shown(details['input'], path)}"


def _wrong_length(details: ErrorDetails, path: Path) -> str:
    if isinstance(details["input"], dict) and path[0] != "models":
        most = details["ctx"].get("max_length")
        return "the mapping is empty" if details["type"] == "too_short" else f"there are more than {most} entries"
    if isinstance(details["input"], dict):
        return "expected one deployment and what is said about it, such as {openai/gpt-4o: {weight: 9}}"
    if details["type"] == "too_long":
        return f"the list is longer than {details['ctx']['max_length']}"
    return "the list is empty"


_NAMES = {
    NUMBER: "versions are numbered 1, 2, 3 …, up to 99999",
    WORD: "a variable's name is made of letters, digits and `_`, and begins with no digit",
    LABEL: "a label is made of letters, digits, `.`, `_` and `-`, and begins with a letter",
    SPEAKER: "a name of who speaks has 1 to 64 characters and no spaces",
}
_QUOTED = re.compile("'([^']*)'")
_KINDS = {"<text>": "text", "<list>": "a list", "<mapping>": "a mapping", "<other>": "a whole number"}
_WORDED: Mapping[str, Callable[[ErrorDetails, Path], str]] = {
    "missing": _missing,
    "literal_error": _unknown_word,
    "string_pattern_mismatch": _bad_name,
    "union_tag_invalid": _wrong_kind,
    "too_short": _wrong_length,
    "too_long": _wrong_length,
}


def _shown(value: object, path: Path) -> str:
    """The kind of a value, and of text the text itself, though not of a provider's or alert's, which may be a secret."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and path[0] not in ("providers", "alerts"):
        return f"the text {value[:40]!r}"
    kinds: dict[type, str] = {dict: "a mapping", list: "a list", str: "text"}
    return kinds.get(type(value), "a number")


def _keys_at(path: Path, model: type[BaseModel]) -> list[str]:
    """The keys that the schema knows in the mapping at `path`."""
    arms = _arms_of(model)
    for step in path:
        arms = [inner for arm in arms for inner in _inside(arm, step)]
    return [
        field.alias or name
        for arm in arms
        if isinstance(arm, type) and issubclass(arm, BaseModel)
        for name, field in arm.model_fields.items()
    ]


def _inside(arm: object, step: str | int) -> list[object]:
    """What may stand at `step` in a value of the type `arm`."""
    if isinstance(arm, type) and issubclass(arm, BaseModel):
        fields = {field.alias or name: field for name, field in arm.model_fields.items()}
        return _arms_of(fields[str(step)].annotation) if step in fields else []
    if get_origin(arm) in (dict, list):
        return _arms_of(get_args(arm)[-1])
    return []


def _arms_of(annotation: object) -> list[object]:
    """The types that an annotation allows, with unions and Annotated taken apart."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _arms_of(get_args(annotation)[0])
    if origin is None or origin in (dict, list):
        return [annotation]
    return [arm for each in get_args(annotation) for arm in _arms_of(each)]
