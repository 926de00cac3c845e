"""What a test says of a text, and whether it is so."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import re2

from gateway.policy.mistakes import Mistakes, Path
from gateway.policy.schema_template import AnswerAssertion, Assertion
from gateway.policy.shapes import listed
from gateway.route.quality.schema import Uncheckable, meets

_SHOWN = 120


def check_assertion(written: Assertion, path: Path, mistakes: Mistakes) -> None:
    """Notes patterns that are none."""
    for pattern in listed(written.matches):
        try:
            _pattern(pattern)
        except re2.error as error:
            mistakes.add((*path, "matches"), f"{pattern[:60]!r} is no regular expression (RE2): {_told(error)}")
    if not written.model_fields_set - {"message"}:
        keys = "equals, contains, not_contains, matches"
        keys += ", json_schema or judge" if isinstance(written, AnswerAssertion) else " or json_schema"
        mistakes.add(path, f"nothing is expected: say {keys}")


def differences(written: Assertion, text: str) -> Iterator[str]:
    """What the text is not."""
    if written.equals is not None and text != written.equals:
        yield f"expected {_cut(written.equals)}, found {_cut(text)}"
    for part in listed(written.contains):
        if part not in text:
            yield f"expected {_cut(part)} within {_cut(text)}"
    for part in listed(written.not_contains):
        if part in text:
            yield f"expected no {_cut(part)} within {_cut(text)}"
    for pattern in listed(written.matches):
        if _pattern(pattern).search(text) is None:
            yield f"expected a match of {pattern[:_SHOWN]!r} in {_cut(text)}"
    if written.json_schema is not None:
        yield from _unlike(written, text)


def _unlike(written: Assertion, text: str) -> Iterator[str]:
    try:
        is_met = meets(
            text, {"response_format": {"type": "json_schema", "json_schema": {"schema": written.json_schema}}}
        )
    except Uncheckable as error:
        yield f"the schema {error}"
        return
    if not is_met:
        yield f"expected JSON as the schema says, found {_cut(text)}"


@lru_cache(maxsize=1024)
def _pattern(pattern: str) -> re2._Regexp:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 8 << 20
    return re2.compile(pattern, options)


def _told(error: re2.error) -> str:
    told = error.args[0] if error.args else "it cannot be read"
    return told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)


def _cut(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
