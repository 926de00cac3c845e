"""Whether an answer is what the request's `response_format` asked for.

Schemas are the callers', so that what a check may cost is bounded: references to other documents are not followed, regular
expressions (which may take for ever) are not tried and count as met, and a check that takes too many steps is given up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import jsonschema
import jsonschema_specifications
import referencing
import referencing.exceptions
from jsonschema.validators import extend

from gateway.route.quality.canonical import NotJson, canonical, parse

MOST_STEPS = 10_000
"""Keywords of a schema that are tried on one answer, and members that these look at."""
MOST_OWN_STEPS = 30_000
"""The same of a schema itself, when it is first seen."""
LONGEST_SCHEMA = 100_000
"""Characters."""

_UNTRIED = ("pattern", "format")
_UNREAD = '"patternProperties":'
"""The library tries these for other keywords too."""
_Check = Callable[..., Iterable[jsonschema.ValidationError] | None]


class Uncheckable(ValueError):
    """The schema cannot be used: it is none, too long, refers to something that is not there, or takes too many steps."""


def asks_for_json(asked: Mapping[str, Any]) -> bool:
    """Whether a request wants JSON, with a schema or without."""
    return _format(asked).get("type") in ("json_object", "json_schema")


def schema_of(asked: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema that a request gives for its answer."""
    wanted = _format(asked).get("json_schema")
    schema = wanted.get("schema") if isinstance(wanted, Mapping) else None
    return schema if isinstance(schema, Mapping) else None


def meets(text: str, asked: Mapping[str, Any]) -> bool:
    """Whether the text is JSON and, where the request gives a schema, valid. Raises Uncheckable."""
    try:
        value = parse(text)
        schema = schema_of(asked)
        if schema is None:
            return isinstance(value, dict) or _format(asked).get("type") != "json_object"
        written = canonical(schema)
    except NotJson:
        return False
    if len(written) > LONGEST_SCHEMA or _UNREAD in written:
        raise Uncheckable("longer than is read, or names members by regular expressions")
    return _checker(written)(value)


def _format(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    wanted = asked.get("response_format")
    return wanted if isinstance(wanted, Mapping) else {}


@lru_cache(maxsize=256)
def _checker(schema: str) -> Callable[[Any], bool]:
    """Of a schema in canonical form."""
    steps = _Steps()
    limited = _limited(steps)
    written = parse(schema)
    meta = limited(jsonschema.Draft202012Validator.META_SCHEMA, registry=jsonschema_specifications.REGISTRY)
    steps.allow(MOST_OWN_STEPS)
    if not _valid(meta, written):
        raise Uncheckable("is no schema")
    validator = limited(written, registry=referencing.Registry())

    def check(value: Any) -> bool:
        steps.allow(MOST_STEPS)
        return _valid(validator, value)

    return check


class _Steps:
    def __init__(self) -> None:
        self._left = 0

    def allow(self, most: int) -> None:
        self._left = most

    def take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise Uncheckable("takes too many steps")


def _limited(steps: _Steps) -> Any:
    """The library's validator, whose keywords count their steps."""

    def counted(check: _Check) -> _Check:
        def run(validator: Any, keyword: Any, instance: Any, whole: Any) -> Iterator[jsonschema.ValidationError]:
            steps.take(1 + (len(instance) if isinstance(instance, list | dict) else 0))
            yield from check(validator, keyword, instance, whole) or ()

        return run

    known = jsonschema.Draft202012Validator.VALIDATORS
    keywords = {**known, "uniqueItems": _unique, **dict.fromkeys(_UNTRIED, _untried)}
    return extend(jsonschema.Draft202012Validator, {name: counted(check) for name, check in keywords.items()})


def _valid(validator: Any, value: Any) -> bool:
    try:
        return bool(validator.is_valid(value))
    except (referencing.exceptions.Unresolvable, RecursionError) as error:
        raise Uncheckable(str(error)) from error


def _unique(_validator: Any, wanted: Any, instance: Any, _schema: Any) -> Iterator[jsonschema.ValidationError]:
    """In one pass, where the library compares each item with each other one."""
    if wanted and isinstance(instance, list) and len({canonical(item) for item in instance}) < len(instance):
        yield jsonschema.ValidationError("items are not unique")


def _untried(*_: Any) -> Iterator[jsonschema.ValidationError]:
    return iter(())
